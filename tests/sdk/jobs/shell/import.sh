#!/bin/sh
# Steps, a loop with keys, and a step that saves a cursor. EFFECTS is the judge.
set -eu
here=$(dirname "$0")
token=$(resumable step open -- sh -c 'echo open >>"$EFFECTS"; echo token-17')
resumable step rows -- sh "$here/rows.sh"
for region in eu us; do
    resumable step ship --key "$region" -- sh -c 'echo "ship $0 $1" >>"$EFFECTS"' "$region" "$token"
done
echo "closed $token"
