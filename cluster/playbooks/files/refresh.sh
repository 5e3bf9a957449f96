#!/bin/sh
# usage: refresh.sh [CIDR...]    Restart each unit that started before its files were written; have a route to each CIDR.
# Prints what it did; nothing where there was nothing to do.
set -eu

# is_stale UNIT FILE...: whether a file is newer than the unit's start (whole seconds: in doubt it is).
is_stale() {
    unit=$1
    shift
    since=$(systemctl show -p ActiveEnterTimestamp --value "$unit")
    [ -z "$since" ] || [ -n "$(find "$@" -newermt "$since")" ]
}

routed() {
    for cidr in "$@"; do
        [ -n "$(ip -4 route show exact "$cidr")" ] || return 1
    done
}

if is_stale tandem-pods /etc/tandem /etc/systemd/system/tandem-pods.service; then
    systemctl restart tandem-pods
    echo "restarted tandem-pods"
fi
if is_stale containerd /etc/containerd/config.toml; then
    systemctl restart containerd
    echo "restarted containerd"
fi
if systemctl is-active --quiet kubelet && is_stale kubelet /usr/local/bin/kubelet /etc/systemd/system/kubelet.service \
    /etc/systemd/system/kubelet.service.d; then
    systemctl restart kubelet
    echo "restarted kubelet"
fi
if ! routed "$@"; then
    networkctl reload
    tries=0
    until routed "$@"; do
        tries=$((tries + 1))
        [ $tries -le 50 ] || { echo "no route to one of: $*" >&2; exit 1; }
        sleep 0.1
    done
    echo "routes $*"
fi
