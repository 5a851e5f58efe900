"""Items that are steps of their own, three at a time; an interruption in the middle keeps the finished ones."""

from resumable import Job, job
from tests.crash.journal import effect
from tests.crash.subject import Subject


def thumb(image: str) -> str:
    effect(f"thumb[{image}]")
    return f"{image}.png"


def publish(thumbs: list[str]) -> str:
    effect("publish")
    return " ".join(thumbs)


@job("map")
def map_(j: Job, images: list[str]) -> str:
    return j.step("publish", publish, j.map("thumb", thumb, images, concurrency=3))


# Its items' writes are under way together: how many of them a stop leaves to the next process depends on time.
SUBJECT = Subject(map_, {"images": ["ann", "bob", "cleo", "dan", "eve"]}, by_the_clock=True)
