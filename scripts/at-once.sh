#!/bin/sh
# Runs some commands at once and waits for all of them; fails where one fails.
pids=''
for command in "$@"; do
  sh -c "$command" &
  pids="$pids $!"
done
status=0
for pid in $pids; do
  wait "$pid" || status=1
done
exit "$status"
