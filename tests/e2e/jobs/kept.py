"""Its record is kept for a moment only."""

from effects import log_effect

from resumable import Job, job


@job("kept", version="1", keep="1s")
def run(j: Job) -> None:
    j.step("work", log_effect, "work")


if __name__ == "__main__":
    run.main()
