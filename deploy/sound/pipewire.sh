#!/bin/sh
# PipeWire as the server of a device, for sound.sh: it, its session manager and its PulseAudio side, without a bus of messages. They
# live and die together. In RUNTIME_DIRECTORY; the owner's lines (FILE, may be missing) go to the server once it answers.
# Usage: pipewire.sh FILE
set -u
run=$RUNTIME_DIRECTORY own=$1
export XDG_RUNTIME_DIR="$run/server" XDG_CONFIG_HOME="$run/config" XDG_STATE_HOME="$run/state"
for folder in pipewire/pipewire-pulse.conf.d wireplumber/main.lua.d wireplumber/bluetooth.lua.d; do mkdir -p "$XDG_CONFIG_HOME/$folder"; done
echo "pulse.properties = { server.address = [ \"unix:$run/native\" ] }" >"$XDG_CONFIG_HOME/pipewire/pipewire-pulse.conf.d/parley.conf"
# What would ask for a bus: who else holds a card (nobody), whom a desktop lets in, and headsets by radio, which end it where there is no logind.
printf 'alsa_monitor.properties["alsa.reserve"] = false\ndefault_access.properties["enable-flatpak-portal"] = false\n' >"$XDG_CONFIG_HOME/wireplumber/main.lua.d/60-parley.lua"
echo 'bluez_monitor.enabled = false' >"$XDG_CONFIG_HOME/wireplumber/bluetooth.lua.d/60-parley.lua"

all= nap= ending=no
trap 'ending=yes; kill $all $nap 2>/dev/null' TERM INT
alive() { for pid in $all; do kill -0 "$pid" 2>/dev/null || return 1; done; }
pause() {
  sleep "$1" &
  nap=$!
  [ "$ending" = yes ] || wait "$nap"
}

pipewire &
all=$!
until [ -S "$XDG_RUNTIME_DIR/pipewire-0" ] || [ "$ending" = yes ] || ! alive; do pause 0.1; done
wireplumber &
all="$all $!"
pipewire-pulse &
all="$all $!"
until timeout 5 pactl info 2>/dev/null | grep -q '^Default Sink: [^@]' || [ "$ending" = yes ] || ! alive; do pause 0.1; done
# As in PulseAudio's own files, which `pactl` understands line by line.
if [ "$ending" = no ] && [ -r "$own" ]; then
  set -f
  sed 's/^[[:space:]]*//; /^[#.]/d; /^$/d' "$own" | while read -r line; do
    timeout 5 pactl $line >/dev/null || echo "parley-sound: refused: $line" >&2
  done
  set +f
fi
while [ "$ending" = no ] && alive; do pause 1; done
kill $all $nap 2>/dev/null
wait
[ "$ending" = yes ]
