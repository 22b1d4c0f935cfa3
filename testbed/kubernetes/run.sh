#!/usr/bin/env bash
# Runs a cluster for as long as its standard input is open: up.sh, a line `up`, and down.sh in the end, however its starter ended.
# Environment: as for up.sh, and LOCK, a file that only one cluster of a machine can hold.
here=$(cd "$(dirname "$0")" && pwd)
trap : INT TERM HUP
exec 9>"$LOCK"
flock -n 9 || { echo "another cluster runs on this machine; it holds $LOCK" >&2; exit 1; }
if "$here/up.sh" 9>&- >&2; then
  echo up
  # Whoever listened may be gone when it comes down.
  exec >/dev/null 2>&1
  read -r _
  status=0
else
  status=1
fi
"$here/down.sh" 9>&- >&2
exit $status
