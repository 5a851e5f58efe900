"""The sweep: results and records that were kept for a time that is over, by the store's clock.

There is no list of what expires across runs: it would be one more write, in another slot, for each step that is kept
for a time. The sweep looks at every run instead, in pipelines, and runs a script on those of which something is due.
"""

from resumable.state.redis import register, rows
from resumable.state.redis.connection import Server
from resumable.state.redis.keys import run_key


def collect(server: Server, now: int) -> int:
    """Remove what is due at `now` (milliseconds); how many results and records that were."""
    removed = 0
    for page in register.all_ids(server):
        commands: list[tuple[object, ...]] = []
        for run_id in page:
            commands.append(("HGET", run_key(run_id), "expires"))
            commands.append(("ZRANGEBYSCORE", f"{run_key(run_id)}:fading", "-inf", now, "LIMIT", 0, 1))
        found = server.ask_many(commands)
        for run_id, expires, fading in zip(page, found[::2], found[1::2], strict=True):
            if fading or (expires is not None and int(expires) <= now):
                removed += _collect(server, run_id)
    return removed


def _collect(server: Server, run_id: str) -> int:
    count, namespace = server.run("collect", (run_key(run_id),), rows.request())
    if namespace is not None:
        register.unlist(server, run_id, namespace.decode())
    return int(count)
