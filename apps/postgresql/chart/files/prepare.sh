#!/bin/sh
# Before each start: make the cluster once, then bring roles, password and schema to what they should be.
# Safe to repeat and to be killed anywhere: the new cluster appears under its name only when it is complete.
set -eu
umask 077
secret=/run/secrets/postgresql/password
[ -s "$secret" ] || { echo "the Secret holds no password" >&2; exit 1; }

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  rm -rf "$PGDATA.draft"
  initdb --pgdata "$PGDATA.draft" --username postgres --pwfile "$secret" --encoding UTF8 --locale C.UTF-8 \
    --auth-local trust --auth-host scram-sha-256 --data-checksums
  mv "$PGDATA.draft" "$PGDATA"
fi
# A volume whose group was set anew is group-writable all through, and the server refuses such a directory.
chmod 0700 "$PGDATA"

# A server without a network, for the migration only. The statement that sets the password stays out of its log.
pg_ctl start --wait --timeout 600 --pgdata "$PGDATA" --options \
  "-c listen_addresses='' -c unix_socket_directories=/run/postgresql -c hba_file=/etc/tandem/pg_hba.conf -c log_min_error_statement=panic"
trap 'pg_ctl stop --wait --mode fast --pgdata "$PGDATA"' EXIT
psql="psql --host /run/postgresql --username postgres --no-psqlrc --quiet --set ON_ERROR_STOP=1"
$psql --dbname postgres --file /etc/tandem/roles.sql
$psql --dbname "$DATABASE" --single-transaction --file /etc/tandem/schema.sql
