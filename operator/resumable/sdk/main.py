"""`job.main()`: the job as a process, started by the operator or by hand.

Signals are taken over before anything else, then the run's attempt is begun, and the exit code says how it went
(`exit_codes`).
"""

import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from resumable.sdk import environment
from resumable.sdk.attempt import Attempt
from resumable.sdk.environment import InvalidEnvironment, WorkerEnvironment
from resumable.sdk.errors import ControlException, ResumableError, RunIsBusy
from resumable.sdk.execution import Ending, execute, left
from resumable.sdk.exit_codes import ExitCode
from resumable.sdk.heartbeat import Heartbeat
from resumable.sdk.interruption import Interruption
from resumable.sdk.job import JobDefinition
from resumable.sdk.log_output import log_to_stderr
from resumable.sdk.watchdog import Watchdog
from resumable.state.outcome import StoreError, StoreUnavailable

log = logging.getLogger("resumable")


def main(definition: JobDefinition[..., Any], arguments: Sequence[str] | None) -> NoReturn:
    """Run the job and exit."""
    log_to_stderr()
    try:
        interruption = Interruption(environment.grace(os.environ))
        watchdog = Watchdog(interruption)
        watchdog.start()
        code = _run(definition, arguments, interruption)
    except InvalidEnvironment as error:
        log.error("%s", error)
        sys.exit(ExitCode.FAILED)
    watchdog.settle(code)
    sys.exit(code)


def _run(definition: JobDefinition[..., Any], arguments: Sequence[str] | None, interruption: Interruption) -> int:
    try:
        if environment.SOCKET in os.environ:
            raise ResumableError(
                f"job {definition.name!r} is started inside of `resumable exec`, whose run it isn't: start it without"
            )
        worker = WorkerEnvironment.read(os.environ)
        if worker is not None:
            return _work(definition, worker, interruption).process_code
        from resumable.sdk.command_line import run_by_hand

        return run_by_hand(definition, arguments, interruption)
    except ControlException as leaving:
        return left(leaving).exit_code
    except StoreUnavailable as error:
        log.error("the store does not answer: %s", error)
        return ExitCode.INTERRUPTED
    except RunIsBusy as error:
        log.error("%s", error)
        return ExitCode.FENCED
    except (ResumableError, StoreError) as error:
        log.error("%s", error)
        return ExitCode.FAILED


def _work(definition: JobDefinition[..., Any], worker: WorkerEnvironment, interruption: Interruption) -> Ending:
    """The attempt that the operator started this process for."""
    from resumable.state.open import open_store

    store = open_store(worker.store_url, token_file=str(worker.token_file) if worker.token_file else None)
    attempt = Attempt.begin(
        store,
        worker.fence,
        interruption,
        store_timeout=worker.store_timeout,
        pod_uid=worker.pod_uid,
        code_version=definition.version,
    )
    with Heartbeat(attempt, limit=worker.store_timeout):
        return execute(definition, attempt, worker.checkpoint_dir)
