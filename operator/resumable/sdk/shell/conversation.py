"""One call of the script: understood, carried out under the attempt's fence, and answered with an exit code."""

import os
import shlex
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import msgspec

from resumable.sdk.context import StepContext
from resumable.sdk.errors import (
    ControlException,
    DuplicateStep,
    Fatal,
    InvalidStep,
    ResumableError,
    StepFailed,
    StepTimeout,
    UnstorableResult,
    WaitTimeout,
)
from resumable.sdk.exit_codes import ExitCode
from resumable.sdk.shell.client import Gone, receive, send
from resumable.sdk.shell.processes import Processes, ProcessGroup
from resumable.sdk.shell.requests import (
    AwaitSignal,
    Request,
    RunStep,
    SaveCursor,
    ShowProgress,
    Sleep,
    TellCursor,
)
from resumable.sdk.step import StepCaller
from resumable.sdk.step_options import StepOptions
from resumable.sdk.step_run import Replayed, StepRun, StepScope
from resumable.state.outcome import StoreError

USAGE = 2
TIMED_OUT = 124  # as timeout(1)


class UsageError(Exception):
    """The call's arguments are wrong: the message says how."""


class CommandFailed(Exception):
    """A step's command ended otherwise than with 0."""

    __module__ = "builtins"  # shown to people, who need not know where it is defined

    def __init__(self, code: int) -> None:
        super().__init__(how_it_ended(code))
        self.exit_code = code if code > 0 else 128 - code  # as shells have it


def how_it_ended(code: int) -> str:
    """An exit code for people; minus a signal's number stands for that."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


class RunningCommand:
    """A step's command, for the calls that are made in it."""

    def __init__(self, run: StepRun) -> None:
        assert run.context is not None
        self.label = run.label
        self.context: StepContext[str] = run.context
        self.group = ProcessGroup()


