"""A web application that runs jobs in its own process: a request starts one, others look at it, approve it, get its
result. When it is started again it goes on with what its predecessor left.
"""

import os
import sys
from dataclasses import dataclass

import uvicorn
from effects import effect
from litestar import Litestar, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from resumable import AsyncClient, AsyncJob, RunNotFound, job


@dataclass
class Approval:
    granted: bool


async def reserve(order_id: str) -> str:
    effect(f"reserve {order_id}")
    return f"reservation of {order_id}"


async def pack(order_id: str) -> None:
    import asyncio

    effect(f"packing {order_id}")
    while not os.path.exists("packed"):
        await asyncio.sleep(0.01)


@job("order")
async def order(j: AsyncJob, order_id: str) -> str:
    reservation = await j.step("reserve", reserve, order_id)
    await j.step("pack", pack, order_id)
    answer = await j.wait("approval", Approval, hold="0s")
    return f"{reservation}: {'shipped' if answer.payload.granted else 'refused'} by {answer.sender}"


client = AsyncClient(os.environ["STORE"])


@post("/orders/{order_id:str}")
async def begin(order_id: FromPath[str]) -> str:
    return (await client.start(order, {"order_id": order_id}, id=order_id)).id


@get("/orders/{order_id:str}")
async def show(order_id: FromPath[str]) -> dict[str, object]:
    try:
        run = await client.get(order_id)
    except RunNotFound as error:
        raise NotFoundException(str(error)) from None
    return {"status": run.status, "attempt": run.attempt, "steps": [step.name for step in run.steps]}


@post("/orders/{order_id:str}/approval")
async def approve(order_id: FromPath[str], data: Approval) -> str:
    await client.signal(order_id, "approval", data, sender="mia")
    await client.resume(order, order_id)
    return await client.result(order_id, order, timeout="30s")


async def go_on() -> None:
    """What the process before this one was killed in."""
    for run in await client.list(name="order"):
        if run.status in ("Pending", "Running", "Interrupted"):
            await client.resume(order, run.id)


app = Litestar([begin, show, approve], on_startup=[go_on], on_shutdown=[client.close], openapi_config=None)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
