#!/bin/sh
# Read by sound.sh: PipeWire in the place of PulseAudio, with its session manager and its PulseAudio side, without a bus of messages.
export XDG_RUNTIME_DIR="$run/server" XDG_CONFIG_HOME="$run/config" XDG_STATE_HOME="$run/state"
for folder in main bluetooth; do mkdir -p "$XDG_CONFIG_HOME/wireplumber/$folder.lua.d"; done
# What would ask for a bus: who else holds a card (nobody), whom a desktop lets in, and headsets by radio, which end it where there is no logind (a container; a booted Debian has one).
printf 'alsa_monitor.properties["alsa.reserve"] = false\ndefault_access.properties["enable-flatpak-portal"] = false\n' >"$XDG_CONFIG_HOME/wireplumber/main.lua.d/60-parley.lua"
echo 'bluez_monitor.enabled = false' >"$XDG_CONFIG_HOME/wireplumber/bluetooth.lua.d/60-parley.lua"

# until_so COMMAND…: or until it ends.
until_so() { until "$@" || [ "$ending" = yes ] || ! alive; do sleep 0.1; done; }
# Without a card there is none in some versions, and the owner's file may bring one: it is not waited for longer than 3 s.
looks=0
has_speaker() { looks=$((looks + 1)) && [ "$looks" -gt 30 ] || ask info | grep -q '^Default Sink: [^@]'; }
begin pipewire
until_so test -S "$XDG_RUNTIME_DIR/pipewire-0"
begin wireplumber
# At its own place, for where else it listens is said in another way from version to version (0.3.48, Ubuntu 22.04; 0.3.65, Debian 12).
pulse="$XDG_RUNTIME_DIR/pulse"
begin env -u PULSE_RUNTIME_PATH pipewire-pulse
until_so test -S "$pulse/native"
chmod 710 "$XDG_RUNTIME_DIR" "$pulse"
ln -sf "$pulse/native" "$run/native"
until_so has_speaker
# The owner's, as in PulseAudio's own files: `pactl` understands them line by line.
if [ "$ending" = no ] && [ -r "$own" ]; then
  set -f
  while read -r line; do
    case $line in '' | [#.]*) continue ;; esac
    ask $line >/dev/null || echo "parley-sound: refused: $line" >&2
  done <"$own"
  set +f
fi
