"""`map`, the payload and waits: code that mypy strict must accept, with the types that it must infer."""

from typing import TypedDict, assert_type

from resumable import Job, StepContext, StepFailed, job


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
