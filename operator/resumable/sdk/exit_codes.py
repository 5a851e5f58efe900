"""What a worker's exit code says. A hint only: the record says how the run stands."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of a worker process."""

    DONE = 0
    FAILED = 1  # an exception left the job; counts against the failure budget
    INTERRUPTED = 75  # EX_TEMPFAIL: saved and left; the next attempt goes on
    WAITING = 76  # for a signal or a time; no process is needed meanwhile
    FENCED = 77  # another attempt owns the run
    FAILED_FOR_GOOD = 78  # EX_CONFIG: trying again would not help
