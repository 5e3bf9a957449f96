#!/bin/sh
# A line a bucket: its name, and the age at which its objects go ("-": never). Age is by the store's own clock.
set -eu
while read -r bucket age; do
  [ "$age" = - ] || rclone delete --use-server-modtime --min-age "$age" --stats-one-line -v "store:$bucket"
  rclone backend cleanup -o "max-age=$UPLOADS" "store:$bucket"
done < /etc/tandem/expiry
