"""One job for many scenes: `--set scene=NAME` says which."""

import asyncio
import multiprocessing
import os
import signal
import sys
import time

from effects import effect, wait_for_file

from resumable import Job, StepContext, job


def wait_in_steps(step: StepContext[int]) -> int:
    """Saves again and again until the test says that it is enough."""
    turn = step.cursor or 0
    while not os.path.exists("go"):
        turn += 1
        step.save(turn)
        effect(f"saved {turn} by attempt of {os.getpid()}")
        time.sleep(0.02)
        step.stop_if_asked()
    return turn


def wait_without_saving(step: StepContext[int]) -> None:
    effect("waits")
    while not os.path.exists("go"):
        step.stop_if_asked()
        time.sleep(0.01)


def wait_shielded(step: StepContext[int]) -> None:
    with step.shield("20s"):
        effect("shielded")
        wait_for_file("go")
        step.stop_if_asked()
        effect("shield ends")
    step.stop_if_asked()
    effect("not reached")


def work_in_children() -> int:
    with multiprocessing.get_context("fork").Pool(2) as pool:  # its end sends SIGTERM to the children
        return sum(pool.map(abs, range(10)))


def run_event_loop(step: StepContext[int]) -> None:
    async def main() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, effect, "usr1")

    asyncio.run(main())  # took the wake-up descriptor, and leaves none behind
    wait_without_saving(step)


def raise_error() -> None:
    effect("raise")
    raise ValueError("bad row 7")


@job("scenes")
def scenes(j: Job, scene: str, number: int = 0) -> str:
    match scene:
        case "saving":
            j.step("wait", wait_in_steps)
        case "waiting":
            j.step("wait", wait_without_saving)
        case "shield":
            j.step("shield", wait_shielded)
        case "children":
            j.step("children", work_in_children)
            j.step("after", effect, "after")
        case "event-loop":
            j.step("loop", run_event_loop)
        case "error":
            j.step("raise", raise_error)
        case "exit":
            sys.exit(number)
        case "many":
            for n in range(1000):
                j.options(key=n).step("count", effect, f"step {n}")
        case _:
            raise ValueError(scene)
    return scene


if __name__ == "__main__":
    scenes.main()
