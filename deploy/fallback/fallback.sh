#!/bin/sh
# The device cannot talk: says so with a recording, tells the broker why, and goes on telling until systemd ends it.
# Plain shell: whatever broke the runtime (node, the model, the memory) must not break this as well.
state=${PARLEY_STATE:-/var/lib/parley}
etc=${PARLEY_ETC:-/etc/parley}
here=$(dirname "$0")
every_s=${PARLEY_FALLBACK_S:-60}
run=${RUNTIME_DIRECTORY:-/run/parley-fallback}
root=${PARLEY_ROOT:-}

# Without what note-stop.sh fills it up with.
line=$(sed 's/ *\.$//' "$state/last-failure" 2>/dev/null)
field() { printf '%s\n' "$line" | sed -n "s/.*\b$1=\([^ ]*\).*/\1/p"; }
# The exit codes are those of `parley --help`.
case "$(field result):$(field status)$(field entry)" in
  watchdog:*) why=stalled ;;
  oom-kill:*) why=out-of-memory ;;
  timeout:*) why=start-too-slow ;;
  core-dump:*|signal:*) why=crashed ;;
  exit-code:3) why=wrong-configuration ;;
  exit-code:4) why=missing-device ;;
  exit-code:6) why=damaged-bundle ;;
  exit-code:7) why=model-fails ;;
  exit-code:203|exit-code:200|exit-code:*missing) why=broken-installation ;;
  exit-code:*) why=failed ;;
  *) why=unknown ;;
esac
echo "parley: out of service: $why (${line:-nothing was noted})" >&2

# Who we are at the broker, in a file that mosquitto_pub reads by itself: among its arguments every process would see the password.
# Made anew each time, so that a new password counts; only in memory, and only for us.
credentials() {
  mkdir -p "$run" && (umask 077; { printf -- '-u %s\n' "$BROKER_USER"; [ -z "${PASSWORD_FILE:-}" ] || printf -- '-P %s\n' "$(cat "$PASSWORD_FILE")"; } >"$run/mosquitto_pub")
}

# `parley provision` writes it: BROKER_HOST, BROKER_PORT, ROOT_TOPIC, with TLS CA or CAPATH, CERT and KEY, and BROKER_USER and PASSWORD_FILE.
tell() {
  [ -r "$etc/fallback.env" ] && command -v mosquitto_pub >/dev/null 2>&1 || return 0
  . "$etc/fallback.env"
  # Retained, so that whoever looks later sees it, too; the voice takes it away when it is back.
  set -- -h "$BROKER_HOST" -p "$BROKER_PORT" -t "$ROOT_TOPIC/out-of-service" -q 1 -r -m "{\"why\":\"$why\",\"at\":$(date +%s)000}"
  [ -n "${CAPATH:-}" ] && set -- "$@" --capath "$CAPATH"
  [ -n "${CA:-}" ] && set -- "$@" --cafile "$CA"
  [ -n "${CERT:-}" ] && set -- "$@" --cert "$CERT" --key "$KEY"
  [ -z "${BROKER_USER:-}" ] || credentials
  XDG_CONFIG_HOME=$run timeout 20 mosquitto_pub "$@" || echo 'parley: the broker was not told' >&2
}

# named KEY: what [speaker] of the owner's settings has for it; only what stands there plainly.
named() { sed -n '/^\[speaker\]/,/^\[/p' "$etc/parley.toml" 2>/dev/null | sed -n "s/^ *$1 *= *\"\([^\"]*\)\".*/\1/p" | head -n 1; }

# The card as the voice finds it (runtime/compose/sound-card.ts): our own, else a USB one, else the first that plays; HDMI outputs
# come first, and nobody listens there. From /sys, because the unit shows no /proc/asound (ProcSubset=pid).
card() {
  first='' usb='' n=0
  while [ "$n" -lt 32 ]; do # the most that the kernel has
    folder=$root/sys/class/sound/card$n
    set -- "$root/sys/class/sound/pcmC${n}D"*p
    n=$((n + 1))
    [ -e "$1" ] && id=$(cat "$folder/id" 2>/dev/null) || continue
    [ "$id" = parleyusb ] && { echo "$id"; return; }
    case $(readlink -f "$folder/device") in */usb[0-9]*) usb=${usb:-$id} ;; esac
    first=${first:-$id}
  done
  echo "${usb:-$first}"
}

# ALSA's name of where to speak; nothing: its own default, for a sound server, for settings of the owner's, and where no card is.
pcm() {
  [ -z "${PARLEY_FALLBACK_PCM:-}" ] || { echo "$PARLEY_FALLBACK_PCM"; return; }
  device=
  # A player of a sound server has other names.
  case $(named driver):$(named program) in speaker:*|auto:*|:*|pipe:aplay) device=$(named device) ;; esac
  case $device in
    hw:*) echo "plug$device"; return ;; # the card need not have the recording's rate
    ?*) echo "$device"; return ;;
  esac
  [ -z "${PULSE_SERVER:-}${ALSA_CONFIG_PATH:-}" ] && [ ! -e "$root/etc/asound.conf" ] && [ ! -e "${HOME:-}/.asoundrc" ] || return 0
  id=$(card)
  [ -z "$id" ] || echo "plughw:CARD=$id"
}

speak() {
  command -v aplay >/dev/null 2>&1 || return 0
  to=$(pcm)
  timeout 15 aplay -q ${to:+-D "$to"} "${PARLEY_FALLBACK_WAV:-$here/out-of-service.wav}" || echo 'parley: the recording could not be played' >&2
}

speak
while :; do
  tell
  [ "$every_s" = once ] && exit 0
  sleep "$every_s" & wait $!
done
