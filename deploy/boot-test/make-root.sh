#!/bin/sh
# Makes the Debian root in which the tests boot the units and install the runtime: deploy/boot-test/make-root.sh [DIR]
# As root, with debootstrap and the network; some 270 MB and a minute. Kept outside of the clone, so that it is made once a machine.
# run.sh makes it and runs those tests.
set -eu
to=${1:-${PARLEY_DEBIAN_ROOT:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/parley/debian-12}}
[ -e "$to/usr/lib/systemd/systemd" ] && { echo "$to is there"; exit 0; }
[ "$(id -u)" = 0 ] || { echo 'it must run as root' >&2; exit 4; }
if ! command -v debootstrap >/dev/null || ! command -v systemd-nspawn >/dev/null; then
  echo 'apt-get install debootstrap systemd-container' >&2
  exit 4
fi
mkdir -p "$(dirname "$to")"
rm -rf "$to.new"
debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,udev bookworm "$to.new"
rm -f "$to.new"/var/cache/apt/archives/*.deb
mv "$to.new" "$to"
