"""What a job promises though its process is killed: `--set scene=NAME` says which."""

import os
import signal
from pathlib import Path

from effects import effect, wait_for_file
from sqlalchemy import Connection, Engine, create_engine, text

from resumable import Fatal, Job, Retry, StepContext, job
from resumable.sdk.attempt import Attempt


def wait_to_be_killed(name: str) -> None:
    effect(name)
    wait_for_file("go")


def fail_after_waiting() -> None:
    wait_to_be_killed("try")
    raise OSError("refused")


def undo(n: int) -> None:
    effect(f"undo {n}")
    if os.environ.get("KILLED_IN") == str(n):
        os.kill(os.getpid(), signal.SIGKILL)
    effect(f"undone {n}")


def give_up() -> None:
    raise Fatal("sold out")


def debit(connection: Connection) -> int:
    connection.execute(text("INSERT INTO entry VALUES (7)"))
    return 7


def batches(step: StepContext[int], engine: Engine) -> int:
    for n in range(step.cursor or 0, 6):
        with step.transaction(engine) as connection:
            connection.execute(text("INSERT INTO entry VALUES (:n)"), {"n": n})
            step.save(n + 1)
        effect(f"batch {n}")
        step.stop_if_asked()
    return step.cursor or 0


def die_before_writing(call: str, *, at: int) -> None:
    """The store's n-th call of that name never goes out: the process is killed. Once, in this folder."""
    if Path("died").exists():
        return
    write = getattr(Attempt, call)
    left = at

    def killed(*args: object, **kwargs: object) -> object:
        nonlocal left
        left -= 1
        if left == 0:
            Path("died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return write(*args, **kwargs)

    setattr(Attempt, call, killed)


@job("promises")
def promises(j: Job, scene: str, url: str = "") -> str:
    match scene:
        case "retries":
            policy = Retry(max_attempts=2, initial="10ms", on=OSError)
            j.options(retry=policy).step("charge", fail_after_waiting)
        case "ask":
            j.options(effect="at-most-once").step("charge", wait_to_be_killed, "charge")
        case "undo":
            for n in range(3):
                j.options(key=n, compensate=undo).step("reserve", abs, n)
            j.step("pay", give_up)
        case "transaction":
            die_before_writing("finish_step", at=1)
            return str(j.transaction("debit", create_engine(url), debit))
        case "batches":
            die_before_writing("save_cursor", at=3)
            return str(j.step("import", batches, create_engine(url)))
        case _:
            raise ValueError(scene)
    return scene


if __name__ == "__main__":
    promises.main()
