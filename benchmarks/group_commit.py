"""Many workers at once: what the state service makes of their fresh steps, beside one connection's raw commits.

    python -m benchmarks.group_commit [--writers 64] [--folder DIR]

In turn, in rounds, on one database: raw commits of the plain driver one after the other; and the service's way to the
store without HTTP, where each of the writers waits for its answer before its next step. Then a service as a process of
its own on SQLite under as many kept connections, whose client (this process) shares the machine with it. Every step has
a write id of its own, and a worker's next write names the one before it.
"""

import argparse
import asyncio
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import uvloop
from tests.servers.state_service import ServiceProcess

from benchmarks.contestants import DATABASES, RESULT, Contestants
from benchmarks.table import Row, printed
from resumable.service.store_threads import StoreThreads
from resumable.state import wire
from resumable.state.outcome import Changed, Stored, WriteOutcome
from resumable.state.record import Encoded, Fence, Write, WriteRef
from resumable.state.remote import RemoteStore
from resumable.state.store import Beginning, Expected, FinishedStep, NewRun, Store

WRITERS = 64
ROUNDS = 5
SECONDS = 1.0  # of each contender in each round
RATIO_GOAL = 3.0
SERVICE_GOAL = 4_000
CPU_GOAL = 0.2  # ms of the service, a step

_WRITE: msgspec.json.Decoder[WriteOutcome] = msgspec.json.Decoder(WriteOutcome)


def rows(folder: Path, writers: int = WRITERS) -> Iterator[Row]:
    """Without HTTP on SQLite and PostgreSQL; and through the service."""
    for title, threads in (("SQLite (WAL, FULL)", 1), ("PostgreSQL", 8)):
        with DATABASES[title](folder) as contestants:
            yield without_http(title, contestants, writers, threads)
    yield from the_service(folder, writers)


@dataclass
class Writer:
    """A worker that finishes one step after the other."""

    fence: Fence
    sequence: int = 0
    after: WriteRef | None = None

    def next(self) -> tuple[Write, FinishedStep]:
        self.sequence += 1
        write = Write(secrets.token_hex(16), self.sequence, self.after)
        result = Encoded("json", RESULT)
        return write, FinishedStep(
            name="step", key=str(self.sequence), ordinal=self.sequence, result=result, duration_ms=1
        )

    def stored(self, outcome: WriteOutcome, write: Write, step: FinishedStep) -> None:
        assert isinstance(outcome, Stored), outcome
        self.after = WriteRef("step", step.name, step.key, write.write_id, write.sequence)


def begun(store: Store, writers: int) -> list[Writer]:
    """As many runs, each with an attempt that has begun."""
    found = []
    for _ in range(writers):
        run = store.create_run(NewRun(id=secrets.token_hex(16), namespace="benchmark", name="steps"))
        minted = store.mint(run.id, Expected.of(run), secrets.token_hex(16))
        assert isinstance(minted, Changed)
        store.begin(minted.run.fence, Beginning(process_id=secrets.token_hex(16)))
        found.append(Writer(minted.run.fence))
    return found


def without_http(title: str, contestants: Contestants, count: int, threads: int) -> Row:
    """The group commit alone."""
    writers, calls = begun(contestants.store, count), StoreThreads(contestants.store, writers=threads)
    raw, ours = [], []
    for _ in range(ROUNDS):
        raw.append(_raw_rate(contestants))
        ours.append(uvloop.run(_through_threads(calls, writers)))
    calls.close()
    ratios = sorted(mine / other for mine, other in zip(ours, raw, strict=True))
    ratio = statistics.median(ours) / statistics.median(raw)
    return Row(
        f"group commit, {count} writers, no HTTP, {title}",
        f"{statistics.median(ours):,.0f} steps/s",
        f"raw commits {statistics.median(raw):,.0f}/s",
        f"{ratio:.1f} x as many ({ratios[0]:.1f}–{ratios[-1]:.1f})",
        f">= {RATIO_GOAL:g} x",
        ratio >= RATIO_GOAL,
    )


def the_service(folder: Path, count: int) -> Iterator[Row]:
    """The whole way: HTTP, JSON, admission, group commit on SQLite."""
    service = ServiceProcess(f"sqlite:///{folder / 'service.db'}", folder / "service.log")
    try:
        service.wait_until_ready()
        with closing(RemoteStore(service.url)) as remote:
            writers = begun(remote, count)
        rates, cpu = [], []
        for _ in range(ROUNDS):
            before = _cpu_seconds(service.pid)
            rates.append(uvloop.run(_through_http(service.url, writers)))
            cpu.append((_cpu_seconds(service.pid) - before) / (rates[-1] * SECONDS) * 1000)
    finally:
        service.kill()
    rate, milliseconds = statistics.median(rates), statistics.median(cpu)
    yield Row(
        f"{count} workers through the service, SQLite",
        f"{rate:,.0f} steps/s ({min(rates):,.0f}–{max(rates):,.0f})",
        goal=f">= {SERVICE_GOAL:,} steps/s",
        met=rate >= SERVICE_GOAL,
        note="the client shares the machine's cores with the service",
    )
    yield Row(
        "CPU of the service, a step",
        f"{milliseconds:.3f} ms ({min(cpu):.3f}–{max(cpu):.3f})",
        goal=f"<= {CPU_GOAL:g} ms",
        met=milliseconds <= CPU_GOAL,
    )


def _raw_rate(contestants: Contestants) -> float:
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        contestants.commit(secrets.token_hex(16), RESULT)
        count += 1
    return count / (time.perf_counter() - start)


async def _through_threads(calls: StoreThreads, writers: list[Writer]) -> float:
    async def work(writer: Writer, until: float) -> int:
        count = 0
        while time.perf_counter() < until:
            write, step = writer.next()
            writer.stored(await calls.write_step(writer.fence, write, step), write, step)
            count += 1
        return count

    return await _rate(work, writers)


async def _through_http(url: str, writers: list[Writer]) -> float:
    """A bare client, so that it is the service that is measured."""
    parts = urlsplit(url)

    async def work(writer: Writer, until: float) -> int:
        reader, out = await asyncio.open_connection(parts.hostname, parts.port)
        fence, count = writer.fence, 0
        head = f"POST {wire.API}/runs/{fence.run_id}/finish-step HTTP/1.1\r\nhost: {parts.netloc}\r\n"
        head += "content-type: application/json\r\ncontent-length: "
        while time.perf_counter() < until:
            write, step = writer.next()
            body = wire.encode(wire.FinishStepRequest(attempt=fence.attempt, nonce=fence.nonce, write=write, step=step))
            out.write(f"{head}{len(body)}\r\n\r\n".encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200"), answer
            length = int(answer.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            writer.stored(_WRITE.decode(await reader.readexactly(length)), write, step)
            count += 1
        out.close()
        return count

    return await _rate(work, writers)


async def _rate(work: Callable[[Writer, float], Awaitable[int]], writers: list[Writer]) -> float:
    start = time.perf_counter()
    counts = await asyncio.gather(*(work(writer, start + SECONDS) for writer in writers))
    return sum(counts) / (time.perf_counter() - start)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--writers", type=int, default=WRITERS)
    arguments.add_argument("--folder", type=Path, help="where the databases are made (default: a temporary folder)")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        print(printed(list(rows(Path(name), options.writers))))


if __name__ == "__main__":
    main()
