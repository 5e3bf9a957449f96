#!/bin/sh
# restore.sh FOLDER [TIME]: the newest base backup (ended by `YYYY-MM-DD HH:MM:SS`, UTC) as a data directory that goes on
# with the log when the server starts. Exit code 4: the store has none.
set -eu
backups=$(/etc/tandem/store.sh backups)
id=$(echo "$backups" | while read -r id ended; do expr "$ended" \> "${2:-9999}" > /dev/null || echo "$id"; done | tail -n 1)
[ -n "$id" ] || exit 4
echo "restoring base backup $id" >&2
umask 077
/etc/tandem/store.sh restore "$id" "$1"
touch "$1/recovery.signal"