class Script:
    """What all calls of one script share."""

    def __init__(self, scope: StepScope, processes: Processes, parse: Callable[[Sequence[str]], Request]) -> None:
        self.attempt = scope.attempt
        self.step_failed: StepFailed | None = None  # the last that the script was told of
        self._scope = scope
        self._processes = processes
        self._parse = parse
        self._lock = threading.Lock()
        self._commands: dict[str, RunningCommand] = {}
        self._under_way: list[str] = []

    def still_running(self) -> str:
        """A call that is not over; "" when there is none."""
        with self._lock:
            return self._under_way[0] if self._under_way else ""

    def answer(self, channel: socket.socket) -> None:
        """Carry out the call that comes in, and answer it."""
        with channel, suppress(Gone):
            _, step, *arguments = receive(channel)
            self._processes.script.has_safe_points = True
            words = [os.fsdecode(word) for word in arguments]
            with self._call(" ".join(words[:2])):
                code, message, output = self._outcome(channel, os.fsdecode(step), words)
            send(channel, b"exit", int(code), message.replace("\0", ""), output)

    @contextmanager
    def _call(self, what: str) -> Iterator[None]:
        with self._lock:
            self._under_way.append(what)
        try:
            yield
        finally:
            with self._lock:
                self._under_way.remove(what)

    def _outcome(self, channel: socket.socket, step: str, arguments: Sequence[str]) -> tuple[int, str, bytes]:
        interruption = self.attempt.interruption
        try:
            request = self._parse(arguments)
            interruption.raise_if_left()
            with interruption.branch():  # what makes this call leave is written when the script has ended
                return ExitCode.DONE, "", self._carry_out(channel, step, request)
        except UsageError as error:
            return USAGE, str(error), b""
        except ControlException as leaving:
            self._leave(leaving)
            return leaving.exit_code, str(leaving), b""
        except CommandFailed as failed:
            return failed.exit_code, "", b""
        except WaitTimeout as error:
            return TIMED_OUT, str(error), b""
        except StepFailed as failed:
            self.step_failed = failed
            return ExitCode.FAILED_FOR_GOOD, str(failed), b""
        except DuplicateStep:
            name = shlex.quote(arguments[1])
            twice = f"step {name} was met twice with the same key, or without one; in a loop give each pass its own"
            return ExitCode.FAILED, f"{twice}: resumable {arguments[0]} {name} --key ID …", b""
        except (ResumableError, StepTimeout, StoreError) as error:
            return ExitCode.FAILED, str(error), b""

    def _leave(self, leaving: ControlException) -> None:
        interruption = self.attempt.interruption
        with self._lock:
            if interruption.left is None:
                interruption.left = leaving
        self._processes.leave()

    def _carry_out(self, channel: socket.socket, step: str, request: Request) -> bytes:
        inside = self._commands.get(step)
        match request:
            case TellCursor():
                command = self._only_inside(inside, "cursor")
                return b"" if command.context.cursor is None else f"{command.context.cursor}\n".encode()
            case SaveCursor(cursor):
                command = self._only_inside(inside, "save")
                command.context.save(cursor)
                command.context.stop_if_asked()
                return b""
            case ShowProgress(current, total, message):
                self._only_inside(inside, "progress", has_safe_points=False).context.progress(current, total, message)
                return b""
        if inside is not None:
            raise InvalidStep(
                f"step {request.name!r} is inside step {inside.label!r}: steps don't nest; end the outer one first, or"
                " make its parts steps of their own"
            )
        match request:
            case RunStep():
                return self._run_step(channel, request)
            case AwaitSignal():
                caller = StepCaller(self._scope, StepOptions(key=request.key))
                received = caller.wait(request.name, timeout=request.timeout, hold=request.hold)
                return _as_line(received.payload)
            case Sleep():
                StepCaller(self._scope, StepOptions(key=request.key)).sleep(
                    request.name, request.length, hold=request.hold
                )
                return b""

    def _only_inside(self, inside: RunningCommand | None, call: str, *, has_safe_points: bool = True) -> RunningCommand:
        if inside is None:
            raise InvalidStep(
                f"`resumable {call}` belongs into the command of a step: resumable step NAME -- ./part.sh, and call it"
                " in part.sh"
            )
        if has_safe_points:
            inside.group.has_safe_points = True
        return inside

    # A step

    def _run_step(self, channel: socket.socket, request: RunStep) -> bytes:
        run = StepRun(self._scope, request.options, request.name, _command)
        replayed = run.enter()
        while replayed is None:
            if (seconds := run.pause()) > 0:
                self.attempt.interruption.wait(seconds)
            begun = run.begin(())
            if isinstance(begun, Replayed):
                replayed = begun
                break
            try:
                output = self._execute(channel, run, request)
            except BaseException as error:  # noqa: BLE001 - it decides what is a failure
                run.failed(error)
            else:
                run.finished(output)
                return output.encode()
        return (replayed.value or "").encode()

    def _execute(self, channel: socket.socket, run: StepRun, request: RunStep) -> str:
        """Let the call run the command. Returns what it printed."""
        command = RunningCommand(run)
        limit, timeout = request.options.max_result_bytes, request.options.timeout
        with self._lock:
            self._commands[command.label] = command
        try:
            send(
                channel,
                b"run",
                command.label,
                limit,
                f"{timeout.total_seconds() if timeout else 0:f}",
                command.context.idempotency_key,
                *request.command,
            )
            _, process_group = receive(channel)
            if int(process_group):
                self._processes.begun(command.group, int(process_group))
            _, code, late, output = receive(channel)
        except Gone:
            command.group.signal(signal.SIGKILL)
            self.attempt.interruption.safe_point()
            raise CommandFailed(-signal.SIGKILL) from None  # whoever ran it was killed
        finally:
            self._processes.ended(command.group)
            with self._lock:
                self._commands.pop(command.label, None)
        if int(late):
            raise run.timed_out()
        if int(code):
            self.attempt.interruption.safe_point()  # it was told to stop, and did
            if int(code) == ExitCode.FAILED_FOR_GOOD:
                raise Fatal(how_it_ended(int(code)))
            raise CommandFailed(int(code))
        return _text(output, run.label, limit)


def _command(step: StepContext[str]) -> str:
    """The types of a command that is a step: its cursor and its result are text."""
    raise NotImplementedError(step)


def _text(output: bytes, label: str, limit: int) -> str:
    hint = "write it to a file, and print the file's name; what is only for the log goes to standard error (>&2)"
    if len(output) > limit:
        raise UnstorableResult(
            f"step {label!r}: its command printed more than {limit} bytes, the step's result; {hint}"
        )
    try:
        return output.decode()
    except UnicodeDecodeError:
        raise UnstorableResult(f"step {label!r}: what its command printed is not text in UTF-8; {hint}") from None


def _as_line(payload: Any) -> bytes:
    """Text as it is, anything else as JSON."""
    return (payload.encode() if isinstance(payload, str) else msgspec.json.encode(payload)) + b"\n"
