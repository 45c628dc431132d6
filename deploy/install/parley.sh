#!/bin/sh
# `parley` on an installed device: the release that runs, with the node that it runs with. A device may have no other node.
exec /opt/parley/guard/node /opt/parley/current/app/dist/runtime/cli/main.js "$@"
