"""The clients: code that mypy strict must refuse: each marked line, and no other."""

from resumable import AsyncClient, Client, Job, job


@job("provision")
def provision(j: Job, name: str) -> int:
    return 1


def plain(client: Client) -> None:
    takes_text(client.result("ann", provision))  # wrong
    takes_text(client.start(provision).result())  # wrong
    takes_text(client.result("ann", int))  # wrong
    client.start("provision")  # wrong
    client.resume("ann", provision)  # wrong
    client.resume(provision)  # wrong
    client.result("ann", timeuot=5)  # wrong
    client.restart("ann", from_step=5)  # wrong
    client.list(status=5)  # wrong
    takes_text(client.get("ann").stauts)  # wrong


async def asynchronous(client: AsyncClient) -> None:
    takes_text(await client.result("ann", provision))  # wrong
    takes_text(client.get("ann").status)  # wrong


def takes_text(text: str) -> None: ...
