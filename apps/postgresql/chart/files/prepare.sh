#!/bin/sh
# Before each start: a data directory, then roles and schema as they should be. Safe to repeat and to be killed anywhere:
# a new directory appears under its name only when it is complete.
# An empty volume whose object store holds backups is a lost volume, never a new platform: they are restored up to the
# last piece of the log. A store that does not answer stops the start. Whoever means to begin anew raises
# `backup.generation`.
set -eu
umask 077
for role in $ROLES; do
  [ -s "/run/secrets/postgresql/$role" ] || { echo "the Secret of role $role holds no password" >&2; exit 1; }
done

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  rm -rf "$PGDATA.draft"
  code=0
  /etc/tandem/restore.sh "$PGDATA.draft" || code=$?
  case $code in
  0) ;;
  4) initdb --pgdata "$PGDATA.draft" --username postgres --encoding UTF8 --locale C.UTF-8 --auth-local trust \
    --auth-host reject --data-checksums ;;
  *) echo "the volume is empty, and what the object store holds cannot be told or restored" >&2; exit 1 ;;
  esac
  mv "$PGDATA.draft" "$PGDATA"
fi
# A volume whose group was set anew is group-writable all through, and the server refuses such a directory.
chmod 0700 "$PGDATA"

# A server without a network. It leaves its log to the next one's archiver.
pg_ctl start --wait --timeout 7200 --pgdata "$PGDATA" --options \
  "--config_file=/etc/tandem/postgresql.conf --listen_addresses= --archive_command="
trap 'pg_ctl stop --wait --mode fast --pgdata "$PGDATA"' EXIT
# After a restore it answers before its recovery is over; a recovery that fails ends it.
until [ "$(psql --dbname postgres --tuples-only --no-align --command 'SELECT pg_is_in_recovery()')" = f ]; do
  pg_ctl status --pgdata "$PGDATA" > /dev/null
  sleep 1
done
/etc/tandem/roles.sh
psql --dbname postgres --file /etc/tandem/backups.sql
/etc/tandem/migrate.sh
