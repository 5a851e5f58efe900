#!/bin/sh
# Writes rows, and saves after each. A kill between the two writes one row twice, and only one.
set -eu
row=$(resumable cursor)
row=${row:-0}
while [ "$row" -lt "${ROWS:-12}" ]; do
    row=$((row + 1))
    echo "row $row" >>"$EFFECTS"
    resumable save "$row"
done
echo "$row rows"
