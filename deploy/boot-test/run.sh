#!/bin/sh
# The tests that need a real systemd, on a machine that has namespaces: sudo deploy/boot-test/run.sh
# On another system than Debian 12: make-root.sh DIR jammy (or noble), then PARLEY_DEBIAN_ROOT=DIR with this.
# Boots a Debian with the units in systemd-nspawn; what was skipped is a failure here, and is named with its reason.
# Needs root, the network, 4 GB of disk, and: apt-get install debootstrap systemd-container
# The screen's test fetches 195 MB, so it runs here alone: PARLEY_BOOT_SCREEN=1 npm test -- booted-screen
set -eu
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || { echo 'it must run as root: sudo deploy/boot-test/run.sh' >&2; exit 4; }
sh deploy/boot-test/make-root.sh
code=0
PARLEY_BOOT_SCREEN=1 npm test -- real-systemd booted-sound booted-screen booted-update clean-debian talking-debian udev || code=$?
if grep -E '# SKIP' .parley/test.tap; then
  echo 'These were skipped: nothing is shown about them.' >&2
  [ "$code" -ne 0 ] || code=1
fi
exit "$code"
