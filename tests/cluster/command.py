"""Running a command to its end, with its own words in the error."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from tests.cluster.errors import ClusterError, CommandFailed


def run(
    *argv: str | Path,
    input: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: timedelta = timedelta(minutes=10),
) -> str:
    """Runs a command and returns what it printed to stdout.

    Raises:
        CommandFailed: it ended with another exit code than 0.
        ClusterError: it does not exist, or took longer than `timeout`.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, **(env or {})},
            cwd=cwd,
            timeout=timeout.total_seconds(),
        )
    except FileNotFoundError as error:
        raise ClusterError(f"The command `{words[0]}` was not found ({error}).") from None
    except subprocess.TimeoutExpired:
        raise ClusterError(f"`{' '.join(words)}` had not ended after {timeout.total_seconds():.0f} s.") from None
    if done.returncode != 0:
        raise CommandFailed(words, done.returncode, done.stdout, done.stderr)
    return done.stdout


def run_logged(
    argv: Sequence[str | Path], log: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> None:
    """Runs a long command with its output in a file.

    Raises:
        CommandFailed: it failed; the error holds the end of the log and names the file.
    """
    words = [str(word) for word in argv]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
    if done.returncode != 0:
        end = log.read_text(errors="replace")[-3000:]
        raise CommandFailed(words, done.returncode, "", f"{end}\n(the whole log: {log})")
