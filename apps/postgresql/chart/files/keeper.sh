#!/bin/sh
# Beside the server for as long as it lives: a base backup when one is due, what is too old dropped, both written down.
# It never ends by itself: a container that is down takes the pod, and so the database, out of its Service.
set -u
ask() { psql --dbname postgres --tuples-only --no-align "$@"; }

keep() {
  started=$(date +%s)
  /etc/tandem/store.sh backup || return 1
  newest=$(/etc/tandem/store.sh backups | tail -n 1)
  seconds=$(($(date +%s) - started))
  ask --command "INSERT INTO base_backups SELECT '${newest%% *}', now(), $seconds, sum(pg_database_size(oid)) FROM pg_database" &&
    echo "base backup ${newest%% *} took $seconds s" &&
    /etc/tandem/store.sh expire &&
    ask --command "DELETE FROM base_backups WHERE ended < now() - interval '$BACKUP_KEEP_DAYS days'"
}

until pg_isready --quiet; do sleep 1; done
while :; do
  if [ "$(ask --command "SELECT base_backup_age_s > $BACKUP_EVERY_HOURS * 3600 FROM backup_status")" = t ]; then
    keep || echo "base backup failed; next try in $RETRY_S s" >&2
  fi
  # The checkpointer goes to sleep before a starting server is up, and then minds no archive_timeout for minutes, unless
  # a checkpoint wakes it.
  printf '%s\n' "SELECT 'CHECKPOINT' WHERE now() - pg_postmaster_start_time() < interval '$((2 * RETRY_S)) s' \\gexec" | ask
  sleep "$RETRY_S"
done
