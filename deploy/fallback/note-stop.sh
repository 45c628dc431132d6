#!/bin/sh
# ExecStopPost= of parley.service: why it stopped, in one line, for the fallback and for whoever looks. Keeps only failures.
[ "${SERVICE_RESULT:-success}" = success ] && exit 0
file=${PARLEY_STATE:-/var/lib/parley}/last-failure
# Without it node ends with 1, as a voice whose microphone ended does.
[ -e "${PARLEY_ENTRY:-/opt/parley/current/app/dist/runtime/cli/main.js}" ] && entry= || entry=' entry=missing'
# Always as long, so that one note fits exactly over another.
line=$(printf '%-127s.' "result=$SERVICE_RESULT code=${EXIT_CODE:-} status=${EXIT_STATUS:-} at=$(date -u +%Y-%m-%dT%H:%M:%SZ)$entry")
{ printf '%s\n' "$line" >"$file.new"; } 2>/dev/null && mv -f "$file.new" "$file" && exit 0
rm -f "$file.new"
# A full disk takes nothing new. Over the last note, in its place; and rather none than that of another stop.
{ printf '%s\n' "$line" | dd of="$file" conv=notrunc,nocreat; } 2>/dev/null || rm -f "$file"
