#!/bin/sh
# Makes a machine a talking device, and may be run as often as one likes: what is there already stays.
# Debian 12, Ubuntu 22.04 and 24.04, JetPack 6 and 7. POSIX sh: see --help.
set -eu

usage() {
  cat <<'TEXT'
deploy/install.sh [options]        as root

  --from DIR      a built source tree (default: the one that this script lies in)
  --trust FILE    the vendor's 1.root.json; without it no update is accepted
  --node FILE     the node to run with, 20.17 or newer (default: bin/node of the tree, then the one on the PATH)
  --audio alsa    the card belongs to parley alone (the default the first time: nothing between it and the microphone, 20 ms frames)
  --audio pulse   a PulseAudio server of the device's own (parley-sound.service) with an echo canceller; programs of root
                  and of the group parley can use it, too
  --audio pipewire
                  the same with PipeWire: for a device whose other programs want it; three processes, and a later sound
  --screen        a kiosk's screen as well: cage and Chromium (some 200 MB are fetched) show the page at http://127.0.0.1:8137/
  --no-screen     takes the screen off again; its packages stay
  --root DIR      into a folder instead of /: no packages, no running services
  --no-packages   no apt-get
  --dry-run       says what it would do, and does nothing
  --uninstall     removes the program and its services; /etc/parley and /var/lib/parley stay
  --purge         with --uninstall: those as well

Exit codes: 0 done, 2 wrong option, 4 this system is not supported or something is missing.
TEXT
}

root= node= from=$(dirname "$(dirname "$(readlink -f "$0")")") trust= audio= screen= packages=yes dry=no uninstall=no purge=no
while [ $# -gt 0 ]; do
  case $1 in
    --from|--trust|--audio|--root|--node) [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; }; eval "${1#--}=\$2"; shift ;;
    --screen) screen=yes ;;
    --no-screen) screen=no ;;
    --no-packages) packages=no ;;
    --dry-run) dry=yes ;;
    --uninstall) uninstall=yes ;;
    --purge) purge=yes ;;
    --help|-h) usage; exit 0 ;;
    *) echo "install.sh: there is no option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
case $audio in ''|alsa|pulse|pipewire) ;; *) echo "--audio is alsa, pulse or pipewire, not $audio" >&2; exit 2 ;; esac
root=${root%/}
[ -n "$root" ] && packages=no
# Run again it stays what it was.
screen_on=$root/etc/systemd/system/parley.target.wants/parley-screen.service
if [ -z "$screen" ]; then [ -L "$screen_on" ] && screen=yes || screen=no; fi
server=$root/etc/systemd/system/parley-sound.service.d/server.conf
why='asked for'
if [ -z "$audio" ]; then
  why='as it was installed before'
  if [ -e "$server" ]; then audio=pipewire
  elif [ -e "$root/etc/pulse/default.pa.d/parley.pa" ]; then audio=pulse
  else
    audio=alsa
    [ -e "$root/etc/systemd/system/parley.service" ] || why='the default'
  fi
fi
# The service is another user: it must be able to read what root writes here, whatever root's own umask.
umask 022

say() { printf '%s\n' "$*"; }
missing() { printf 'install.sh: %s\n' "$*" >&2; exit 4; }
# Every change goes through here.
do_it() { if [ "$dry" = yes ]; then say "would: $*"; else "$@"; fi; }
live() { [ -z "$root" ] && [ -d /run/systemd/system ]; }
units="parley.service parley-update.service parley-update.timer parley-update.path parley-fallback.service parley-screen.service parley-light.service parley-sound.service parley.target"

# copy FROM TO MODE: only what differs, and never half of it.
copy() {
  cmp -s "$1" "$2" 2>/dev/null && return 0
  changed=yes
  do_it install -D -m "$3" "$1" "$2.new"
  do_it mv -f "$2.new" "$2"
}

