#!/bin/sh
# chunk.sh FILE FIRST SIZE: one step of factor.sh. Its cursor is how many lines of FILE count.
set -eu

lines=$(resumable cursor)
lines=${lines:-0}
touch "$1"
head -n "$lines" "$1" >"$1.new" # what was written after the last save is written again
mv "$1.new" "$1"

while [ "$lines" -lt "$3" ]; do
    factor $(($2 + lines)) >>"$1"
    lines=$((lines + 1))
    sleep "${PACE:-0}"
    if [ $((lines % 50)) -eq 0 ]; then
        resumable progress "$lines" "$3" "number $(($2 + lines))"
        resumable save "$lines" # stops here when the pod has to go
    fi
done
echo "$lines lines in $1" >&2
