#!/bin/sh
# ExecStopPost= of parley.service: why it stopped, in one line, for the fallback and for whoever looks. Keeps only failures.
[ "${SERVICE_RESULT:-success}" = success ] && exit 0
file=${PARLEY_STATE:-/var/lib/parley}/last-failure
printf 'result=%s code=%s status=%s at=%s\n' "$SERVICE_RESULT" "${EXIT_CODE:-}" "${EXIT_STATUS:-}" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >"$file.new" && mv -f "$file.new" "$file"
