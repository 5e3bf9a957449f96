#!/bin/sh
# usage: network.sh [CIDR...]    Bring the pod network up to the files that the playbook has written: forwarding and
# source addresses, a route to each CIDR. Prints what it did; nothing where there was nothing to do.
set -eu
files="/etc/tandem/pods.nft /etc/systemd/system/tandem-pods.service"

routed() {
    for cidr in "$@"; do
        [ -n "$(ip -4 route show exact "$cidr")" ] || return 1
    done
}

# Whether it does not run, or a file is newer than its start (whole seconds: in doubt it is).
is_stale() {
    systemctl is-active --quiet tandem-pods || return 0
    # shellcheck disable=SC2086
    [ -n "$(find $files -newermt "$(systemctl show -p ActiveEnterTimestamp --value tandem-pods)")" ]
}

systemctl daemon-reload
systemctl is-enabled --quiet tandem-pods || { systemctl enable --quiet tandem-pods; echo "enabled tandem-pods"; }
if is_stale; then
    systemctl restart tandem-pods
    echo "restarted tandem-pods"
fi
if ! routed "$@"; then
    networkctl reload
    tries=0
    until routed "$@"; do
        tries=$((tries + 1))
        [ $tries -le 50 ] || { echo "no route to one of: $*" >&2; exit 1; }
        sleep 0.1
    done
    echo "routes to $*"
fi
