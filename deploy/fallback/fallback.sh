#!/bin/sh
# The device cannot talk: says so with a recording, tells the broker why, and goes on telling until systemd ends it.
# Plain shell: whatever broke the runtime (node, the model, the memory) must not break this as well.
state=${PARLEY_STATE:-/var/lib/parley}
etc=${PARLEY_ETC:-/etc/parley}
here=$(dirname "$0")
every_s=${PARLEY_FALLBACK_S:-60}

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

# `deploy provision` writes it: BROKER_HOST, BROKER_PORT, ROOT_TOPIC, and with TLS CA or CAPATH, CERT and KEY.
tell() {
  [ -r "$etc/fallback.env" ] && command -v mosquitto_pub >/dev/null 2>&1 || return 0
  . "$etc/fallback.env"
  # Retained, so that whoever looks later sees it, too; the voice takes it away when it is back.
  set -- -h "$BROKER_HOST" -p "$BROKER_PORT" -t "$ROOT_TOPIC/out-of-service" -q 1 -r -m "{\"why\":\"$why\",\"at\":$(date +%s)000}"
  [ -n "${CAPATH:-}" ] && set -- "$@" --capath "$CAPATH"
  [ -n "${CA:-}" ] && set -- "$@" --cafile "$CA"
  [ -n "${CERT:-}" ] && set -- "$@" --cert "$CERT" --key "$KEY"
  timeout 20 mosquitto_pub "$@" || echo 'parley: the broker was not told' >&2
}

speak() {
  command -v aplay >/dev/null 2>&1 || return 0
  timeout 15 aplay -q ${PARLEY_FALLBACK_PCM:+-D "$PARLEY_FALLBACK_PCM"} "${PARLEY_FALLBACK_WAV:-$here/out-of-service.wav}" || echo 'parley: the recording could not be played' >&2
}

speak
while :; do
  tell
  [ "$every_s" = once ] && exit 0
  sleep "$every_s" & wait $!
done
