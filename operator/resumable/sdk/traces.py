"""How an exception of the author's code is shown: their own frames, without the SDK's between them."""

import traceback
from pathlib import Path

_SDK = str(Path(__file__).parent)


def one_line(error: BaseException) -> str:
    """`ValueError: bad row 7 (import_job.py:23 in read_row)`, for a record or a log line.

    A group's errors are named instead of their number.
    """
    if isinstance(error, BaseExceptionGroup):
        return f"{type(error).__name__}: {'; '.join(map(one_line, error.exceptions))}"
    text = "".join(traceback.format_exception_only(error)).strip().replace("\n", " ")
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_SDK)]
    if not frames:
        return text
    last = frames[-1]
    return f"{text} ({Path(last.filename).name}:{last.lineno} in {last.name})"


def author_trace(error: BaseException) -> str:
    """The whole traceback, without the SDK's frames."""
    trace = traceback.TracebackException.from_exception(error)
    _without_sdk(trace)
    return "".join(trace.format()).rstrip()


def _without_sdk(trace: traceback.TracebackException) -> None:
    trace.stack = traceback.StackSummary.from_list([f for f in trace.stack if not f.filename.startswith(_SDK)])
    for chained in (trace.__cause__, trace.__context__, *(getattr(trace, "exceptions", None) or ())):
        if chained is not None:
            _without_sdk(chained)
