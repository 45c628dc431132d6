#!/bin/sh
# The sound server of a device (install.sh --audio pulse: PulseAudio; --audio pipewire: PipeWire) for the voice, for root and for whoever is of the group parley,
# without a session and without a home. Puts the echo canceller between microphone and speaker as soon as both are there, and
# again when one was unplugged and came back; READY once it is in its place, for a voice that opens before would hear itself.
set -u
run=${RUNTIME_DIRECTORY:-/run/parley-sound}
own=${PARLEY_ETC:-/etc/parley}/sound.pa
canceller=${PARLEY_CANCELLER:-/etc/pulse/default.pa.d/parley.pa}
# A USB card is there some seconds after the start; a device without one must come up all the same, and say what is missing.
wait_s=10

export HOME="$run" PULSE_SERVER="unix:$run/native" PULSE_RUNTIME_PATH="$run/server" PULSE_STATE_PATH="$run/state" PULSE_COOKIE="$run/cookie"
mkdir -p -m 700 "$run/server" "$run/state"
rm -f "$run/native"

servers= nap= ending=no
trap 'ending=yes; kill $servers $nap 2>/dev/null' TERM INT
ask() { timeout 5 pactl "$@" 2>/dev/null; }
# What is said to systemd says this script alone.
begin() {
  env -u NOTIFY_SOCKET "$@" &
  servers="$servers $!"
}
# None of them is of use without the others.
alive() { for pid in $servers; do kill -0 "$pid" 2>/dev/null || return 1; done; }

if [ "${PARLEY_SOUND_SERVER:-pulseaudio}" = pipewire ]; then . "${0%/*}/pipewire.sh"
else
  {
    # Anonymous: who may come is said by the mode of the folder.
    echo "load-module module-native-protocol-unix auth-anonymous=1 socket=$run/native"
    echo '.nofail'
    echo 'load-module module-udev-detect'
    # The owner's: a card that is fixed, a profile, a volume.
    [ ! -r "$own" ] || echo ".include $own"
  } >"$run/start.pa"
  begin pulseaudio -n --daemonize=no --exit-idle-time=-1 --use-pid-file=no --log-target=stderr --file="$run/start.pa"
fi

cancels() { ask list short modules | grep -q module-echo-cancel; }
# Not what is only a copy of a speaker, nor the sink of a server that has none.
both_there() { ask list short sources | cut -f2 | grep -qv '\.monitor$' && ask list short sinks | cut -f2 | grep -qv '^auto_null$'; }
put_canceller() {
  cancels && return
  both_there || return
  # Split at each blank, and put together again by pactl: its quotes stay as they are.
  set -f
  ask load-module $(sed -n 's/^load-module //p' "$canceller") >/dev/null || echo 'parley-sound: the echo canceller cannot be loaded' >&2
}

ready=no waited=0
while [ "$ending" = no ] && alive; do
  put_canceller
  if [ "$ready" = no ] && { cancels || [ "$waited" -ge "$wait_s" ]; }; then
    ready=yes
    cancels && state='with its echo canceller' || state='no microphone or no speaker yet'
    [ -z "${NOTIFY_SOCKET:-}" ] || systemd-notify --ready --status="$state"
  fi
  waited=$((waited + 1))
  sleep "$([ "$ready" = yes ] && echo 5 || echo 1)" &
  nap=$!
  [ "$ending" = yes ] || wait "$nap"
done
kill $servers $nap 2>/dev/null
wait
[ "$ending" = yes ]