if [ "$uninstall" = yes ]; then
  # One by one: one that is not there must not keep the others running. The target first, so that nothing starts them again.
  if live; then for unit in parley.target parley-update.timer parley-update.path $units; do do_it systemctl disable --now "$unit" 2>/dev/null || true; done; fi
  for unit in $units; do do_it rm -f "$root/etc/systemd/system/$unit"; done
  do_it rm -f "$root/etc/systemd/system/multi-user.target.wants/parley.target"
  do_it rm -rf "$root/etc/systemd/system/parley.target.wants"
  do_it rm -f "$root/etc/systemd/system/parley.service.d/notify.conf"
  for unit in parley parley-fallback parley-sound; do
    do_it rm -f "$root/etc/systemd/system/$unit.service.d/sound.conf" "$root/etc/systemd/system/$unit.service.d/server.conf"
    do_it rmdir "$root/etc/systemd/system/$unit.service.d" 2>/dev/null || true # an owner's own files stay there
  done
  do_it rm -f "$root/usr/lib/sysusers.d/parley.conf" "$root/usr/lib/tmpfiles.d/parley.conf" "$root/etc/udev/rules.d/85-parley.rules" "$root/etc/systemd/journald.conf.d/parley.conf" "$root/etc/pulse/default.pa.d/parley.pa" "$root/etc/pipewire/pipewire-pulse.conf.d/parley.conf" "$root/usr/local/bin/parley"
  do_it rm -rf "$root/opt/parley" "$root/var/lib/parley-update" "$root/var/lib/parley-screen"
  if [ "$purge" = yes ]; then do_it rm -rf "$root/etc/parley" "$root/var/lib/parley" "$root/var/log/parley"; fi
  if live; then do_it systemctl daemon-reload; fi
  say "parley is removed$([ "$purge" = yes ] || echo '; /etc/parley and /var/lib/parley are still there (--purge removes them)')"
  exit 0
fi

# --- what it runs on
system=unknown
if [ -r "$root/etc/os-release" ]; then system=$(. "$root/etc/os-release"; printf '%s %s' "${ID:-}" "${VERSION_ID:-}"); fi
case $system in
  'debian 12'|'ubuntu 22.04'|'ubuntu 24.04') ;;
  *) missing "this is '$system'; supported are Debian 12, Ubuntu 22.04 and 24.04, JetPack 6 and 7" ;;
esac
jetson=
if [ -r "$root/etc/nv_tegra_release" ]; then
  case $(sed -n 's/^# R\([0-9]*\) .*/\1/p' "$root/etc/nv_tegra_release") in
    36) jetson='JetPack 6' ;;
    38|39) jetson='JetPack 7' ;;
    *) missing 'this JetPack is too old: 6 or 7 is needed' ;;
  esac
