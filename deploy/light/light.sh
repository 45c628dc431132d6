#!/bin/sh
# Shows on one LED of the board how the device is, for whoever stands before it without a terminal. /etc/parley/light holds the
# LED's name in /sys/class/leds. The kernel does the blinking; here only changes are written. The table: docs/operations.md.
leds=${PARLEY_LEDS:-/sys/class/leds}
led=$leds/$(cat "${PARLEY_ETC:-/etc/parley}/light") || exit 4
every_s=${PARLEY_LIGHT_S:-2}

active() { systemctl show -p ActiveState --value "$1"; }
state() {
  if [ "$(active parley-fallback.service)" = active ]; then echo out-of-service; return; fi
  case $(active parley.service) in
    active)
      case $(systemctl show -p StatusText --value parley.service) in 'no progress'*) echo not-well; return ;; esac
      if [ -e "${PARLEY_UPDATE_STATE:-/var/lib/parley-update}/trial" ]; then echo trial; else echo well; fi ;;
    activating) echo starting ;;
    *) echo stopped ;;
  esac
}
# blink ON_MS OFF_MS
blink() { echo timer >"$led/trigger" && echo "$1" >"$led/delay_on" && echo "$2" >"$led/delay_off"; }
# steady ON: 0 or 1. One of 255 steps is hardly seen: on is the most that this LED has.
steady() {
  level=$1
  [ "$1" = 0 ] || level=$(cat "$led/max_brightness" 2>/dev/null) || level=$1
  echo none >"$led/trigger" && echo "$level" >"$led/brightness"
}
show() {
  case $1 in
    well) steady 1 ;;
    trial) blink 1900 100 ;;
    starting) blink 1000 1000 ;;
    not-well) blink 100 900 ;;
    out-of-service) blink 150 150 ;;
    stopped) steady 0 ;;
  esac
}

shown=
while :; do
  now=$(state)
  [ "$now" = "$shown" ] || { show "$now" && shown=$now; }
  [ "$every_s" = once ] && exit 0
  sleep "$every_s" & wait $!
done
