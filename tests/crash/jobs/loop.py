"""Steps in a loop, and one after it that takes what they returned."""

from resumable import Job, job
from tests.crash.journal import effect
from tests.crash.subject import Subject


def ship(product: str) -> str:
    effect(f"ship[{product}]")
    return product.upper()


def invoice(shipped: list[str]) -> str:
    effect("invoice")
    return " ".join(shipped)


@job("loop")
def loop(j: Job, products: list[str]) -> str:
    shipped = [j.options(key=product).step("ship", ship, product) for product in products]
    return j.step("invoice", invoice, shipped)


SUBJECT = Subject(loop, {"products": ["desk", "lamp", "chair"]})
