"""A Redis Cluster of three servers: where a run is, and what happens when it moves or its server is away."""

import secrets
import signal
from contextlib import closing

import pytest

from resumable.state.outcome import Changed, Stored, StoreRefused, StoreUnavailable
from resumable.state.record import RunStatus
from resumable.state.redis import connection
from resumable.state.redis.keys import STORE, run_key
from resumable.state.redis.store import RedisStore
from tests.contract.redis_servers import keys_of, until_stored
from tests.contract.runs import ended, names, new_run, resumed, started
from tests.contract.stores import Surroundings
from tests.servers.redis import RedisCluster, RedisServer


@pytest.fixture
def three(surroundings: Surroundings) -> RedisCluster:
    running = surroundings.redis_cluster()
    running.empty()
    return running


@pytest.mark.parametrize("run_id", ["a}b", "{", "}", "a:steps", "ü", "a b\r\nDEL x"])
def test_any_run_id_names_one_run(three: RedisCluster, run_id: str) -> None:
    with closing(RedisStore(three.url)) as store:
        worker = started(store, run_id)
        worker.finish("load", 7)
        other = started(store, f"{run_id}x")
        assert store.list_steps(other.fence.run_id) == ()
        assert names(resumed(worker).begun.steps) == ["load"]  # type: ignore[union-attr]


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
        holding = [keys for server in three.servers if (keys := keys_of(server, worker.fence.run_id))]
    [keys] = holding
    assert len(keys) >= 8
    assert len({three.servers[0].execute("CLUSTER", "KEYSLOT", key) for key in keys}) == 1


def test_runs_are_spread_over_the_servers_and_listed_together(three: RedisCluster) -> None:
    with closing(RedisStore(three.url)) as store:
        made = {new_run(store).id for _ in range(30)}
        assert {run.id for run in store.list_runs()} == made
        assert all(any(keys_of(server, run_id) for run_id in made) for server in three.servers)


def test_a_worker_follows_its_run_to_another_server(three: RedisCluster) -> None:
    with closing(RedisStore(three.url)) as store:
        worker = started(store)
        worker.finish("before")
        key = run_key(worker.fence.run_id)
        slot = three.servers[0].execute("CLUSTER", "KEYSLOT", key)
        [source] = [server for server in three.servers if keys_of(server, worker.fence.run_id)]
        target = next(server for server in three.servers if server is not source)
        _begin_move(slot, source, target)
        _migrate(source, target, source.execute("CLUSTER", "GETKEYSINSLOT", slot, 1000))
        _end_move(three, slot, source, target)
        assert keys_of(source, worker.fence.run_id) == []
        assert worker.finish("after") == Stored()
        assert names(store.list_steps(worker.fence.run_id)) == ["after", "before"]
        assert isinstance(outcome := store.request_stop(worker.fence.run_id, 1, "Suspended"), Changed), outcome


def test_a_run_whose_keys_are_on_two_servers_is_unavailable_until_the_move_is_over(three: RedisCluster) -> None:
    with closing(RedisStore(three.url)) as store:
        worker = started(store)
        worker.finish("before")
        write = worker.write()
        slot = three.servers[0].execute("CLUSTER", "KEYSLOT", run_key(worker.fence.run_id))
        [source] = [server for server in three.servers if keys_of(server, worker.fence.run_id)]
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
        [holder] = [server for server in three.servers if keys_of(server, worker.fence.run_id)]
        holder.process.stop(signal.SIGKILL)
        try:
            with pytest.raises(StoreUnavailable):
                worker.finish("after", write=write)
        finally:
            holder.process.start()
        assert until_stored(lambda: worker.finish("after", write=write)) == Stored()
        assert names(store.list_steps(worker.fence.run_id)) == ["after", "before"]


def test_a_cluster_without_replicas_confirms_no_write_that_waits_for_one(
    three: RedisCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WAIT_MS", 100)
    with (
        closing(RedisStore(f"{three.url}?waitReplicas=1")) as store,
        pytest.raises(StoreUnavailable, match="0 of 1 replicas"),
    ):
        new_run(store)


def test_ended_attempts_of_runs_on_all_servers_are_counted(three: RedisCluster) -> None:
    with closing(RedisStore(three.url)) as store:
        for _ in range(9):
            worker = started(store, secrets.token_hex(8))
            assert ended(worker).status is RunStatus.INTERRUPTED