fi
say "system: $system${jetson:+, $jetson}"
[ -n "$root" ] || [ "$(id -u)" = 0 ] || missing 'it must run as root: sudo deploy/install.sh'
# A node that a person keeps in his home is not to be seen by the services, and one that was handed over is ours: both are copied.
# One of the system stays where it is, with the libraries that it needs, and is kept up to date with it.
copied=yes
if [ -z "$node" ] && [ -x "$from/bin/node" ]; then node=$from/bin/node; fi
# Run again from the release itself, on a device that may have no other.
if [ -z "$node" ] && [ ! -L "$root/opt/parley/guard/node" ] && [ -x "$root/opt/parley/guard/node" ]; then node=$root/opt/parley/guard/node; fi
if [ -z "$node" ]; then
  node=$(command -v node) || missing 'node is missing: --node FILE, or 20.17 or newer on the PATH'
  case $(readlink -f "$node") in /home/*|/root/*) ;; *) copied=no ;; esac
fi
node=$(readlink -f "$node")
"$node" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 17) ? 0 : 1)' || missing "$("$node" -v) is too old: 20.17 or newer is needed"
[ -f "$from/dist/deploy/install/first-release.js" ] || missing "$from is not built: npm ci && npm run build"
# A release that is there stays current, and so does one that an update brought.
again=$root/opt/parley/.reinstall making=yes
if [ -L "$root/opt/parley/current" ] && [ ! -f "$again" ]; then making=no; fi
# An installed release has both beside its app: one made of the app alone could not talk.
if [ "$making" = yes ]; then
  for part in node_modules models/pico; do
    [ -d "$from/$part" ] || missing "$from has no $part: run deploy/install.sh of the vendor's tree (a built clone, or what was handed over, unpacked), not of an installed release$([ ! -f "$again" ] || echo "; to keep the release as it is: rm $again")"
  done
fi

# --- packages
if [ "$packages" = yes ]; then
  want='alsa-utils libasound2-plugins mosquitto-clients'
  [ "$audio" = pulse ] && want="$want pulseaudio pulseaudio-utils"
  [ "$audio" = pipewire ] && want="$want pipewire pipewire-pulse wireplumber pulseaudio-utils"
  # Debian's cage does not start without Xwayland, though it needs none; seatd gives a service without a session the screen.
  if [ "$screen" = yes ]; then
    want="$want cage xwayland seatd"
    case $system in
      debian*) want="$want chromium" ;;
      # Ubuntu's is a snap, which wants a session, a home and more rights than the unit has.
      *) [ -x /usr/bin/chromium ] || missing "--screen: Ubuntu has Chromium as a snap only, which no hardened service can start; put one that is none at /usr/bin/chromium first" ;;
    esac
  fi
  installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
  # Without a time server certificates are refused, and a minimal Debian has none that asks one.
  clock=no
  for package in systemd-timesyncd chrony ntpsec ntp openntpd; do if installed "$package"; then clock=yes; fi; done
  [ "$clock" = yes ] || want="$want systemd-timesyncd"
  lacking=
  for package in $want; do installed "$package" || lacking="$lacking $package"; done
  if [ -n "$lacking" ]; then
    do_it env DEBIAN_FRONTEND=noninteractive apt-get update -q
    do_it env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $lacking
  fi
fi

# --- files
changed=no
for unit in $units; do copy "$from/systemd/$unit" "$root/etc/systemd/system/$unit" 644; done
copy "$from/systemd/sysusers.d/parley.conf" "$root/usr/lib/sysusers.d/parley.conf" 644
copy "$from/systemd/tmpfiles.d/parley.conf" "$root/usr/lib/tmpfiles.d/parley.conf" 644
copy "$from/systemd/udev/85-parley.rules" "$root/etc/udev/rules.d/85-parley.rules" 644
journal=no
cmp -s "$from/systemd/journald.conf.d/parley.conf" "$root/etc/systemd/journald.conf.d/parley.conf" 2>/dev/null || journal=yes
copy "$from/systemd/journald.conf.d/parley.conf" "$root/etc/systemd/journald.conf.d/parley.conf" 644
# Behind the server's echo canceller. Its line is in the first file for either server; the second is for a person's PipeWire, in which he tries parley.
canceller=$root/etc/pulse/default.pa.d/parley.pa
persons=$root/etc/pipewire/pipewire-pulse.conf.d/parley.conf
voice=$root/etc/systemd/system/parley.service.d/sound.conf
fallback=$root/etc/systemd/system/parley-fallback.service.d/sound.conf
# Nothing of the way in which the device had its sound before.
drop() {
  for file in "$@"; do
    [ -e "$file" ] || continue
    changed=yes
    do_it rm -f "$file"
    another=yes
  done
}
another=no
if [ "$audio" = alsa ]; then drop "$voice" "$fallback" "$canceller" "$persons" "$server"
else
  copy "$from/systemd/pulse/voice.conf" "$voice" 644
  copy "$from/systemd/pulse/fallback.conf" "$fallback" 644
  copy "$from/deploy/sound/parley.pa" "$canceller" 644
  if [ "$audio" = pulse ]; then
    drop "$server"
    copy "$from/deploy/sound/parley-pipewire.conf" "$persons" 644
  else
    drop "$persons" # the device's own would load it, too
    [ -e "$server" ] || another=yes
    copy "$from/systemd/pipewire/server.conf" "$server" 644
  fi
fi
# The guard is what undoes a bad release, so it is no part of any.
copy "$from/deploy/update/boot-guard.sh" "$root/opt/parley/guard/boot-guard.sh" 755
for script in fallback.sh try-again.sh note-stop.sh updater.sh; do copy "$from/deploy/fallback/$script" "$root/opt/parley/guard/$script" 755; done
for script in sound.sh pipewire.sh; do copy "$from/deploy/sound/$script" "$root/opt/parley/guard/$script" 755; done
copy "$from/deploy/light/light.sh" "$root/opt/parley/guard/light.sh" 755
copy "$from/deploy/screen/screen.sh" "$root/opt/parley/guard/screen.sh" 755
copy "$from/deploy/fallback/out-of-service.wav" "$root/opt/parley/guard/out-of-service.wav" 644
copy "$from/deploy/install/parley.sh" "$root/opt/parley/guard/parley" 755
if [ "$copied" = yes ]; then
  [ ! -L "$root/opt/parley/guard/node" ] || do_it rm -f "$root/opt/parley/guard/node"
  copy "$node" "$root/opt/parley/guard/node" 755
elif [ "$(readlink "$root/opt/parley/guard/node" 2>/dev/null)" != "$node" ]; then
  do_it ln -s "$node" "$root/opt/parley/guard/.node.new"
  do_it mv -fT "$root/opt/parley/guard/.node.new" "$root/opt/parley/guard/node"
fi

# --- whom it runs as
if command -v systemd-sysusers >/dev/null 2>&1; then do_it systemd-sysusers ${root:+--root="$root"} parley.conf
else missing 'systemd-sysusers is missing: systemd is needed'; fi
if command -v systemd-tmpfiles >/dev/null 2>&1; then do_it systemd-tmpfiles ${root:+--root="$root"} --create parley.conf; fi

# --- the release
if [ "$dry" = yes ]; then say "would: make a release of $from and point $root/opt/parley/current at it"
elif [ "$making" = no ]; then
  say 'a release is installed already; updates replace it (or, in the tree that it was installed from: touch /opt/parley/.reinstall and run this again)'
else
  "$node" "$from/deploy/notify/build.mjs"
  hash=$("$node" "$from/dist/deploy/install/first-release.js" --from "$from" --root "${root:-/}")
  rm -f "$again"
  say "release: $hash"
fi

# --- which sound, and why
if [ "$audio" = alsa ]; then
  say "sound: ALSA ($why), the card belongs to parley alone: shortest way, nothing resamples; other programs cannot play"
  say 'echo: no canceller but one in the device itself (a speakerphone); parley provision measures what comes back'
  text='# Written by install.sh; yours from now on. sudo parley check-config checks it.\n[microphone]\ndriver = "alsa"\n\n[speaker]\ndriver = "speaker"\n'
else
  [ "$audio" = pulse ] && name=PulseAudio late='some 10 to 30 ms are added' || name=PipeWire late='more is added than by PulseAudio'
  say "sound: a $name server of its own ($why; parley-sound.service); other programs play as well, $late"
  say 'echo: the server has a WebRTC canceller (parley_mic, parley_speaker); sudo parley doctor --echo measures it'
  text='# Written by install.sh; yours from now on. sudo parley check-config checks it.\n[microphone]\ndriver = "pulse"\n\n[speaker]\ndriver = "pipe"\n'
fi

# --- settings: written once, then they are the owner's
if [ ! -f "$root/etc/parley/parley.toml" ]; then
  if [ "$dry" = yes ]; then say "would: write $root/etc/parley/parley.toml"
  else printf "$text" >"$root/etc/parley/.parley.toml.new" && chmod 640 "$root/etc/parley/.parley.toml.new" && mv "$root/etc/parley/.parley.toml.new" "$root/etc/parley/parley.toml"; fi
  [ -n "$root" ] || do_it chgrp parley "$root/etc/parley/parley.toml"
fi
if [ -n "$trust" ]; then copy "$trust" "$root/etc/parley/root.json" 644
elif [ ! -f "$root/etc/parley/root.json" ]; then say 'no --trust: this device accepts no updates'; fi
if [ ! -L "$root/usr/local/bin/parley" ]; then
  do_it mkdir -p "$root/usr/local/bin"
  do_it ln -s /opt/parley/guard/parley "$root/usr/local/bin/parley"
fi

# Without its addon the voice reports through a program, and systemd must listen to that one too.
dropin=$root/etc/systemd/system/parley.service.d/notify.conf
addon=$root/opt/parley/current/app/dist/deploy/notify/notify.node
if [ "$dry" = no ] && [ -e "$addon" ]; then
  [ ! -e "$dropin" ] || { rm -f "$dropin"; changed=yes; }
elif [ "$dry" = no ] && [ ! -e "$dropin" ]; then
  mkdir -p "${dropin%/*}"
  printf '[Service]\nNotifyAccess=all\n' >"$dropin"
  changed=yes
fi

# --- on
do_it systemctl ${root:+--root="$root"} enable parley.target parley.service parley-update.timer parley-update.path
if [ "$screen" = yes ]; then do_it systemctl ${root:+--root="$root"} enable parley-screen.service
elif [ -L "$screen_on" ]; then
  do_it systemctl ${root:+--root="$root"} disable parley-screen.service
  if live; then do_it systemctl stop parley-screen.service; fi
fi
if live; then
  [ "$changed" = no ] || do_it systemctl daemon-reload
  [ "$journal" = no ] || do_it systemctl try-restart systemd-journald.service # it reads its limits when it starts
  if [ "$another" = yes ] && [ "$audio" = alsa ]; then do_it systemctl stop parley-sound.service
  elif [ "$another" = yes ]; then do_it systemctl try-restart parley-sound.service; fi
  # A container has no udev of its own; there is nothing to name there, and that must not end this.
  if systemctl -q is-active systemd-udevd.service; then
    do_it udevadm control --reload
    do_it udevadm trigger --subsystem-match=sound --subsystem-match=video4linux # what is plugged in already gets its names, too
  fi
  do_it systemctl start --no-block parley.target
fi
[ "$dry" = yes ] || sync # a technician pulls the plug right after
say "installed. Next: sudo parley provision, then sudo parley doctor"
