#!/bin/sh
# The object store that keeps base backups and log, by Barman's cloud tools. Key and endpoint are read anew each time, so
# that a rotated key is used at once.
#   archive PATH         one piece of the log into the store
#   fetch NAME PATH      one piece out of it
#   backups              `id day time` of each finished base backup, oldest first
#   backup               a base backup of the running server
#   restore ID FOLDER    a base backup out of the store
#   expire               drop what no recovery within the kept days needs
set -eu
key=/run/secrets/object-store
url="s3://$BACKUP_BUCKET/postgresql"
server="generation-$BACKUP_GENERATION"

AWS_ACCESS_KEY_ID=$(cat $key/access)
AWS_SECRET_ACCESS_KEY=$(cat $key/secret)
AWS_DEFAULT_REGION=$(cat $key/region)
# Debian's Python trusts the file that installing ca-certificates makes; in the image nothing is installed.
trusted=/etc/ssl/certs/ca-certificates.crt
[ -s $trusted ] || { cat /usr/share/ca-certificates/mozilla/*.crt > $trusted.$$ && mv $trusted.$$ $trusted; }
# Not every S3 knows the checksums that newer clients send unasked.
AWS_REQUEST_CHECKSUM_CALCULATION=when_required AWS_RESPONSE_CHECKSUM_VALIDATION=when_required
AWS_EC2_METADATA_DISABLED=true AWS_MAX_ATTEMPTS=2
PYTHONPYCACHEPREFIX=/tmp/python PYTHONWARNINGS=ignore
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_DEFAULT_REGION AWS_REQUEST_CHECKSUM_CALCULATION \
  AWS_RESPONSE_CHECKSUM_VALIDATION AWS_EC2_METADATA_DISABLED AWS_MAX_ATTEMPTS PYTHONPYCACHEPREFIX \
  PYTHONWARNINGS

barman() {
  tool=$1 limit=$2
  shift 2
  timeout "$limit" "barman-cloud-$tool" --endpoint-url "$(cat $key/endpoint)" "$@"
}

case $1 in
archive) barman wal-archive 60 --gzip "$url" "$server" "$2" ;;
fetch)
  mkdir -p /tmp/log
  if ! [ -f "/tmp/log/$2" ]; then
    code=0
    timeout 300 python3 /etc/tandem/fetch.py "$url" "$server" "$(cat $key/endpoint)" "$2" /tmp/log || code=$?
    case $code in
    0) ;;
    44) exit 1 ;; # the store has no such piece, so the log ends here
    *) exit 255 ;; # nothing else may be taken for its end: the server stops
    esac
  fi
  exec mv "/tmp/log/$2" "$3"
  ;;
backups)
  found=$(barman backup-list 60 "$url" "$server")
  echo "$found" | while read -r id day time _; do [ "$id" = Backup ] || echo "$id $day $time"; done
  ;;
backup)
  barman backup 7200 --gzip --immediate-checkpoint --jobs 1 --max-archive-size 20GB "$url" "$server"
  ;;
restore) barman restore 7200 "$url" "$server" "$2" "$3" ;;
expire) barman backup-delete 600 --retention-policy "RECOVERY WINDOW OF $BACKUP_KEEP_DAYS DAYS" "$url" "$server" ;;
*) echo "$0: no such command: $1" >&2; exit 64 ;;
esac
