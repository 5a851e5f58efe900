"""What is Redis's own: its grade, its failures, and what its scripts leave behind."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import redis

from resumable.state.outcome import AlreadyStored, Stored, StoreRefused, StoreUnavailable
from resumable.state.record import Encoded, RunStatus
from resumable.state.redis import connection
from resumable.state.redis.keys import ALL_RUNS, STORE, namespace_key
from resumable.state.redis.store import RedisStore
from resumable.state.store import FinishedStep, NewRun
from tests.contract.redis_servers import eventually, keys_of
from tests.contract.runs import Worker, encoded, names, new_run, resumed, run_of, started
from tests.contract.stores import Surroundings
from tests.servers.lossy_proxy import lossy_proxy
from tests.servers.redis import RedisServer, redis_server


@pytest.fixture
def server(surroundings: Surroundings) -> RedisServer:
    running = surroundings.redis()
    running.execute("FLUSHALL")
    return running


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisStore]:
    with closing(RedisStore(server.url())) as opened:
        yield opened


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


def _all_of(server: RedisServer, run_id: str) -> dict[str, bytes]:
    with closing(redis.Redis(port=server.port)) as client:
        return {key: bytes(client.execute_command("DUMP", key)) for key in keys_of(server, run_id)}


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


# What is left behind.


def test_a_deleted_run_leaves_no_key(store: RedisStore, server: RedisServer) -> None:
    worker = started(store)
    worker.finish("load", error="no")
    worker.save("import", 1)
    second = resumed(worker)
    second.finish("load", 1, until_done=True)
    second.store.save_payload(second.fence, second.write(), encoded(1))
    assert len(keys_of(server, worker.fence.run_id)) >= 9
    store.delete_run(worker.fence.run_id)
    assert keys_of(server, worker.fence.run_id) == []
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


def test_a_worker_on_redis_imports_no_sql() -> None:
    code = "import sys, resumable.state.redis.store; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_a_value_is_opaque_bytes(store: RedisStore) -> None:
    worker = started(store)
    awkward = Encoded("raw", bytes(range(256)) + b"\x00\xff\r\n")
    write = worker.write()
    done = FinishedStep(name="load", result=awkward)
    assert store.finish_step(worker.fence, write, done) == Stored()
    assert store.list_steps(worker.fence.run_id)[0].result == awkward
