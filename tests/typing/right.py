"""Code that mypy strict must accept, with the types that it must infer."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import assert_type

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from resumable import Job, JobDefinition, Retry, StepContext, job


@dataclass
class Customer:
    id: int


def create(name: str, *, vip: bool = False) -> Customer:
    return Customer(1)


def import_rows(step: StepContext[int], path: Path, limit: int = 10) -> list[str]:
    assert_type(step.cursor, int | None)
    assert_type(step.restored, Path | None)
    for row in step.iterate(["a", "b"], cursor=len, every=(500, "5s")):
        assert_type(row, str)
    with step.checkpoint(cursor=3) as folder:
        assert_type(folder, Path)
    with step.checkpoint() as folder:
        assert_type(folder, Path)
    return []


def only_context(step: StepContext[str]) -> None:
    step.save("a")


class Importer:
    def run(self, step: StepContext[int], factor: float) -> float:
        return factor

    def plain(self, factor: float) -> float:
        return factor


def paid_or_not(amount: int) -> Customer | str:
    return Customer(amount) if amount else "nothing"


def debit(connection: Connection, account: int, *, amount: int = 1) -> int:
    return amount


def credit(session: Session, account: int) -> Customer:
    return Customer(account)


def batches(step: StepContext[int], engine: Engine) -> int:
    with step.transaction(engine) as connection:
        assert_type(connection, Connection)
        step.save(3)
    return 0


def cancel(customer: Customer) -> None: ...


@job("promises", timeout="2h")
def promises(j: Job, engine: Engine, session: Session) -> None:
    policy = Retry(
        max_attempts=None, initial="1s", maximum=timedelta(minutes=5), on=(OSError, KeyError), give_up_on=EOFError
    )
    assert_type(j.options(retry=policy, timeout="30s").step("create", create, "Ann"), Customer)
    assert_type(j.options(retry=Retry.manual(), timeout=timedelta(hours=1)).step("lambda", lambda: 3), int)
    assert_type(j.options(effect="at-most-once", on_unknown="skip").step("create", create, "Ann"), Customer)
    assert_type(j.options(compensate=cancel).step("create", create, "Ann"), Customer)
    assert_type(j.options(codec="pickle").step("create", create, "Ann"), Customer)
    assert_type(j.step("union", paid_or_not, 1), Customer | str)
    j.on_failure(create, "Ann", vip=True)
    assert_type(j.transaction("debit", engine, debit, 7, amount=3), int)
    assert_type(j.transaction("credit", session, credit, 7), Customer)
    assert_type(j.options(key=7, retry=policy).transaction("debit", engine, debit, 7), int)
    assert_type(j.step("batches", batches, engine), int)


@job("right", version="1")
def right(j: Job, customer: str, count: int = 1) -> float:
    assert_type(j.step("create", create, customer), Customer)
    assert_type(j.step("create-vip", create, customer, vip=True), Customer)
    assert_type(j.step("import", import_rows, Path("x")), list[str])
    assert_type(j.step("import-more", import_rows, Path("x"), limit=5), list[str])
    assert_type(j.options(key=count).step("import", import_rows, Path("x"), 5), list[str])
    j.step("only-context", only_context)
    assert_type(j.step("method", Importer().run, 1.5), float)
    assert_type(j.step("plain-method", Importer().plain, 1.5), float)
    assert_type(j.step("lambda", lambda: 3), int)
    assert_type(j.step("class", Customer, 1), Customer)
    assert_type(j.step("built-in", sorted, [1, 2]), list[int])
    return 1.0


assert_type(right.run({"customer": "Ann"}, id="x"), float)
assert_type(right.start({"customer": "Ann"}).result(timeout=1), float)


def takes_definition(definition: JobDefinition[..., float]) -> None: ...


takes_definition(right)
