#!/bin/sh
# Makes the root in which the tests boot the units and install the runtime: deploy/boot-test/make-root.sh [DIR [SUITE]]
# SUITE: bookworm (Debian 12, the default), jammy or noble (Ubuntu 22.04, 24.04; debootstrap needs Ubuntu's keyring).
# As root, with debootstrap and the network; some 270 MB and a minute. Kept outside of the clone, so that it is made once a machine.
# run.sh makes it and runs those tests.
set -eu
to=${1:-${PARLEY_DEBIAN_ROOT:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/parley/debian-12}}
suite=${2:-bookworm}
case $suite in
  bookworm) components=main ;;
  jammy | noble)
    components=main,universe
    [ -e /usr/share/keyrings/ubuntu-archive-keyring.gpg ] || { echo "Ubuntu's keyring is missing: the package ubuntu-keyring" >&2; exit 4; } ;;
  *) echo "not a suite that it knows: $suite (bookworm, jammy, noble)" >&2; exit 2 ;;
esac
[ -e "$to/usr/lib/systemd/systemd" ] && { echo "$to is there"; exit 0; }
[ "$(id -u)" = 0 ] || { echo 'it must run as root' >&2; exit 4; }
if ! command -v debootstrap >/dev/null || ! command -v systemd-nspawn >/dev/null; then
  echo 'apt-get install debootstrap systemd-container' >&2
  exit 4
fi
mkdir -p "$(dirname "$to")"
rm -rf "$to.new"
set -- "$suite" "$to.new"
# An older debootstrap does not know the newer Ubuntu, which is made as all of them are.
[ -e "/usr/share/debootstrap/scripts/$suite" ] || set -- "$@" http://archive.ubuntu.com/ubuntu /usr/share/debootstrap/scripts/gutsy
debootstrap --variant=minbase --components="$components" --include=systemd,systemd-sysv,dbus,udev "$@"
rm -f "$to.new"/var/cache/apt/archives/*.deb
mv "$to.new" "$to"
