"""Shell scripts, and anything that can start a program, as jobs: `resumable exec -- ./job.sh`.

`exec` is the process that holds the attempt: its fence, its heartbeat, its one connection to the store. The script's
own calls (`resumable step`, `save`, `wait`, …) are short-lived clients that ask it over a Unix socket. So a script has
exactly the promises of a Python job, and a call costs no more than the start of an interpreter.
"""
