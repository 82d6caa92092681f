#!/bin/sh
# Brings the database to the newest migration, then becomes the container's command.
set -eu

# In the background, because a shell hears a signal only while it waits. As process 1 it would
# otherwise ignore `docker stop`, and the migration would be killed instead of ended cleanly.
stopped=0
init=
trap 'stopped=143; if [ "$init" ]; then kill -TERM "$init" 2>/dev/null || :; fi' TERM INT HUP
db-ops init &
init=$!

# A signal ends `wait`, not `init`, whose own exit code is the one that counts.
status=0
wait "$init" || status=$?
while kill -0 "$init" 2>/dev/null; do
    status=0
    wait "$init" || status=$?
done

if [ "$status" -ne 0 ]; then exit "$status"; fi
if [ "$stopped" -ne 0 ]; then exit "$stopped"; fi
exec "$@"
