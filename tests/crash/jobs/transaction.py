"""Exactly once in the author's own database: a step's rows with its record, and batches of rows with their cursor."""

from sqlalchemy import Connection, Engine, create_engine, text

from resumable import Job, StepContext, job
from tests.crash.subject import Subject


def open_account(connection: Connection, balance: int) -> None:
    connection.execute(text("CREATE TABLE IF NOT EXISTS account (balance INTEGER)"))
    connection.execute(text("INSERT INTO account VALUES (:balance)"), {"balance": balance})


def debit(connection: Connection, amount: int) -> int:
    connection.execute(text("UPDATE account SET balance = balance - :amount"), {"amount": amount})
    return balance_of(connection)


def balance_of(connection: Connection) -> int:
    # The sum: an account that was opened twice shows.
    return int(connection.execute(text("SELECT sum(balance) FROM account")).scalar_one())


def debit_each(step: StepContext[int], engine: Engine, amounts: list[int]) -> int:
    for at in range(step.cursor or 0, len(amounts)):
        with step.transaction(engine) as connection:
            debit(connection, amounts[at])
            step.save(at + 1)
        step.stop_if_asked()
    with engine.connect() as connection:
        return balance_of(connection)


@job("transaction")
def transaction(j: Job, amounts: list[int]) -> int:
    engine = create_engine("sqlite:///own.db")
    j.transaction("open", engine, open_account, 100)
    j.transaction("debit", engine, debit, 7)
    return j.step("debit-each", debit_each, engine, amounts)


SUBJECT = Subject(transaction, {"amounts": [1, 2, 3]})
