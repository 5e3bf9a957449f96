#!/bin/sh
# usage: fetch.sh [URL FILE SHA256]...    Have each file with this checksum, executable. Prints those it fetched.
set -eu

is_whole() {
    echo "$2  $1" | sha256sum --check --status 2> /dev/null
}

while [ $# -ge 3 ]; do
    url=$1 file=$2 sum=$3
    shift 3
    if ! is_whole "$file" "$sum"; then
        mkdir -p "$(dirname "$file")"
        curl -fsS --retry 2 --connect-timeout 10 --max-time 300 -o "$file.part" "$url" || { echo "$url: not fetched" >&2; exit 1; }
        is_whole "$file.part" "$sum" || { echo "$url: its checksum is not $sum" >&2; exit 1; }
        chmod 0755 "$file.part"
        mv "$file.part" "$file"
        echo "fetched $file"
    fi
done
