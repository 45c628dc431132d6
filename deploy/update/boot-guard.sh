#!/bin/sh
# Runs before each start of parley.service, outside of every release: counts the starts of a release on trial, and after three
# that failed points `current` back at the one before it. It is kept apart from node on purpose: a release that cannot
# even start node must be undone as well. The same rules stand in test/deploy/guard-model.ts; a test compares the two.
# Usage: boot-guard.sh [ROOT]. Always exits 0: a guard that fails must not keep the device from starting.
set -u
root=${1:-}
app=$root/opt/parley
state=$root/var/lib/parley-update
limit=3

trial=$(cat "$state/trial" 2>/dev/null) || exit 0
release=$(printf '%s\n' "$trial" | sed -n 's/^release=\([0-9a-f]\{64\}\) previous=[0-9a-f]\{64\}$/\1/p')
previous=$(printf '%s\n' "$trial" | sed -n 's/^release=[0-9a-f]\{64\} previous=\([0-9a-f]\{64\}\)$/\1/p')
[ -n "$release" ] && [ -n "$previous" ] || exit 0
# Not switched yet, or back already: nothing to count.
[ "$(readlink "$app/current")" = "releases/$release" ] || exit 0

# `sync FILE` is GNU; without it everything is written out, which takes longer and does the same.
flush() { sync "$@" 2>/dev/null || sync; }
# put FOLDER NAME TEXT: whole or not at all.
put() {
  { printf '%s\n' "$3" >"$1/.$2.new"; } 2>/dev/null && flush "$1/.$2.new" && mv -f "$1/.$2.new" "$1/$2" && flush "$1"
}
# counted FOLDER: the starts so far.
counted() {
  n=$(sed -n "s/^release=$release count=\([0-9][0-9]*\)\$/\1/p" "$1/boots" 2>/dev/null)
  echo "${n:-0}"
}

count=$(counted "$state")
# Where the disk took nothing, perhaps because of this very release, the starts since the power came on are counted in memory.
memory=$root/run/parley-update
[ "$(counted "$memory")" -le "$count" ] || count=$(counted "$memory")
count=$((count + 1))
if [ "$count" -le "$limit" ]; then
  put "$state" boots "release=$release count=$count" || { mkdir -p "$memory" && put "$memory" boots "release=$release count=$count"; }
  exit 0
fi

# Never point at what is not there: then the new release is still the better one.
[ -d "$app/releases/$previous" ] || exit 0
put "$state" flipped "release=$release reason=it did not stay up in $limit starts"
rm -f "$app/.current.new"
ln -s "releases/$previous" "$app/.current.new" && mv -fT "$app/.current.new" "$app/current" && flush "$app"
rm -f "$state/trial" && flush "$state"
echo "parley: release $(printf %.12s "$release") failed $limit starts; going on with $(printf %.12s "$previous")" >&2
exit 0
