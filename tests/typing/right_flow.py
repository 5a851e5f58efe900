"""`map`, the payload and waits: code that mypy strict must accept, with the types that it must infer."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict, assert_type

from resumable import Job, Received, StepContext, StepFailed, job


class Image:
    id: int = 1


class Progress(TypedDict, total=False):
    customer: int


def thumb(image: Image) -> bytes:
    return b""


def thumb_with_context(step: StepContext[int], image: Image) -> str:
    return ""


@job("right-map")
def right_map(j: Job, names: list[str]) -> None:
    images = [Image()]
    assert_type(j.map("thumb", thumb, images, key=lambda image: image.id), list[bytes])
    assert_type(j.map("context", thumb_with_context, images, key=lambda image: image.id, concurrency=8), list[str])
    assert_type(j.map("tolerant", thumb, images, key=lambda i: i.id, tolerate=3), list[bytes | StepFailed])
    assert_type(j.map("context", thumb_with_context, images, tolerate=1), list[str | StepFailed])
    assert_type(j.map("lambda", lambda name: len(name), names), list[int])
    assert_type(j.options(max_result_bytes=5).map("built-in", len, names), list[int])
    progress = j.payload.typed(Progress)
    assert_type(progress, Progress)
    progress["customer"] = 1
    j.payload["anything"] = [1]


@dataclass
class Approval:
    granted: bool


@job("right-waits", keep="30d", on_version_mismatch="pause")
def right_waits(j: Job) -> str:
    answer = j.wait("approval", Approval, timeout="3d", hold=timedelta(seconds=5))
    assert_type(answer, Received[Approval])
    assert_type(answer.payload.granted, bool)
    assert_type(answer.sent, datetime)
    assert_type(j.options(key=1).wait("number", int).payload, int)
    assert_type(j.wait("anything").payload, Any)
    j.sleep("cool-down", "1h")
    j.sleep_until("midnight", datetime(2027, 1, 1, tzinfo=UTC))
    j.forget("number", key=1)
    kept = j.options(keep=lambda token: timedelta(seconds=token), on_expired="fail", renamed_from="login")
    assert_type(kept.step("log-in", int, "5"), int)
    assert_type(j.result("log-in", int, key=1), int)
    assert_type(j.result("log-in"), Any)
    assert_type(j.replaying, bool)
    j.log.info("approved by %s", answer.sender)
    return answer.sender
