#!/bin/sh
# usage: refresh.sh CNI_ARCHIVE [CIDR...]    Bring what runs on this host up to the files that the playbook has written:
# plugins unpacked, units enabled, each restarted if it started before its files were written, a route to each CIDR.
# Prints what it did; nothing where there was nothing to do.
set -eu
plugins=/opt/cni/bin
archive=$1
shift

# is_stale UNIT FILE...: whether it does not run, or a file is newer than its start (whole seconds: in doubt it is).
is_stale() {
    unit=$1
    shift
    systemctl is-active --quiet "$unit" || return 0
    [ -n "$(find "$@" -newermt "$(systemctl show -p ActiveEnterTimestamp --value "$unit")")" ]
}

restart() {
    systemctl restart "$1"
    echo "restarted $1"
}

routed() {
    for cidr in "$@"; do
        [ -n "$(ip -4 route show exact "$cidr")" ] || return 1
    done
}

sum=$(sha256sum < "$archive")
if [ "$(cat $plugins/.archive 2>/dev/null)" != "$sum" ]; then
    mkdir -p $plugins
    tar -xzf "$archive" -C $plugins
    echo "$sum" > $plugins/.archive
    echo "unpacked $archive"
fi
systemctl daemon-reload
for unit in tandem-pods containerd kubelet; do
    systemctl is-enabled --quiet $unit || { systemctl enable --quiet $unit; echo "enabled $unit"; }
done
# A restart that fails ends the script, and the task with it.
is_stale tandem-pods /etc/tandem/pods.nft /etc/systemd/system/tandem-pods.service && restart tandem-pods
is_stale containerd /etc/containerd/config.toml && restart containerd
# Before it has joined, a kubelet has nothing to run with; kubeadm starts it.
if [ -s /etc/kubernetes/kubelet.conf ] && [ -s /var/lib/kubelet/config.yaml ]; then
    is_stale kubelet /usr/local/bin/kubelet /etc/systemd/system/kubelet.service /etc/systemd/system/kubelet.service.d \
        && restart kubelet
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
