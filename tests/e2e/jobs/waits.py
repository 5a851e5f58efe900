"""Asks for an approval, then cools down: neither keeps a pod."""

from dataclasses import dataclass

from effects import log_effect

from resumable import Job, WaitTimeout, job


@dataclass
class Approval:
    approved: bool
    rows: list[int]


def prepare() -> None:
    log_effect("prepare")


def note(approval: Approval, sender: str, signal: str) -> None:
    log_effect("answered", approved=approval.approved, rows=approval.rows, sender=sender, signal=signal)


def report(outcome: str) -> str:
    log_effect("report", outcome=outcome)
    return outcome


@job("waits", version="1")
def run(j: Job, timeout: str = "1h", sleep: str = "") -> str:
    j.step("prepare", prepare)
    outcome = "nobody answered"
    try:
        answer = j.wait("approval", Approval, timeout=timeout, hold="0s")
    except WaitTimeout:
        pass
    else:
        j.step("note", note, answer.payload, answer.sender, answer.id)
        outcome = "approved" if answer.payload.approved else "refused"
    if sleep:
        j.sleep("cool-down", sleep, hold="0s")
    return j.step("report", report, outcome)


if __name__ == "__main__":
    run.main()
