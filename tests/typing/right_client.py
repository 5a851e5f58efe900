"""The clients: code that mypy strict must accept, with the types that it must infer."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_type

from resumable import AsyncClient, AsyncJob, Client, Job, job


@dataclass
class Customer:
    id: int


@job("provision")
def provision(j: Job, name: str) -> Customer:
    return Customer(1)


@job("later")
async def later(j: AsyncJob) -> int:
    return 1


def plain() -> None:
    with Client("runs.db") as client:
        run = client.start(provision, {"name": "Ann"}, id="ann")
        assert_type(run.result(), Customer)
        assert_type(client.start(later).result(timeout=5), int)
        assert_type(client.resume(provision, "ann").result(), Customer)
        assert_type(client.result("ann", provision, timeout="5m"), Customer)
        assert_type(client.result("n", later, timeout=timedelta(minutes=5)), int)
        assert_type(client.result("ann", dict[str, int], timeout=5), dict[str, int])
        assert_type(client.result("ann"), Any)
        assert_type(client.get("ann").steps_done, int)
        assert_type([each.id for each in client.list(status="Running")], list[str])
        assert_type(client.signal("ann", "approval", Customer(1), sender="mia"), bool)
        client.restart("ann", from_step=("ship", 4711), forget=["log-in"])
        client.fork("ann", "trial", up_to="load", job=provision, values={"name": "Bob"})
        client.cancel(client.stop("ann").id, force=True)


async def asynchronous() -> None:
    async with AsyncClient() as client:
        run = await client.start(later)
        assert_type(run.id, str)
        assert_type(await client.result(run.id, later), int)
        assert_type(await client.result("ann", provision, timeout=3), Customer)
        assert_type(await client.result("ann", int), int)
        assert_type((await client.get("ann")).progress is None, bool)
        await client.cancel("ann")
        print(await client.result("ann", provision))  # a call in which anything is expected
