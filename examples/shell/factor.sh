#!/bin/sh
# Factor a range of numbers, chunk after chunk, and count the primes. Killed at any moment it goes on: each number is in
# the files once.
#
# A chunk is a step, told apart by its key. A step that is done is skipped, and prints what it printed then.
set -eu # `resumable` says by its exit code that the script has to stop; set -e does it

here=$(dirname "$0")
export VOLUME="${RESUMABLE_CHECKPOINT_DIR:-.resumable/factor}" # must outlive the pod, as all files that steps share

first=$(resumable step plan -- sh -c 'mkdir -p "$VOLUME" && echo "${FIRST:-1000000}"')

chunk=0
while [ "$chunk" -lt "${CHUNKS:-4}" ]; do
    resumable step factor --key "$chunk" --retry 3 -- \
        sh "$here/chunk.sh" "$VOLUME/chunk-$chunk.txt" $((first + chunk * ${SIZE:-500})) "${SIZE:-500}"
    chunk=$((chunk + 1))
done

# A prime is printed as "1000003: 1000003": two fields.
resumable step report -- sh -c 'cat "$VOLUME"/chunk-*.txt | awk "NF == 2" | wc -l | tr -d " " | tee "$VOLUME/primes"'
