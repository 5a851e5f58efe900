"""Code that mypy strict must refuse: each marked line, and no other."""

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from resumable import Job, Retry, StepContext, job


def create(name: str, *, vip: bool = False) -> int:
    return 1


def import_rows(step: StepContext[int], path: str) -> list[str]:
    step.save("a")  # wrong
    step.iterate(["a"], cursor=lambda row: row)  # wrong
    step.checkpoint(cursor="a")  # wrong
    step.shield(20)  # wrong
    return []


def takes_text(text: str) -> None: ...


@job("wrong")
def wrong(j: Job) -> None:
    j.step("no-argument", create)  # wrong
    j.step("wrong-type", create, 5)  # wrong
    j.step("too-many", create, "a", "b")  # wrong
    j.step("wrong-keyword", create, "a", vpi=True)  # wrong
    j.step("no-argument", import_rows)  # wrong
    j.step("wrong-type", import_rows, 5)  # wrong
    j.step("with-context", import_rows, "a", "b")  # wrong
    j.options(key="a").step("wrong-type", import_rows, 5)  # wrong
    j.options(timeuot="5s")  # wrong
    takes_text(j.step("result", create, "a"))  # wrong
    takes_text(j.step("context-result", import_rows, "a"))  # wrong
    j.step("called", create("a"))  # wrong
    j.step(name="named", fn=create)  # wrong


def debit(connection: Connection, account: int) -> int:
    return account


@job("promises", timeout=30)  # wrong
def promises(j: Job, engine: Engine, session: Session) -> None:
    Retry(on="OSError")  # wrong
    Retry(give_up_on=KeyboardInterrupt)  # wrong
    Retry(initial=5)  # wrong
    j.options(retry=5)  # wrong
    j.options(timeout=5)  # wrong
    j.options(codec="yaml")  # wrong
    j.options(effect="once")  # wrong
    j.options(effect="at-most-once", on_unknown="fail")  # wrong
    j.options(compensate=5)  # wrong
    j.on_failure(create, 5)  # wrong
    j.on_failure(create("a"))  # wrong
    j.transaction("debit", engine, debit, "7")  # wrong
    j.transaction("debit", session, debit, 7)  # wrong
    j.transaction("debit", "sqlite://", debit, 7)  # wrong
    takes_text(j.transaction("debit", engine, debit, 7))  # wrong


@job("no-job")  # wrong
def no_job(name: str) -> None: ...


wrong.run(5)  # wrong
