"""Fails twice for a while, then until a person has looked."""

from effects import log_effect, told

from resumable import Job, Retry, job


def ship() -> str:
    log_effect("ship")
    if not told("road-is-clear"):
        raise OSError("the road is blocked")
    return "shipped"


def sign() -> None:
    log_effect("sign")
    if not told("paper-is-right"):
        raise ValueError("the paper is wrong")


@job("retries", version="1")
def run(j: Job) -> None:
    j.options(retry=Retry(max_attempts=9, initial="4s", factor=1.0, jitter=0.0, hold="0s")).step("ship", ship)
    j.options(retry=Retry.manual()).step("sign", sign)


if __name__ == "__main__":
    run.main()
