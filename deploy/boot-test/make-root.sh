#!/bin/sh
# Makes the Debian root in which test/deploy/real-systemd.test.ts boots the units: deploy/boot-test/make-root.sh [DIR]
# As root, with debootstrap and the network; some 250 MB. Elsewhere: run this, then npm test real-systemd.
set -eu
to=${1:-$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")/.parley/debian}
[ -e "$to/usr/lib/systemd/systemd" ] && { echo "$to is there"; exit 0; }
command -v debootstrap >/dev/null || { echo 'apt-get install debootstrap systemd-container' >&2; exit 4; }
rm -rf "$to.new"
debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,udev bookworm "$to.new"
mv "$to.new" "$to"
