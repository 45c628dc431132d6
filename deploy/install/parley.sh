#!/bin/sh
# `parley` on an installed device: the release that runs, with the node that it runs with. A device may have no other node.
app=${PARLEY_ROOT:-}/opt/parley
# Whatever changes releases goes the timer's way: one at a time, and no release on trial passes itself.
case ${1:-}:${2:-} in update:advance|update:roll-back) shift; exec "$app/guard/updater.sh" "$@" ;; esac
exec "$app/guard/node" "$app/current/app/dist/runtime/cli/main.js" "$@"
