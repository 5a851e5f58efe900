"""Runs `rows.py` as its worker. When that was fenced, tries all that it could still do to the run; logs the answers.

It has all that the worker had: the fence, the token, the address of the store.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from effects import log_effect

from resumable.state.open import open_store
from resumable.state.outcome import StoreError
from resumable.state.record import Encoded, Fence, RunStatus, Write
from resumable.state.store import Beginning, FinishedStep, RunEnd, SavedCursor

FENCED = 77
POISON = Encoded("json", b'"written by a zombie"')


def attack() -> None:
    store = open_store(os.environ["RESUMABLE_STORE_URL"], token_file=os.environ["RESUMABLE_TOKEN_FILE"])
    run = os.environ["RESUMABLE_RUN"]
    fence = Fence(run, int(os.environ["RESUMABLE_ATTEMPT"]), os.environ["RESUMABLE_NONCE"])
    successor = Fence(run, fence.attempt + 1, fence.nonce)  # it can guess the number, but not the nonce

    def write() -> Write:
        return Write(write_id=secrets.token_hex(16), sequence=1_000_000)

    writes: dict[str, Callable[[], object]] = {
        "begin": lambda: store.begin(fence, Beginning(process_id=secrets.token_hex(16))),
        "begin as the successor": lambda: store.begin(successor, Beginning(process_id=secrets.token_hex(16))),
        "heartbeat": lambda: store.heartbeat(fence),
        "save a cursor": lambda: store.save_cursor(fence, write(), SavedCursor(name="import-rows", value=POISON)),
        "finish a step": lambda: store.finish_step(fence, write(), FinishedStep(name="report", result=POISON)),
        "finish a step as the successor": lambda: store.finish_step(
            successor, write(), FinishedStep(name="report", result=POISON)
        ),
        "save the payload": lambda: store.save_payload(fence, write(), POISON),
        "end the run": lambda: store.end_run(fence, write(), RunEnd(status=RunStatus.SUCCEEDED, result=POISON)),
        "delete the run": lambda: store.delete_run(run),
    }
    for what, call in writes.items():
        try:
            answer: object = call()
        except StoreError as error:
            answer = error
        log_effect("attack", what=what, answer=type(answer).__name__, words=str(answer))


if __name__ == "__main__":
    worker = subprocess.run([sys.executable, Path(__file__).with_name("rows.py")])
    log_effect("exit", code=worker.returncode)
    if worker.returncode == FENCED:
        attack()
    sys.exit(worker.returncode)
