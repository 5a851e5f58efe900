"""How durable a Redis is, as it is configured: read when a store is first used.

`grade` is pure; `read_settings` asks one server. A managed service may forbid CONFIG: what INFO does not tell is
unknown then, and the grade says so.
"""

from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

OLDEST = (7, 0)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the grade depends on, by Redis's names. None: the server does not tell."""

    server: str  # "Redis 7.0.15"
    version: tuple[int, ...]
    appendonly: bool
    appendfsync: str | None
    maxmemory_policy: str
    save: str | None
    replicas: int
    min_replicas_to_write: int | None
    proto_max_bulk_len: int | None = None


@dataclass(frozen=True, slots=True)
class Grade:
    """Whether an acknowledged write outlives a power cut, and why we think so.

    `volatile`: what the server forgets and how to change that; "": it forgets nothing that it promised to keep.
    """

    durable: bool
    why: str
    volatile: str = ""


def grade(found: Settings, wait_replicas: int) -> Grade:
    """Grade a server on which each write waits for so many replicas."""
    if volatile := _volatile(found):
        return Grade(False, f"{found.server}: {volatile}", volatile)
    failover = _failover(found, wait_replicas)
    if found.appendfsync is None:
        why = (
            f"{found.server} with an append-only file; it does not let us read appendfsync (CONFIG is forbidden), so"
            " whether each write is flushed is unknown"
        )
        return Grade(False, f"{why}; {failover}")
    if found.appendfsync != "always":
        why = (
            f"{found.server} with appendfsync {found.appendfsync}: a power cut loses the writes of the last second"
            " (set appendfsync always to lose none)"
        )
        return Grade(False, f"{why}; {failover}")
    return Grade(True, f"{found.server} with appendfsync always: each write is flushed; {failover}")


def worst(grades: list[Grade]) -> Grade:
    """That of a Cluster."""
    return min(grades, key=lambda each: (not each.volatile, each.durable))


def _volatile(found: Settings) -> str:
    if not found.appendonly:
        rdb = f"snapshots (save {found.save}) lose" if found.save else "a restart loses"
        what = "minutes of acknowledged writes" if found.save else "everything"
        return f"appendonly is no: {rdb} {what}; set appendonly yes and appendfsync always"
    if found.appendfsync == "no":
        return "appendfsync is no: a power cut loses acknowledged writes of half a minute; set appendfsync always"
    if found.maxmemory_policy != "noeviction":
        return (
            f"maxmemory-policy is {found.maxmemory_policy}: a full server drops keys, and with them runs; set"
            " maxmemory-policy noeviction"
        )
    return ""


def _failover(found: Settings, wait_replicas: int) -> str:
    if wait_replicas:
        return f"a write counts when {wait_replicas} of {found.replicas} replicas have it (waitReplicas)"
    if not found.replicas:
        return "no replica is connected, so that there is no failover that could lose some"
    least = f", min-replicas-to-write {found.min_replicas_to_write}" if found.min_replicas_to_write else ""
    return (
        f"a failover to one of its {found.replicas} replicas{least} may lose the last writes, which is noticed;"
        " ?waitReplicas=1 in the store's URL waits for one"
    )


def read_settings(client: Any) -> Settings:
    """Ask one server. Raises redis-py's errors."""
    info: dict[str, Any] = client.execute_command("INFO")
    try:
        config: dict[str, str] = {
            name: value
            for pattern in ("append*", "save", "min-replicas-to-write", "proto-max-bulk-len")
            for name, value in _pairs(client.execute_command("CONFIG", "GET", pattern)).items()
        }
    except ResponseError:  # no permission, or no such command: a managed service
        config = {}
    valkey = info.get("valkey_version")
    version = str(valkey or info["redis_version"])
    least, bulk = config.get("min-replicas-to-write"), config.get("proto-max-bulk-len")
    return Settings(
        server=f"{'Valkey' if valkey else 'Redis'} {version}",
        version=tuple(int(part) for part in str(info["redis_version"]).split(".") if part.isdecimal()),
        appendonly=bool(info.get("aof_enabled", 0)),
        appendfsync=config.get("appendfsync"),
        maxmemory_policy=str(info.get("maxmemory_policy", "noeviction")),
        save=config.get("save"),
        replicas=int(info.get("connected_slaves", 0)),
        min_replicas_to_write=None if least is None else int(least),
        proto_max_bulk_len=None if bulk is None else int(bulk),
    )


def _pairs(reply: Any) -> dict[str, str]:
    """CONFIG GET's answer, which clients give as a dictionary or as it came, as text or as bytes."""
    flat = [part for pair in reply.items() for part in pair] if isinstance(reply, dict) else list(reply)
    texts = [part.decode() if isinstance(part, bytes) else str(part) for part in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))
