#!/bin/sh
# Read by sound.sh: PipeWire in the place of PulseAudio, with its session manager and its PulseAudio side, without a bus of messages.
export XDG_RUNTIME_DIR="$run/server" XDG_CONFIG_HOME="$run/config" XDG_STATE_HOME="$run/state"
for folder in pipewire/pipewire-pulse.conf.d wireplumber/main.lua.d wireplumber/bluetooth.lua.d; do mkdir -p "$XDG_CONFIG_HOME/$folder"; done
echo "pulse.properties = { server.address = [ \"unix:$run/native\" ] }" >"$XDG_CONFIG_HOME/pipewire/pipewire-pulse.conf.d/parley.conf"
# What would ask for a bus: who else holds a card (nobody), whom a desktop lets in, and headsets by radio, which end it where there is no logind (a container; a booted Debian has one).
printf 'alsa_monitor.properties["alsa.reserve"] = false\ndefault_access.properties["enable-flatpak-portal"] = false\n' >"$XDG_CONFIG_HOME/wireplumber/main.lua.d/60-parley.lua"
echo 'bluez_monitor.enabled = false' >"$XDG_CONFIG_HOME/wireplumber/bluetooth.lua.d/60-parley.lua"

# until_so COMMAND…: or until it ends.
until_so() { until "$@" || [ "$ending" = yes ] || ! alive; do sleep 0.1; done; }
has_speaker() { ask info | grep -q '^Default Sink: [^@]'; }
begin pipewire
until_so test -S "$XDG_RUNTIME_DIR/pipewire-0"
begin wireplumber
begin pipewire-pulse
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
