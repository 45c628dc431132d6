#!/bin/sh
# Runs the updater of the release that is to be trusted: while one is on trial, of the one before it. One at a time: the timer's
# and a technician's would write the same files. The kernel lets the lock go with the process, however it ends.
root=${PARLEY_ROOT:-}
app=$root/opt/parley
release=$(sed -n 's/^release=[0-9a-f]\{64\} previous=\([0-9a-f]\{64\}\)$/releases\/\1/p' "$root/var/lib/parley-update/trial" 2>/dev/null)
# A strict umask of root must not make a release that the voice cannot read.
umask 022
if [ "${1:-}" != status ]; then
  exec 9<"$app/guard"
  flock -n 9 || { echo 'parley update: another updater is at work; parley update status says how far it is' >&2; exit 75; }
fi
exec "$app/guard/node" "$app/${release:-current}/app/dist/deploy/update/main.js" "$@"
