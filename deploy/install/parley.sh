#!/bin/sh
# `parley` on an installed device: the release that runs, with the node that it runs with. A device may have no other node.
app=${PARLEY_ROOT:-}/opt/parley
# The device's own sound server, where there is one: doctor and provision hear what the voice hears.
if [ -S /run/parley-sound/native ]; then export PULSE_SERVER="${PULSE_SERVER:-unix:/run/parley-sound/native}"; fi
# Whatever changes releases goes the timer's way: one at a time, and no release on trial passes itself.
case ${1:-}:${2:-} in update:advance|update:roll-back) shift; exec "$app/guard/updater.sh" "$@" ;; esac
exec "$app/guard/node" "$app/current/app/dist/runtime/cli/main.js" "$@"
