"""Redis servers that are killed, and failovers that lose what was acknowledged: real primaries and replicas."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from resumable.state.outcome import AlreadyStored, Fenced, Rewound, Stored, StoreUnavailable, WriteOutcome
from resumable.state.redis import connection
from resumable.state.redis.store import RedisStore
from tests.contract.redis_servers import eventually, keys_of, primary_and_replica, replicated, until_stored
from tests.contract.runs import Worker, encoded, names, resumed, started
from tests.servers.redis import redis_server


def test_a_server_killed_again_and_again_under_load_loses_nothing_that_it_acknowledged() -> None:
    with redis_server() as server, closing(RedisStore(server.url())) as store:
        fence = started(store).fence
        acknowledged: list[str] = []
        enough = threading.Event()

        def work(thread: int) -> None:
            worker = Worker(store, fence, sequence=thread * 1_000_000)
            for number in range(1_000_000):
                if enough.is_set():
                    return
                name, write = f"step-{thread}-{number}", worker.write()
                outcome = until_stored(lambda name=name, write=write: worker.finish(name, name, write=write))  # type: ignore[misc]
                assert isinstance(outcome, Stored | AlreadyStored)
                acknowledged.append(name)

        with ThreadPoolExecutor() as threads:
            working = [threads.submit(work, thread) for thread in range(4)]
            try:
                for _ in range(3):
                    so_far = len(acknowledged)
                    eventually(lambda so_far=so_far: len(acknowledged) > so_far + 50, "steps should be stored")  # type: ignore[misc]
                    server.process.stop(signal.SIGKILL)
                    server.process.start()
            finally:
                enough.set()
            for each in working:
                each.result(60)
        steps = store.list_steps(fence.run_id)
        assert {step.name for step in steps} >= set(acknowledged)
        assert len(acknowledged) > 150
        assert {step.tries for step in steps} == {1}
        assert [step.result for step in steps] == [encoded(step.name) for step in steps]


def test_a_server_that_still_reads_its_data_is_unavailable_until_it_has_read_it() -> None:
    with redis_server() as server, closing(RedisStore(server.url())) as store:
        worker = started(store)
        worker.finish("first")
        with server.client as client, client.pipeline(transaction=False) as filling:
            for number in range(5000):
                filling.set(f"filler-{number}", "x")
            filling.execute()
        server.process.stop(signal.SIGKILL)
        write = worker.write()
        said: list[str] = []

        def finish() -> WriteOutcome:
            try:
                return worker.finish("last", write=write)
            except StoreUnavailable as error:
                said.append(str(error))
                raise

        slowly = ("--key-load-delay", "1000")  # a millisecond for each command; it answers after every 1024th
        with ThreadPoolExecutor() as threads:
            starting = threads.submit(server.process.start, *slowly)
            assert until_stored(finish) == Stored()
            starting.result(30)
        assert any("it is reading its data; try again" in each for each in said)
        assert names(store.list_steps(worker.fence.run_id)) == ["first", "last"]


def test_a_failover_that_lost_acknowledged_writes_is_noticed() -> None:
    with primary_and_replica() as (primary, replica), closing(RedisStore(primary.url())) as store:
        finishing, saving = started(store), started(store)
        finishing.finish("load")
        saving.save("import", 41)
        uuid = store.info().uuid
        eventually(lambda: replicated(primary, replica), "the replica should have all")
        replica.execute("REPLICAOF", "NO", "ONE")  # cut off, and promoted later, without what comes now
        assert finishing.finish("charge") == Stored()
        assert saving.save("import", 42) == Stored()
        unlucky = started(store)
        unlucky.finish("load")
        primary.process.stop()

        with closing(RedisStore(replica.url())) as promoted:
            assert promoted.info().uuid == uuid  # the same store, gone back in time
            for worker in (finishing, saving, unlucky):
                worker.store = promoted
            assert isinstance(lost := finishing.finish("ship"), Rewound)
            assert "charge" in lost.missing
            assert isinstance(lost := saving.save("import", 43), Rewound)
            assert "import" in lost.missing
            assert names(promoted.list_steps(finishing.fence.run_id)) == ["load"]  # nothing was written on top
            # A run that vanished is no new run: nobody may write to it, and no write makes it.
            assert isinstance(unlucky.begin(), Fenced)
            assert all(isinstance(outcome, Fenced) for outcome in unlucky.every_write())
            assert promoted.get_run(unlucky.fence.run_id) is None
            assert keys_of(replica, unlucky.fence.run_id) == []


def test_a_number_minted_twice_because_of_a_failover_is_told_apart_by_its_nonce() -> None:
    with primary_and_replica() as (primary, replica), closing(RedisStore(primary.url())) as store:
        first = started(store)
        eventually(lambda: replicated(primary, replica), "the replica should have all")
        replica.execute("REPLICAOF", "NO", "ONE")
        zombie = resumed(first)  # attempt 2, which only the primary knows
        assert zombie.finish("load") == Stored()
        primary.process.stop()
        with closing(RedisStore(replica.url())) as promoted:
            first.store = promoted
            other = resumed(first)  # attempt 2 again
            assert other.fence.attempt == zombie.fence.attempt
            zombie.store = promoted
            assert all(isinstance(outcome, Fenced) for outcome in zombie.every_write())
            assert other.finish("load") == Stored()


def test_a_primary_that_became_a_replica_takes_no_writes() -> None:
    with primary_and_replica() as (primary, replica), closing(RedisStore(primary.url())) as store:
        worker = started(store)
        write = worker.write()
        eventually(lambda: replicated(primary, replica), "the replica should have all")
        replica.execute("REPLICAOF", "NO", "ONE")
        primary.execute("REPLICAOF", "127.0.0.1", replica.port)
        with pytest.raises(StoreUnavailable, match="it is a replica: a failover moved the primary"):
            worker.finish("load", write=write)
        with closing(RedisStore(replica.url())) as promoted:
            worker.store = promoted
            assert worker.finish("load", write=write) == Stored()


def test_a_write_that_waits_for_a_replica_is_unknown_until_the_replica_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "WAIT_MS", 200)
    with (
        primary_and_replica() as (primary, replica),
        closing(RedisStore(primary.url() + "?waitReplicas=1")) as store,
    ):
        worker = started(store)
        assert worker.finish("first") == Stored()
        assert "waitReplicas" in store.info().durability
        os.kill(replica.process.pid, signal.SIGSTOP)
        try:
            write = worker.write()
            for _ in range(2):  # the second finds it on the primary: that is no answer yet
                with pytest.raises(StoreUnavailable, match=r"0 of 1 replicas .* send it again"):
                    worker.finish("second", 2, write=write)
                # By another connection, which has written nothing itself.
                store.server.primaries()[0].connection_pool.disconnect()
        finally:
            os.kill(replica.process.pid, signal.SIGCONT)
        eventually(lambda: replicated(primary, replica), "the replica should have all")
        assert worker.finish("second", 2, write=write) == AlreadyStored()
        primary.process.stop()
        replica.execute("REPLICAOF", "NO", "ONE")
        with closing(RedisStore(replica.url())) as promoted:
            worker.store = promoted
            worker.acknowledged = None
            assert names(promoted.list_steps(worker.fence.run_id)) == ["first", "second"]


def test_a_primary_without_the_replicas_that_it_demands_is_unavailable() -> None:
    with redis_server() as server, closing(RedisStore(server.url())) as store:
        worker = started(store)
        server.execute("CONFIG", "SET", "min-replicas-to-write", "1")
        with pytest.raises(StoreUnavailable, match="min-replicas-to-write"):
            worker.finish("load")
        assert store.list_steps(worker.fence.run_id) == ()
