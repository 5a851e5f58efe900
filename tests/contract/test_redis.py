"""What is Redis's own: its grade, its failures and failovers, what its scripts leave, and moving slots of a Cluster."""

import os
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import redis

from resumable.state.outcome import (
    AlreadyStored,
    Changed,
    Fenced,
    Rewound,
    Stored,
    StoreRefused,
    StoreUnavailable,
    WriteOutcome,
)
from resumable.state.record import Encoded, RunStatus
from resumable.state.redis import connection
from resumable.state.redis.keys import ALL_RUNS, STORE, namespace_key, run_key
from resumable.state.redis.store import RedisStore
from resumable.state.store import FinishedStep, NewRun
from tests.contract.conftest import Surroundings
from tests.contract.runs import Worker, encoded, ended, names, new_run, resumed, run_of, started
from tests.servers.lossy_proxy import lossy_proxy
from tests.servers.redis import RedisCluster, RedisServer, redis_server


@pytest.fixture
def server(surroundings: Surroundings) -> RedisServer:
    running = surroundings.redis()
    running.execute("FLUSHALL")
    return running


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisStore]:
    with closing(RedisStore(server.url())) as opened:
        yield opened


@pytest.fixture
def three(surroundings: Surroundings) -> RedisCluster:
    running = surroundings.redis_cluster()
    running.empty()
    return running


