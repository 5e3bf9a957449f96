#!/bin/sh
# migrations/NNNN_name.sql, each once and in order, in one transaction with the row that records it. What was applied is
# never edited: a change is the next number.
set -eu
run() { psql --dbname "$DATABASE" "$@"; }

run --command "CREATE TABLE IF NOT EXISTS schema_migrations (
  number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
for file in /etc/tandem/migrations/*.sql; do
  name=$(basename "$file" .sql)
  number=${name%%_*}
  checksum=$(sha256sum < "$file" | cut -c 1-64)
  known=$(run --tuples-only --no-align --command "SELECT checksum FROM schema_migrations WHERE number = $number")
  [ "$known" = "$checksum" ] && continue
  [ -z "$known" ] || { echo "migration $name is not what was applied" >&2; exit 1; }
  run --single-transaction --file "$file" \
    --command "INSERT INTO schema_migrations (number, name, checksum) VALUES ($number, '$name', '$checksum')"
  echo "applied migration $name" >&2
done
