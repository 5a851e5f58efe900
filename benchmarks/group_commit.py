"""Many workers at once: what the state service makes of their fresh steps, beside one connection's raw commits.

    python -m benchmarks.group_commit [--writers 64] [--rounds 5] [--seconds 2] [--folder DIR]

In turn, in one run, on one file system: raw commits of the plain driver one after the other; the service's way to the
store without HTTP (`writers` tasks, each waits for its answer before its next step); and a service as a process of its
own under `writers` kept connections, whose client (this process) shares the machine with it. Every step has its own
write id and fence; a worker's next write names the one before it.
"""

import argparse
import asyncio
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import uvloop
from benchmarks.service_step import RESULT, raw_commits
from tests.servers.state_service import ServiceProcess

from resumable.service.store_threads import StoreThreads
from resumable.state import wire
from resumable.state.outcome import Changed, Stored, WriteOutcome
from resumable.state.record import Fence, Write, WriteRef
from resumable.state.remote import RemoteStore
from resumable.state.sql.store import SqlStore
from resumable.state.store import Beginning, Expected, FinishedStep, NewRun, Store

_WRITE: msgspec.json.Decoder[WriteOutcome] = msgspec.json.Decoder(WriteOutcome)
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Writer:
    """A worker that finishes one step after the other."""

    fence: Fence
    sequence: int = 0
    after: WriteRef | None = None

    def next(self) -> tuple[Write, FinishedStep]:
        self.sequence += 1
        write = Write(secrets.token_hex(16), self.sequence, self.after)
        return write, FinishedStep(
            name="step", key=str(self.sequence), ordinal=self.sequence, result=RESULT, duration_ms=1
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


def one_connection(commit: Callable[[], None], seconds: float) -> float:
    """Raw commits a second."""
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        commit()
        count += 1
    return count / (time.perf_counter() - start)


async def through_threads(calls: StoreThreads, writers: list[Writer], seconds: float) -> float:
    """Steps a second of all writers, by the service's way to the store."""

    async def work(writer: Writer, until: float) -> int:
        count = 0
        while time.perf_counter() < until:
            write, step = writer.next()
            outcome = await calls.write_step(writer.fence, write, step)
            writer.stored(outcome, write, step)
            count += 1
        return count

    return await _rate(work, writers, seconds)


async def through_http(url: str, writers: list[Writer], seconds: float) -> float:
    """Steps a second of all writers, by HTTP: a bare client, so that it is the service that is measured."""
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

    return await _rate(work, writers, seconds)


async def _rate(work: Callable[[Writer, float], Any], writers: list[Writer], seconds: float) -> float:
    start = time.perf_counter()
    counts = await asyncio.gather(*(work(writer, start + seconds) for writer in writers))
    return sum(counts) / (time.perf_counter() - start)


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(folder: Path, options: argparse.Namespace) -> None:
    service = ServiceProcess(f"sqlite:///{folder}/service.db", folder / "log")
    try:
        service.wait_until_ready()
        with closing(SqlStore(f"sqlite:///{folder}/store.db")) as store, closing(RemoteStore(service.url)) as remote:
            print(f"{options.writers} writers; {remote.info().durability}")
            raw = raw_commits(folder / "raw.db")
            direct, remotely = begun(store, options.writers), begun(remote, options.writers)
            calls = StoreThreads(store)
            rates: dict[str, list[float]] = {"raw commits, one connection": [], "without HTTP": [], "the service": []}
            cpu: list[float] = []
            for _ in range(options.rounds):
                rates["raw commits, one connection"].append(one_connection(raw, options.seconds))
                rates["without HTTP"].append(uvloop.run(through_threads(calls, direct, options.seconds)))
                before = cpu_seconds(service.pid)
                rate = uvloop.run(through_http(service.url, remotely, options.seconds))
                rates["the service"].append(rate)
                cpu.append((cpu_seconds(service.pid) - before) / (rate * options.seconds) * 1000)
            calls.close()
        report(rates)
        print(f"CPU of the service: {statistics.median(cpu):.3f} ms a step")
    finally:
        service.kill()


def report(rates: dict[str, list[float]]) -> None:
    raw = statistics.median(rates["raw commits, one connection"])
    print(f"{'':30}{'median':>10}{'from':>8}{'to':>8}{'ratio':>8}")
    for name, measured in rates.items():
        median = statistics.median(measured)
        print(f"{name:30}{median:>8.0f}/s{min(measured):>8.0f}{max(measured):>8.0f}{median / raw:>7.1f}x")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--writers", type=int, default=64)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=2.0, help="of each contender in each round")
    arguments.add_argument("--folder", type=Path, help="where the databases are made (default: a temporary folder)")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        measure(Path(name), options)


if __name__ == "__main__":
    main()