def eventually(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def until_stored(write: Callable[[], WriteOutcome]) -> WriteOutcome:
    """Send the same write until somebody answers, as a worker does."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return write()
        except StoreUnavailable:
            assert time.monotonic() < deadline, "the store did not come back"
            time.sleep(0.01)


# How it is graded.


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"appendonly": "no"}, "appendonly is no: a restart loses everything; set appendonly yes"),
        ({"appendonly": "no", "save": "60 1"}, r"snapshots \(save 60 1\) lose minutes of acknowledged writes"),
        ({"appendfsync": "no"}, "appendfsync is no: .*; set appendfsync always"),
        ({"maxmemory_policy": "allkeys-lru"}, "maxmemory-policy is allkeys-lru: .*; set maxmemory-policy noeviction"),
    ],
)
def test_a_server_that_forgets_is_refused_by_the_setting_its_value_and_what_to_set(
    settings: dict[str, str], said: str
) -> None:
    with redis_server(**settings) as server:
        with closing(RedisStore(server.url())) as store, pytest.raises(StoreRefused, match=said) as raised:
            new_run(store)
        assert "allowVolatile=true" in str(raised.value)
        assert server.execute("DBSIZE") == 0
        with closing(RedisStore(server.url() + "?allowVolatile=true")) as store:
            assert started(store).finish("load") == Stored()
            assert not store.info().durable


def test_a_server_that_flushes_each_write_is_durable(store: RedisStore) -> None:
    info = store.info()
    assert info.durable
    assert "appendfsync always" in info.durability
    assert "no replica is connected" in info.durability


def test_a_server_that_flushes_each_second_is_used_and_says_what_it_loses() -> None:
    with redis_server(appendfsync="everysec") as server, closing(RedisStore(server.url())) as store:
        assert started(store).finish("load") == Stored()
        assert not store.info().durable
        assert "appendfsync everysec: a power cut loses the writes of the last second" in store.info().durability


def test_a_service_that_forbids_config_is_graded_by_what_it_tells(server: RedisServer) -> None:
    server.execute("ACL", "SETUSER", "tenant", "on", ">secret", "~resumable:*", "+@all", "-config")
    with closing(RedisStore(f"redis://tenant:secret@127.0.0.1:{server.port}/0")) as store:
        assert started(store).finish("load") == Stored()
        info = store.info()
    assert not info.durable
    assert "CONFIG is forbidden" in info.durability
    assert "unknown" in info.durability


def test_a_parameter_of_the_url_that_is_wrong_is_named() -> None:
    with pytest.raises(StoreRefused, match="allowVolatile is 'maybe' in the URL; true or false"):
        RedisStore("redis://127.0.0.1:1/0?allowVolatile=maybe")
    with pytest.raises(StoreRefused, match="waitReplicas is 'all' in the URL"):
        RedisStore("redis://127.0.0.1:1/0?waitReplicas=all")


def test_records_of_a_newer_program_are_refused(server: RedisServer) -> None:
    server.execute("HSET", STORE, "uuid", "u", "schema_version", "9999")
    with closing(RedisStore(server.url())) as store, pytest.raises(StoreRefused, match="schema 9999, newer than"):
        new_run(store)


# What goes wrong, and what it is called.


def test_a_server_that_is_away_is_unavailable_and_its_password_in_no_message() -> None:
    with (
        closing(RedisStore("redis://resumable:hunter2@127.0.0.1:1/0")) as far,
        pytest.raises(StoreUnavailable) as raised,
    ):
        far.get_run("x")
    assert "127.0.0.1:1" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_wrong_password_is_refused_not_tried_again(server: RedisServer) -> None:
    with (
        closing(RedisStore(f"redis://nobody:wrong@127.0.0.1:{server.port}/0")) as store,
        pytest.raises(StoreRefused, match="may not") as raised,
    ):
        store.get_run("x")
    assert "wrong@" not in str(raised.value)


def test_a_write_whose_reply_was_lost_is_unknown_and_lands_once(store: RedisStore, server: RedisServer) -> None:
    worker = started(store)
    with lossy_proxy("127.0.0.1", server.port) as proxy, closing(RedisStore(server.url(port=proxy.port))) as far:
        worker.store = far
        worker.finish("first")
        write = worker.write()
        proxy.lose_next_reply()
        with pytest.raises(StoreUnavailable):
            worker.finish("second", 2, write=write)
        assert proxy.lost.is_set()
        assert worker.finish("second", 2, write=write) == AlreadyStored()
    assert names(store.list_steps(worker.fence.run_id)) == ["first", "second"]


def test_a_server_that_forgot_our_scripts_gets_them_again(store: RedisStore, server: RedisServer) -> None:
    worker = started(store)
    worker.finish("first")
    server.execute("SCRIPT", "FLUSH")
    assert worker.finish("second") == Stored()


def test_a_full_server_takes_nothing_in_part_and_says_so(store: RedisStore, server: RedisServer) -> None:
    worker = started(store)
    write = worker.write()
    before = _all_of(server, worker.fence.run_id)
    server.execute("CONFIG", "SET", "maxmemory", "1mb")
    try:
        with pytest.raises(StoreUnavailable, match="its memory is full and nothing was written: raise maxmemory"):
            worker.finish("load", 1, write=write)
        with pytest.raises(StoreUnavailable, match="its memory is full"):
            worker.save("import", 1)
        with pytest.raises(StoreUnavailable, match="its memory is full"):
            worker.end()
        assert _all_of(server, worker.fence.run_id) == before
        doomed = run_of(store, worker.fence.run_id)
        assert doomed.status is RunStatus.RUNNING  # it can be read
    finally:
        server.execute("CONFIG", "SET", "maxmemory", "0")
    assert worker.finish("load", 1, write=write) == Stored()


def test_a_run_can_be_removed_from_a_full_server(store: RedisStore, server: RedisServer) -> None:
    worker = started(store)
    server.execute("CONFIG", "SET", "maxmemory", "1mb")
    try:
        store.delete_run(worker.fence.run_id)
    finally:
        server.execute("CONFIG", "SET", "maxmemory", "0")
    assert store.get_run(worker.fence.run_id) is None


def _all_of(server: RedisServer, run_id: str) -> dict[str, bytes]:
    with closing(redis.Redis(port=server.port)) as client:
        return {key: bytes(client.execute_command("DUMP", key)) for key in _keys(server, run_id)}


def _keys(server: RedisServer, run_id: str) -> list[str]:
    with server.client as client:
        return sorted(key for key in client.scan_iter(count=1000) if key.startswith(run_key(run_id)))


def test_a_server_that_can_not_write_to_its_disk_is_unavailable(tmp_path: Path) -> None:
    with redis_server(enable_protected_configs="yes") as server, closing(RedisStore(server.url())) as store:
        worker = started(store)
        gone = tmp_path / "gone"
        gone.mkdir()
        server.execute("CONFIG", "SET", "save", "3600 1")
        before = server.execute("CONFIG", "GET", "dir")["dir"]
        server.execute("CONFIG", "SET", "dir", str(gone))
        shutil.rmtree(gone)
        server.execute("BGSAVE")
        eventually(lambda: server.info("rdb_last_bgsave_status") == "err", "the snapshot should fail")
        write = worker.write()
        with pytest.raises(StoreUnavailable, match="it can't write to its disk"):
            worker.finish("load", 1, write=write)
        server.execute("CONFIG", "SET", "dir", before)
        server.execute("CONFIG", "SET", "save", "")
        assert worker.finish("load", 1, write=write) == Stored()


def test_all_connections_in_use_is_unavailable(
    store: RedisStore, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = started(store)
    monkeypatch.setitem(connection.CLIENT, "max_connections", 1)
    monkeypatch.setitem(connection.CLIENT, "timeout", 0.1)
    with closing(RedisStore(server.url())) as narrow, ThreadPoolExecutor() as threads:
        worker.store = narrow
        worker.finish("first")
        server.execute("CLIENT", "PAUSE", 20_000, "WRITE")
        try:
            waiting = threads.submit(worker.finish, "second")
            eventually(lambda: server.info("blocked_clients") == 1, "the first write should wait")
            with pytest.raises(StoreUnavailable, match="No connection available"):
                Worker(narrow, worker.fence, sequence=100).finish("third")
        finally:
            server.execute("CLIENT", "UNPAUSE")
        assert waiting.result(20) == Stored()


def test_a_value_larger_than_the_server_takes_is_refused_not_an_outage() -> None:
    with redis_server(proto_max_bulk_len="1mb") as server, closing(RedisStore(server.url())) as store:
        worker = started(store)
        with pytest.raises(StoreRefused, match=r"at most 1,048,576 are allowed \(proto-max-bulk-len\)"):
            worker.finish("big", "x" * 2_000_000)
        assert worker.finish("small", "x" * 1_000_000) == Stored()


# Restarts and failovers.


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


@contextmanager
def primary_and_replica(**settings: str) -> Iterator[tuple[RedisServer, RedisServer]]:
    with redis_server(**settings) as primary, redis_server(**settings) as replica:
        replica.execute("REPLICAOF", "127.0.0.1", primary.port)
        eventually(lambda: replica.info("master_link_status") == "up", "the replica should be connected")
        eventually(lambda: primary.info("slave0")["state"] == "online", "the primary should know its replica")
        yield primary, replica


def replicated(primary: RedisServer, replica: RedisServer) -> bool:
    return bool(primary.info("master_repl_offset") == replica.info("master_repl_offset"))


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
            assert _keys(replica, unlucky.fence.run_id) == []


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


def test_a_primary_that_became_a_replica_takes_no_writes(server: RedisServer) -> None:
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


# What is left behind.


def test_a_deleted_run_leaves_no_key(store: RedisStore, server: RedisServer) -> None:
    worker = started(store)
    worker.finish("load", error="no")
    worker.save("import", 1)
    second = resumed(worker)
    second.finish("load", 1, until_done=True)
    second.store.save_payload(second.fence, second.write(), encoded(1))
    assert len(_keys(server, worker.fence.run_id)) >= 9
    store.delete_run(worker.fence.run_id)
    assert _keys(server, worker.fence.run_id) == []
    assert server.execute("KEYS", "*") == [STORE]


def test_a_run_that_was_being_made_or_removed_when_its_maker_died_is_not_listed(
    store: RedisStore, server: RedisServer
) -> None:
    run = new_run(store)
    server.execute("ZADD", ALL_RUNS, time.time() * 1000, "about-to-be-made")
    server.execute("ZADD", ALL_RUNS, 1000, "removed-long-ago")
    assert [listed.id for listed in store.list_runs()] == [run.id]
    assert set(server.execute("ZRANGE", ALL_RUNS, 0, -1)) == {run.id, "about-to-be-made"}
    store.create_run(NewRun(id="about-to-be-made", namespace="default", name="x"))
    assert {listed.id for listed in store.list_runs()} == {run.id, "about-to-be-made"}


def test_a_run_that_is_missing_on_the_list_is_put_on_it_by_the_next_create(
    store: RedisStore, server: RedisServer
) -> None:
    run = new_run(store, "uid")
    server.execute("DEL", ALL_RUNS, namespace_key("default"))
    assert new_run(store, "uid") == run
    assert store.list_runs() == store.list_runs("default") == (run,)


def test_more_runs_than_a_page_are_listed(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resumable.state.redis.register._PAGE", 3)
    made = {new_run(store).id for _ in range(8)}
    for gone in sorted(made)[:3]:
        store.delete_run(gone)
    assert {run.id for run in store.list_runs()} == set(sorted(made)[3:])
    assert len(store.list_runs(limit=4)) == 4


def test_a_value_is_opaque_bytes(store: RedisStore) -> None:
    worker = started(store)
    awkward = Encoded("raw", bytes(range(256)) + b"\x00\xff\r\n")
    write = worker.write()
    done = FinishedStep(name="load", result=awkward)
    assert store.finish_step(worker.fence, write, done) == Stored()
    assert store.list_steps(worker.fence.run_id)[0].result == awkward


@pytest.mark.parametrize("run_id", ["a}b", "{", "}", "a:steps", "ü", "a b\r\nDEL x"])
def test_any_run_id_names_one_run(three: RedisCluster, run_id: str) -> None:
    with closing(RedisStore(three.url)) as store:
        worker = started(store, run_id)
        worker.finish("load", 7)
        other = started(store, f"{run_id}x")
        assert store.list_steps(other.fence.run_id) == ()
        assert names(resumed(worker).begun.steps) == ["load"]  # type: ignore[union-attr]


# A Cluster.


def test_a_server_of_a_cluster_is_not_taken_for_a_single_one(three: RedisCluster) -> None:
    [elsewhere, *_] = [server for server in three.servers if not server.execute("KEYS", STORE)]
    with (
        closing(RedisStore(elsewhere.url())) as store,
        pytest.raises(StoreRefused, match=r"part of a Cluster; its URL begins with redis\+cluster://"),
    ):
        new_run(store)


def test_all_keys_of_a_run_are_in_one_slot(three: RedisCluster) -> None:
    with closing(RedisStore(three.url)) as store:
        worker = started(store)
        worker.finish("load", error="no")
        worker.save("import", 1)
        resumed(worker).finish("load", 1)
        holding = [keys for server in three.servers if (keys := _keys(server, worker.fence.run_id))]
    [keys] = holding
    assert len(keys) >= 8
    assert len({three.servers[0].execute("CLUSTER", "KEYSLOT", key) for key in keys}) == 1


def test_runs_are_spread_over_the_servers_and_listed_together(three: RedisCluster) -> None:
    with closing(RedisStore(three.url)) as store:
        made = {new_run(store).id for _ in range(30)}
        assert {run.id for run in store.list_runs()} == made
        assert all(any(_keys(server, run_id) for run_id in made) for server in three.servers)


def test_a_worker_follows_its_run_to_another_server(three: RedisCluster) -> None:
    with closing(RedisStore(three.url)) as store:
        worker = started(store)
        worker.finish("before")
        key = run_key(worker.fence.run_id)
        slot = three.servers[0].execute("CLUSTER", "KEYSLOT", key)
        [source] = [server for server in three.servers if _keys(server, worker.fence.run_id)]
        target = next(server for server in three.servers if server is not source)
        _begin_move(slot, source, target)
        _migrate(source, target, source.execute("CLUSTER", "GETKEYSINSLOT", slot, 1000))
        _end_move(three, slot, source, target)
        assert _keys(source, worker.fence.run_id) == []
        assert worker.finish("after") == Stored()
        assert names(store.list_steps(worker.fence.run_id)) == ["after", "before"]
        assert isinstance(outcome := store.request_stop(worker.fence.run_id, 1, "Suspended"), Changed), outcome


def test_a_run_whose_keys_are_on_two_servers_is_unavailable_until_the_move_is_over(three: RedisCluster) -> None:
    with closing(RedisStore(three.url)) as store:
        worker = started(store)
        worker.finish("before")
        write = worker.write()
        slot = three.servers[0].execute("CLUSTER", "KEYSLOT", run_key(worker.fence.run_id))
        [source] = [server for server in three.servers if _keys(server, worker.fence.run_id)]
        target = next(server for server in three.servers if server is not source)
        _begin_move(slot, source, target)
        _migrate(source, target, [run_key(worker.fence.run_id)])  # without its steps
        with pytest.raises(StoreUnavailable):
            worker.finish("after", write=write)
        _migrate(source, target, source.execute("CLUSTER", "GETKEYSINSLOT", slot, 1000))
        with pytest.raises(StoreUnavailable):
            worker.begin()
        _end_move(three, slot, source, target)
        assert worker.finish("after", write=write) == Stored()
        assert names(store.list_steps(worker.fence.run_id)) == ["after", "before"]


def _begin_move(slot: int, source: RedisServer, target: RedisServer) -> None:
    target.execute("CLUSTER", "SETSLOT", slot, "IMPORTING", source.execute("CLUSTER", "MYID"))
    source.execute("CLUSTER", "SETSLOT", slot, "MIGRATING", target.execute("CLUSTER", "MYID"))


def _migrate(source: RedisServer, target: RedisServer, keys: list[str]) -> None:
    source.execute("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)


def _end_move(three: RedisCluster, slot: int, source: RedisServer, target: RedisServer) -> None:
    target_id = target.execute("CLUSTER", "MYID")
    for server in (target, source, *three.servers):
        server.execute("CLUSTER", "SETSLOT", slot, "NODE", target_id)


def test_a_cluster_whose_server_is_away_is_unavailable_and_comes_back(three: RedisCluster) -> None:
    with closing(RedisStore(three.url)) as store:
        worker = started(store)
        worker.finish("before")
        write = worker.write()
        [holder] = [server for server in three.servers if _keys(server, worker.fence.run_id)]
        holder.process.stop(signal.SIGKILL)
        try:
            with pytest.raises(StoreUnavailable):
                worker.finish("after", write=write)
        finally:
            holder.process.start()
        assert until_stored(lambda: worker.finish("after", write=write)) == Stored()
        assert names(store.list_steps(worker.fence.run_id)) == ["after", "before"]


def test_ended_attempts_of_runs_on_all_servers_are_counted(three: RedisCluster) -> None:
    with closing(RedisStore(three.url)) as store:
        for _ in range(9):
            worker = started(store, secrets.token_hex(8))
            assert ended(worker).status is RunStatus.INTERRUPTED
