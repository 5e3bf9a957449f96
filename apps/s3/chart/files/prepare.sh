#!/bin/sh
# Before each start: the accounts, into a file that only this pod has; buckets and rights, into the store.
# Safe to repeat, and to be killed anywhere.
set -eu
umask 077
cd /work
# "@<application>.access@" -> the key. Values go through files: a command line can be read by others.
for folder in /run/secrets/s3/*/; do
  name=$(basename "$folder")
  for key in access secret previous-access previous-secret; do
    printf 's|@%s.%s@|%s|g\n' "$name" "$key" "$(cat "$folder$key")"
  done
done > keys.sed
sed -f keys.sed /etc/tandem/users.json > accounts/users.json
mkdir -p meta
for file in /etc/tandem/vgw-meta-*; do
  sed -f keys.sed "$file" > "meta/${file##*/}"
done
rm keys.sed

rclone lsf --dirs-only store: > there
for bucket in $META $BUCKETS; do
  grep -qxF "$bucket/" there || rclone mkdir "store:$bucket"
done
# Exactly these: a policy that somebody wrote through the gateway goes.
rclone sync --ignore-times meta "store:$META"
