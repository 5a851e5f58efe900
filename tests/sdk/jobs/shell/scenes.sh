#!/bin/sh
# One scene a name.
set -eu
case "$1" in
long-command) # has no safe point of its own
    resumable step long -- sh -c 'echo begins >>"$EFFECTS"; trap "echo told >>\"\$EFFECTS\"; exit 1" TERM; sleep 60 & wait' ;;
deaf-command)
    resumable step deaf -- sh -c 'trap "" TERM; echo $$ >pid; echo begins >>"$EFFECTS"; sleep 60' ;;
between) # the script itself is busy when it is told
    resumable step one -- true
    echo between >>"$EFFECTS"
    until [ -e go ]; do sleep 0.02; done
    resumable step two -- sh -c 'echo two >>"$EFFECTS"' ;;
careless) # goes on after it was told
    set +e
    resumable step one -- true
    echo between >>"$EFFECTS"
    until [ -e go ]; do sleep 0.02; done
    resumable step two -- sh -c 'echo two >>"$EFFECTS"'
    exit 0 ;;
plain) # never calls us
    trap 'echo told >>"$EFFECTS"; exit 3' TERM
    echo begins >>"$EFFECTS"
    sleep 60 & wait ;;
approval)
    answer=$(resumable wait approval --hold 0s)
    echo "answer $answer" >>"$EFFECTS" ;;
timeout)
    resumable wait approval --timeout 100ms || [ $? -eq 124 ]
    echo gave-up >>"$EFFECTS" ;;
sleep)
    resumable sleep pause 200ms --hold 0s
    echo slept >>"$EFFECTS" ;;
retry)
    resumable step flaky --retry 3 --retry-after 10ms -- sh -c 'echo try >>"$EFFECTS"; [ "$(wc -l <"$EFFECTS")" -ge 3 ]' ;;
spent)
    resumable step flaky --retry 2 --retry-after 10ms -- sh -c 'echo try >>"$EFFECTS"; exit 5' ;;
caught)
    resumable step flaky --retry 2 --retry-after 10ms -- sh -c 'echo try >>"$EFFECTS"; exit 5' || echo "caught $?" >>"$EFFECTS" ;;
late)
    resumable step slow --timeout 200ms -- sh -c 'echo begins >>"$EFFECTS"; sleep 60' ;;
once)
    resumable step debit --at-most-once -- sh -c 'echo debit >>"$EFFECTS"; sleep 60' ;;
parallel)
    for n in 1 2 3 4; do
        resumable step part --key "$n" -- sh -c 'echo "part $0" >>"$EFFECTS"' "$n" &
    done
    wait ;;
unwaited)
    resumable step part -- sh -c 'echo begins >>"$EFFECTS"; sleep 60' &
    until [ -s "$EFFECTS" ]; do sleep 0.02; done ;;
esac
