#!/bin/sh
# usage: updates.sh hold|release    Keep the system's own updates away while we install; a reboot gives them back as well.
# Prints what it did.
set -eu
units="apt-daily.timer apt-daily-upgrade.timer apt-daily.service apt-daily-upgrade.service unattended-upgrades.service"
mark=/run/tandem-updates-held

case $1 in
hold)
    [ ! -e $mark ] || exit 0
    for unit in $units; do
        systemctl cat "$unit" > /dev/null 2>&1 || continue
        systemctl mask --quiet --runtime --now "$unit"
        echo "held $unit"
    done
    # What had begun comes to its end: dpkg killed half-way is worse than a minute of waiting.
    for lock in /var/lib/dpkg/lock-frontend /var/lib/apt/lists/lock; do
        [ ! -e $lock ] || flock -w 300 $lock true
    done
    touch $mark
    ;;
release)
    [ -e $mark ] || exit 0
    for unit in $units; do
        systemctl unmask --quiet --runtime "$unit" 2> /dev/null || continue
    done
    systemctl daemon-reload
    for unit in apt-daily.timer apt-daily-upgrade.timer unattended-upgrades.service; do
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
