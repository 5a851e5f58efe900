"""Waits for a person, then sleeps: nothing runs meanwhile."""

from dataclasses import dataclass

from effects import effect

from resumable import Job, WaitTimeout, job


@dataclass
class Approval:
    granted: bool
    comment: str = ""


@job("approval")
def ask(j: Job, hold: str = "0s", timeout: str | None = None, rest: str = "0s") -> str:
    j.step("ask", effect, "asked")
    try:
        answer = j.wait("approval", Approval, timeout=timeout, hold=hold)
    except WaitTimeout:
        j.step("give-up", effect, "gave up")
        return "nobody"
    finally:
        effect("left the wait")
    j.sleep("rest", rest, hold="0s")
    j.step("act", effect, f"acted: {answer.payload.comment}")
    return "granted" if answer.payload.granted else "refused"


if __name__ == "__main__":
    ask.main()
