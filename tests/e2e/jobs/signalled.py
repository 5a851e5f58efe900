"""Takes one signal after the other, each wait in the middle of which its worker may leave."""

from effects import log_effect

from resumable import Job, job


def note(number: int, payload: int) -> None:
    log_effect("took", number=number, payload=payload)


@job("signalled", version="1")
def run(j: Job, signals: int) -> int:
    for number in range(signals):
        taken = j.options(key=number).wait("tick", int, hold="200ms")
        j.options(key=number).step("note", note, number, taken.payload)
    return signals


if __name__ == "__main__":
    run.main()
