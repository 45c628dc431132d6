#!/bin/sh
# The screen of a kiosk (install.sh --screen): cage with one Chromium that shows one page. Ends when that is not to be seen any more, and
# systemd starts it anew.
set -u
url=http://127.0.0.1:8137/
state=${STATE_DIRECTORY:-/var/lib/parley-screen}
browser=${PARLEY_BROWSER:-/usr/bin/chromium}
pid=${RUNTIME_DIRECTORY:-/run/parley-screen}/browser.pid
every_s=${PARLEY_SCREEN_S:-2}
proc=${PARLEY_PROC:-/proc}
# Looks without a page: a minute for a start from a slow card; then 10 s are enough to be sure that it does not come back.
first_limit=30 limit=5

# The socket that listens (0A) at port 8137 (1FC9), and nothing where there is none. Read here, for no tool that asks need be installed.
server() { awk '$2 ~ /:1FC9$/ && $4 == "0A" { print $10; exit }' "$proc/net/tcp" 2>/dev/null; }
# A page whose process died, of its memory mostly, leaves "Aw, Snap!" and a browser that is well. The brackets keep grep from finding itself.
shown() { grep -qs -e '--type=[r]enderer' "$proc"/[0-9]*/cmdline; }
# In the background, so that a signal ends it.
rest() {
  sleep "$every_s" &
  nap=$!
  [ "$ending" = yes ] || wait "$nap"
}

# The browser, and cage goes with it; told to end itself while it shows something, cage 0.1.4 aborts.
leave() { kill "$(cat "$pid")" 2>/dev/null || kill "$cage" 2>/dev/null; }

cage= nap= ending=no
trap 'ending=yes; [ -z "$cage" ] || leave; kill $nap 2>/dev/null' TERM INT

of=$(server)
[ -n "$of" ] || echo "parley-screen: waits until a page is served at $url"
while [ -z "$of" ]; do
  rest
  [ "$ending" = no ] || exit 0
  of=$(server)
done

# Locks of a browser that a power cut ended: under another host name they would keep this one from starting.
rm -f "$state"/profile/Singleton* "$pid"
# Without a spare renderer, which would look like a page. Further options: /etc/chromium.d/
cage -s -- sh -c 'echo $$ >"$0" && exec "$@"' "$pid" "$browser" --kiosk --ozone-platform=wayland --no-first-run --noerrdialogs --hide-crash-restore-bubble \
  --disable-features=Translate,SpareRendererForSitePerProcess --user-data-dir="$state/profile" --disk-cache-size=33554432 "$url" &
cage=$!

why= absent=0
while [ "$ending" = no ] && [ -z "$why" ] && kill -0 "$cage" 2>/dev/null; do
  rest
  if shown; then absent=0 first_limit=$limit; else absent=$((absent + 1)); fi
  [ "$absent" -lt "$first_limit" ] || why='the browser shows no page any more'
  # A page that asked while nobody answered shows an error for ever where there is no network; and a new release has a new page.
  case $(server) in ''|"$of") ;; *) why='another program serves the page' ;; esac
done
[ "$ending" = yes ] || { echo "parley-screen: begins anew: ${why:-the browser ended}" >&2; leave; }
kill "$nap" 2>/dev/null
# A browser that hangs has 3 s; what is left then systemd kills.
for _ in 1 2 3 4 5 6; do
  kill -0 "$cage" 2>/dev/null || break
  sleep 0.5
done
[ "$ending" = yes ]
