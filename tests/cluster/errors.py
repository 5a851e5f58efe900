"""What can go wrong, each with a sentence for the person who reads it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


class ClusterError(Exception):
    """The cluster, or something that it needs, is not as it should be; the message says what to do."""


class CommandFailed(ClusterError):
    """A command ended with a non-zero exit code.

    Attributes:
        argv: the command.
        exit_code: how it ended.
        stderr: what it said.
    """

    def __init__(self, argv: Sequence[str], exit_code: int, stdout: str, stderr: str) -> None:
        self.argv = list(argv)
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr
        said = (stderr.strip() or stdout.strip() or "(it said nothing)")[-4000:]
        super().__init__(f"`{shlex.join(self.argv)}` ended with exit code {exit_code}:\n{said}")


class WaitTimeout(ClusterError):
    """A condition did not come true before its deadline; the message tells the last state that was seen."""
