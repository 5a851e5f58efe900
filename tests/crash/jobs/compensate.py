"""A failure for good undoes what was done, in reverse order, and goes on with that after an interruption."""

from resumable import Fatal, Job, job
from tests.crash.journal import effect
from tests.crash.subject import Subject


def reserve(seat: str) -> str:
    effect(f"reserve[{seat}]")
    return f"reservation of {seat}"


def release(reservation: str) -> None:
    effect(f"compensate:reserve[{reservation.rpartition(' ')[2]}]")


def tell(whom: str) -> None:
    effect("on-failure:1")


def pay() -> None:
    effect("pay")
    raise Fatal("the card is not accepted")


@job("compensate")
def compensate(j: Job, seats: list[str]) -> None:
    j.on_failure(tell, "ann")
    for seat in seats:
        j.options(key=seat, compensate=release).step("reserve", reserve, seat)
    j.step("pay", pay)


SUBJECT = Subject(compensate, {"seats": ["1A", "1B"]})
