#!/bin/sh
# usage: updates.sh hold|release    Keep the system's own updates away while we install; a reboot gives them back as well.
# Prints what it did.
set -eu
timers="apt-daily.timer apt-daily-upgrade.timer"
services="apt-daily.service apt-daily-upgrade.service unattended-upgrades.service"
mark=/run/tandem-updates-held

mask() {
    for unit in "$@"; do
        systemctl cat "$unit" > /dev/null 2>&1 || continue
        systemctl mask --quiet --runtime --now "$unit"
        echo "held $unit"
    done
}

# What has begun comes to its end: dpkg killed half-way is worse than waiting. apt's locks are fcntl's, not flock's.
await_apt() {
    timeout 600 python3 -c '
import fcntl, os
for path in ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock"):
    if os.path.exists(path):
        with open(path, "a") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
'
}

case $1 in
hold)
    [ ! -e $mark ] || exit 0
    # shellcheck disable=SC2086
    mask $timers
    await_apt
    # shellcheck disable=SC2086
    mask $services
    touch $mark
    ;;
release)
    [ -e $mark ] || exit 0
    for unit in $timers $services; do
        systemctl unmask --quiet --runtime "$unit" 2> /dev/null || continue
    done
    systemctl daemon-reload
    for unit in $timers unattended-upgrades.service; do
        systemctl is-enabled --quiet "$unit" 2> /dev/null || continue
        systemctl start "$unit"
        echo "released $unit"
    done
    rm $mark
    ;;
*)
    echo "usage: updates.sh hold|release" >&2
    exit 2
    ;;
esac
