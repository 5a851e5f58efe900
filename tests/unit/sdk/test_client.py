"""`Client` on a real SQLite file and on a real state service over HTTP."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from resumable import (
    AsyncClient,
    AsyncJob,
    Client,
    Fatal,
    Fenced,
    Interrupted,
    InvalidInput,
    Job,
    RunFailed,
    RunIsBusy,
    RunNotFound,
    RunNotRunnable,
    StepContext,
    job,
)
from resumable.sdk.in_process import JobRun
from resumable.service.authentication import Authenticator
from resumable.service.caller import AccountCaller, Caller, ServiceAccount
from resumable.state.outcome import Changed, StoreRefused, StoreUnavailable
from resumable.state.record import EndKind, RunStatus
from resumable.state.sql.store import SqlStore
from resumable.state.store import Expected, NewRun
from tests.sdk.process import wait_for
from tests.servers.state_service import running_service


@dataclass
class Customer:
    id: int
    name: str


@dataclass
class Approval:
    granted: bool


class World:
    """What jobs did, and the gate that one of them waits at."""

    def __init__(self) -> None:
        self.effects: list[str] = []
        self.open = threading.Event()


world = World()


@pytest.fixture(autouse=True)
def _a_new_world() -> Iterator[None]:
    world.__init__()  # type: ignore[misc]
    yield
    world.open.set()


def create(name: str) -> Customer:
    world.effects.append(f"create {name}")
    return Customer(1, name)


def ship(product: str) -> str:
    world.effects.append(f"ship {product}")
    return product


@job("provision", version="3")
def provision(j: Job, name: str, products: int = 2) -> Customer:
    j.payload["name"] = name
    customer = j.step("create", create, name)
    for n in range(products):
        j.options(key=n).step("ship", ship, f"{n}")
    return customer


def at_the_gate(step: StepContext[int]) -> str:
    turn = step.cursor or 0
    world.effects.append(f"gate from {turn}")
    while not world.open.wait(0.01):
        turn += 1
        step.progress(turn, 4 * turn, "waiting")
        step.save(turn)
        step.stop_if_asked()
    return "through"


@job("gate")
def gate(j: Job) -> str:
    j.step("before", ship, "before")
    return j.step("gate", at_the_gate)


@job("approved")
def approved(j: Job) -> bool:
    return j.wait("approval", Approval, hold="0s").payload.granted


@job("failing")
def failing(j: Job, final: bool) -> None:
    if final:
        j.options(retry=None).step("break", broken)
    raise ValueError("bad row 7")


def broken() -> None:
    raise Fatal("bad card")


@job("later")
async def later(j: AsyncJob, n: int) -> int:
    await asyncio.sleep(0)
    return await j.step("double", lambda: 2 * n)


@pytest.fixture(params=["sqlite", "http"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    file = f"sqlite:///{tmp_path / 'runs.db'}"
    with ExitStack() as running:
        if request.param == "sqlite":
            yield file
            return
        store = SqlStore(file)
        running.callback(store.close)
        yield running.enter_context(running_service(store))


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client
    world.open.set()
    wait_for(lambda: client._users == 0, "the runs that go on here, which keep the store open")


def reached_the_gate(client: Client, run: JobRun[str]) -> None:
    wait_for(lambda: client.get(run.id).progress is not None or run.done, "a save at the gate")
    assert not run.done, run.result()


class TestStart:
    def test_it_runs_here_and_any_client_gets_the_typed_result(self, client: Client, url: str) -> None:
        run = client.start(provision, {"name": "Ann"}, id="ann")
        with Client(url) as another:
            assert another.result("ann", provision, timeout="30s") == Customer(1, "Ann")
            assert another.result("ann", dict) == {"id": 1, "name": "Ann"}
            assert another.result("ann") == {"id": 1, "name": "Ann"}
        assert run.result(timeout=10) == Customer(1, "Ann")
        assert world.effects == ["create Ann", "ship 0", "ship 1"]

    def test_without_an_id_each_start_is_a_run_of_its_own(self, client: Client) -> None:
        first, second = (client.start(provision, {"name": name}) for name in ("Ann", "Bob"))
        assert first.id != second.id
        assert first.result(30).name == "Ann"
        assert second.result(30).name == "Bob"

    def test_the_same_id_again_is_the_same_run_and_nothing_is_done_again(self, client: Client) -> None:
        for _ in range(2):
            assert client.start(provision, {"name": "Ann"}, id="ann").result(30) == Customer(1, "Ann")
        assert world.effects.count("create Ann") == 1

    def test_wrong_or_missing_input_is_said_before_there_is_a_record(self, client: Client) -> None:
        with pytest.raises(InvalidInput, match="no parameter 'nane'"):
            client.start(provision, {"nane": "Ann"})
        with pytest.raises(InvalidInput, match="needs the input 'name'"):
            client.start(provision)
        assert client.list() == ()

    def test_a_run_under_way_is_not_started_twice(self, client: Client, url: str) -> None:
        run = client.start(gate, id="g")
        reached_the_gate(client, run)
        with Client(url) as another, pytest.raises(RunIsBusy, match="run 'g' is"):
            another.start(gate, id="g")
        world.open.set()
        assert run.result(30) == "through"

    @pytest.mark.parametrize("attempts", [1, 2])
    def test_of_many_who_start_it_at_once_one_runs_it(self, client: Client, url: str, attempts: int) -> None:
        """And fences nobody out: the others are told so, and can wait for its result."""
        if attempts == 2:
            reached_the_gate(client, client.start(gate, id="g"))
            client.stop("g", timeout="30s")
        started: list[JobRun[str]] = []
        refused: list[Exception] = []
        ready = threading.Barrier(6)

        def start() -> None:
            with Client(url) as another:
                ready.wait()
                try:
                    started.append(another.start(gate, id="g"))
                except (RunIsBusy, RunNotRunnable) as error:
                    refused.append(error)

        threads = [threading.Thread(target=start) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(started), len(refused)) == (1, 5), refused
        reached_the_gate(client, started[0])
        world.open.set()
        assert client.result("g", gate, timeout=30) == "through"
        assert len(client.get("g").attempts) == attempts

    def test_another_jobs_run_is_refused(self, client: Client) -> None:
        client.start(provision, {"name": "Ann"}, id="x").result(30)
        with pytest.raises(RunNotRunnable, match="run 'x' is one of job 'provision', not of 'gate'"):
            client.start(gate, id="x")

    def test_a_run_outlives_the_client_that_started_it(self, url: str) -> None:
        with Client(url) as client:
            run = client.start(gate, id="g")
            reached_the_gate(client, run)
        world.open.set()
        assert run.result(30) == "through"
        with Client(url) as client:
            assert client.result("g", gate, timeout=5) == "through"


class TestReading:
    def test_a_running_run_shows_its_steps_its_attempt_and_its_progress(self, client: Client) -> None:
        run = client.start(gate, id="g")
        reached_the_gate(client, run)
        details = client.get("g")
        assert (details.status, details.name, details.namespace, details.attempt) == ("Running", "gate", "local", 1)
        assert not details.over
        assert [(step.name, step.status) for step in details.steps] == [("before", "Done"), ("gate", "Started")]
        assert [step.name for step in details.running] == ["gate"]
        assert (details.steps_done, details.steps_total) == (1, 2)
        assert details.progress is not None
        assert (details.progress.step, details.progress.percent) == ("gate", 25)
        assert [attempt.ended for attempt in details.attempts] == [None]
        assert details.last_saved is not None
        world.open.set()
        run.result(30)
        assert client.get("g").progress is None

    def test_input_and_payload_are_plain_json(self, client: Client) -> None:
        client.start(provision, {"name": "Ann"}, id="ann").result(30)
        details = client.get("ann", steps=1)
        assert details.input == {"name": "Ann"}
        assert details.payload == {"name": "Ann"}
        assert details.over
        assert len(details.steps) == 1
        assert details.steps_total == 3

    def test_a_waiting_run_says_what_it_waits_for(self, client: Client) -> None:
        with pytest.raises(BaseException, match="approval"):
            client.start(approved, id="a").result(30)
        details = client.get("a")
        assert (details.status, details.waits_for, details.wakes_at) == ("Waiting", ("approval",), None)

    def test_runs_are_listed_by_name_and_status_the_newest_first(self, client: Client) -> None:
        client.start(provision, {"name": "Ann"}, id="ann").result(30)
        client.start(provision, {"name": "Bob"}, id="bob").result(30)
        run = client.start(gate, id="g")
        reached_the_gate(client, run)
        assert [each.id for each in client.list()] == ["g", "bob", "ann"]
        assert [each.id for each in client.list(name="provision")] == ["bob", "ann"]
        assert [each.id for each in client.list(status="Running")] == ["g"]
        assert [each.id for each in client.list(namespace="default")] == []
        with pytest.raises(ValueError, match="Runing"):
            client.list(status="Runing")

    def test_no_such_run_says_which_there_are(self, client: Client) -> None:
        with pytest.raises(RunNotFound, match=r"no run 'ann' in this store; the newest there: none\. list\(\)"):
            client.get("ann")
        client.start(provision, {"name": "Ann"}, id="ann").result(30)
        with pytest.raises(RunNotFound, match="no run 'an' in this store; the newest there: 'ann'"):
            client.result("an")
        with pytest.raises(RunNotFound, match="the runs of job 'provision': 'ann'"):
            client.signal("provision", "go")
        for call in (client.stop, client.cancel, client.restart):
            with pytest.raises(RunNotFound):
                call("an")  # type: ignore[operator]
        with pytest.raises(RunNotFound):
            client.fork("an", "new")
        with pytest.raises(RunNotFound):
            client.resume(provision, "an")


class TestResult:
    def test_time_over_says_where_the_run_is(self, client: Client) -> None:
        run = client.start(gate, id="g")
        reached_the_gate(client, run)
        with pytest.raises(TimeoutError, match=r"run 'g' is Running, attempt 1: it was not over within 0\.1 s"):
            client.result("g", gate, timeout=0.1)
        with pytest.raises(BaseException, match="approval"):
            client.start(approved, id="a").result(30)
        with pytest.raises(TimeoutError, match="run 'a' is Waiting for the signal 'approval', attempt 1"):
            client.result("a", timeout=timedelta(milliseconds=1))

    def test_a_failed_run_tells_its_reason_and_error(self, client: Client) -> None:
        client.start(failing, {"final": True}, id="f")
        with pytest.raises(RunFailed, match=r"run 'f' failed \(StepFailed\): .*bad card") as raised:
            client.result("f", failing, timeout=30)
        assert (raised.value.status, raised.value.reason) == ("Failed", "StepFailed")
        assert "bad card" in raised.value.error

    def test_an_exception_is_no_end_and_the_next_start_goes_on(self, client: Client) -> None:
        for attempt in (1, 2):
            with pytest.raises(ValueError, match="bad row 7"):
                client.start(failing, {"final": False}, id="f").result(30)
            assert client.get("f").attempt == attempt
        with pytest.raises(TimeoutError, match=r"is Pending \(ValueError"):
            client.result("f", timeout=0)

    def test_a_stored_result_that_does_not_fit_is_said(self, client: Client) -> None:
        client.start(provision, {"name": "Ann"}, id="ann").result(30)
        with pytest.raises(Exception, match="run 'ann': the result"):
            client.result("ann", int)


class TestSignals:
    def test_a_signal_wakes_the_run_and_resume_goes_on(self, client: Client) -> None:
        with pytest.raises(BaseException, match="approval"):
            client.start(approved, id="a").result(30)
        with pytest.raises(RunNotRunnable, match="waits for the signal 'approval'"):
            client.resume(approved, "a")
        assert client.signal("a", "approval", Approval(True), signal_id="1", sender="mia") is True
        assert client.signal("a", "approval", Approval(True), signal_id="1") is False
        assert client.get("a").status == "Pending"
        assert client.resume(approved, "a").result(30) is True

    def test_it_may_come_before_the_wait(self, client: Client) -> None:
        run = client.start(gate, id="g")
        reached_the_gate(client, run)
        assert client.signal("g", "later")
        world.open.set()
        run.result(30)
        with pytest.raises(RunNotRunnable, match=r"run 'g' is over \(Succeeded\): no wait .* the signal 'later'"):
            client.signal("g", "later", 2)


class TestTakingOver:
    def test_the_old_process_is_fenced_and_the_new_one_goes_on_from_the_cursor(self, client: Client, url: str) -> None:
        old = client.start(gate, id="g")
        reached_the_gate(client, old)
        with Client(url) as another:
            new = another.resume(gate, "g")
            with pytest.raises(Fenced, match="attempt 2 is the current one"):
                old.result(30)
            world.open.set()
            assert new.result(30) == "through"
            first, second = another.get("g").attempts
        assert (first.end_kind, first.cause) == (EndKind.INTERRUPTION, "TakenOver")
        assert second.end_kind is EndKind.COMPLETION
        assert world.effects.count("ship before") == 1
        assert world.effects[-1] != "gate from 0"

    def test_what_is_over_is_not_run_again(self, client: Client) -> None:
        client.start(provision, {"name": "Ann"}, id="ann").result(30)
        assert client.resume(provision, "ann").result(30) == Customer(1, "Ann")
        assert world.effects.count("create Ann") == 1

    def test_an_operators_run_is_left_to_its_operator(self, client: Client, url: str) -> None:
        client._store.create_run(NewRun(id="uid-1", namespace="default", name="train"))
        with pytest.raises(RunNotRunnable, match=r"an operator looks after it \(namespace 'default'\).*fork\(\)"):
            client.resume(gate, "uid-1")
        with pytest.raises(RunNotRunnable, match=r"set spec\.suspend of its ResumableJob"):
            client.stop("uid-1")
        with pytest.raises(RunNotRunnable, match=r"set spec\.cancel of its ResumableJob"):
            client.cancel("uid-1")
        assert client.get("uid-1").status == "Pending"
        world.open.set()
        assert client.resume(gate, "uid-1", operator_is_gone=True).result(30) == "through"

    def test_a_paused_run_goes_on_when_it_is_unpaused(self, client: Client) -> None:
        run = client._store.create_run(NewRun(id="p", namespace="local", name="gate"))
        assert isinstance(client._store.settle("p", Expected.of(run), RunStatus.PAUSED, reason="AskSomebody"), Changed)
        with pytest.raises(RunNotRunnable, match=r"run 'p' is Paused \(AskSomebody\).*resume\(…, unpause=True\)"):
            client.resume(gate, "p")
        world.open.set()
        assert client.resume(gate, "p", unpause=True).result(30) == "through"


class TestStopping:
    def test_stop_waits_until_it_was_saved_and_resume_goes_on(self, client: Client) -> None:
        run = client.start(gate, id="g")
        reached_the_gate(client, run)
        stopped = client.stop("g", timeout="30s")
        assert (stopped.status, stopped.attempt) == ("Interrupted", 1)
        with pytest.raises(Interrupted):
            run.result(5)
        assert client.stop("g") == stopped, "nobody runs it: nothing to stop"
        world.open.set()
        assert client.resume(gate, "g").result(30) == "through"

    def test_cancel_asks_the_process_and_ends_the_run(self, client: Client) -> None:
        run = client.start(gate, id="g")
        reached_the_gate(client, run)
        cancelled = client.cancel("g", timeout="30s")
        assert (cancelled.status, cancelled.reason) == ("Cancelled", "Cancelled")
        with pytest.raises(Interrupted):
            run.result(5)
        with pytest.raises(RunFailed, match=r"run 'g' was cancelled \(Cancelled\): cancelled by a client"):
            client.result("g")
        assert client.cancel("g") == cancelled

    def test_a_process_that_does_not_answer_is_told_and_with_force_nothing_it_does_is_stored(
        self, client: Client
    ) -> None:
        run = client._store.create_run(NewRun(id="dead", namespace="local", name="gate"))
        minted = client._store.mint("dead", Expected.of(run), "n" * 32)
        assert isinstance(minted, Changed)
        with pytest.raises(TimeoutError, match=r"run 'dead' is Pending.*not within 0\.1 s.*force=True"):
            client.cancel("dead", timeout=0.1)
        assert client.cancel("dead", timeout=0.1, force=True).status == "Cancelled"
        (attempt,) = client.get("dead").attempts
        assert (attempt.end_kind, attempt.cause) == (EndKind.REQUESTED, "Cancelled")

    def test_what_finished_meanwhile_stands(self, client: Client) -> None:
        client.start(provision, {"name": "Ann"}, id="ann").result(30)
        assert client.cancel("ann").status == "Succeeded"


class TestRestartAndFork:
    def test_from_a_step_on_it_is_run_again(self, client: Client) -> None:
        client.start(provision, {"name": "Ann"}, id="ann").result(30)
        restarted = client.restart("ann", from_step=("ship", 1), request_id="r1")
        assert (restarted.status, restarted.generation) == ("Pending", 2)
        assert client.restart("ann", from_step="create", request_id="r1").generation == 2, "the same request"
        assert client.resume(provision, "ann").result(30) == Customer(1, "Ann")
        assert world.effects == ["create Ann", "ship 0", "ship 1", "ship 1"]

    def test_named_steps_are_forgotten(self, client: Client) -> None:
        client.start(provision, {"name": "Ann"}, id="ann").result(30)
        client.restart("ann", forget=["create", ("ship", 0)])
        client.start(provision, id="ann").result(30)
        assert world.effects == ["create Ann", "ship 0", "ship 1", "create Ann", "ship 0"]

    def test_a_step_that_is_not_there_is_refused_with_those_there_are(self, client: Client) -> None:
        client.start(provision, {"name": "Ann"}, id="ann").result(30)
        with pytest.raises(StoreRefused, match=r"no step load; it has create, ship\[0\], ship\[1\]"):
            client.restart("ann", from_step="load")

    def test_a_run_under_way_is_stopped_first(self, client: Client) -> None:
        run = client.start(gate, id="g")
        reached_the_gate(client, run)
        with pytest.raises(RunIsBusy, match=r"run 'g' is Running.*has not ended.*stop\(\) or cancel\(\) it first"):
            client.restart("g")

    def test_a_fork_begins_with_the_finished_steps(self, client: Client) -> None:
        client.start(provision, {"name": "Ann"}, id="ann").result(30)
        for _ in range(2):
            forked = client.fork("ann", "trial", up_to="create", job=provision, values={"name": "Ann", "products": 3})
            assert (forked.forked_from, forked.namespace, forked.status) == ("ann", "local", "Pending")
        assert client.start(provision, id="trial").result(30) == Customer(1, "Ann")
        assert world.effects == ["create Ann", "ship 0", "ship 1", "ship 0", "ship 1", "ship 2"]
        with pytest.raises(RunNotRunnable, match="there is a run 'ann' already"):
            client.fork("trial", "ann")

    def test_an_operators_run_is_forked_to_one_of_ones_own(self, client: Client) -> None:
        client._store.create_run(NewRun(id="uid-1", namespace="default", name="train"))
        client.fork("uid-1", "mine", job=provision, values={"name": "Ann"})
        assert client.start(provision, id="mine").result(30).name == "Ann"


class TestAsyncClient:
    def test_it_starts_waits_signals_and_lists(self, url: str) -> None:
        async def main() -> None:
            async with AsyncClient(url) as client:
                run = await client.start(later, {"n": 4}, id="l")
                assert await client.result(run.id, later, timeout="30s") == 8
                assert [each.id for each in await client.list()] == ["l"]
                assert (await client.get("l")).steps_done == 1
                with pytest.raises(RunNotFound):
                    await client.signal("x", "go")
                with pytest.raises(RunNotRunnable):
                    await client.signal("l", "go")
                assert (await client.restart("l")).generation == 2
                assert (await client.fork("l", "l2")).forked_from == "l"
                assert (await client.cancel("l2")).status == "Cancelled"
                resumed = await client.resume(later, "l")
                assert await client.result(resumed.id, later, timeout=30) == 8

        asyncio.run(main())

    def test_waiting_blocks_nobody_and_a_cancelled_wait_leaves_the_run_alone(self, url: str) -> None:
        async def main() -> None:
            async with AsyncClient(url) as client:
                run = await client.start(gate, id="g")
                waiting = [asyncio.create_task(client.result("g", gate)) for _ in range(20)]
                while (await client.get("g")).progress is None:
                    await asyncio.sleep(0.01)
                waiting[0].cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting[0]
                assert (await client.stop("g", timeout="30s")).status == "Interrupted"
                world.open.set()
                await client.resume(gate, "g")
                assert await asyncio.gather(*waiting[1:]) == ["through"] * 19
                assert run.done

        asyncio.run(main())

    def test_each_public_name_is_there_in_both(self) -> None:
        def public(kind: type) -> set[str]:
            return {name for name in dir(kind) if not name.startswith("_")}

        assert public(Client) == public(AsyncClient)


class TestStores:
    def test_a_store_that_is_away_is_waited_for_by_result_and_named_by_the_rest(self) -> None:
        with Client("http://127.0.0.1:9") as client:
            with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:9"):
                client.get("r")
            with pytest.raises(StoreUnavailable, match="does not answer"):
                client.result("r", timeout=0.2)

    def test_a_store_of_another_kind_is_refused(self) -> None:
        with pytest.raises(StoreRefused, match="'oracle'"):
            Client("oracle://somewhere")

    def test_a_service_serves_who_may_control_it_and_refuses_others_with_a_sentence(self, tmp_path: Path) -> None:
        controller = ServiceAccount("system", "controller")
        callers = {"one": controller, "another": ServiceAccount("team-a", "default")}

        class Tokens:
            async def authenticate(self, token: str) -> Caller:
                return AccountCaller(callers[token])

        @asynccontextmanager
        async def tokens() -> AsyncIterator[Authenticator]:
            yield Tokens()

        for name in callers:
            (tmp_path / name).write_text(name)
        store = SqlStore(f"sqlite:///{tmp_path / 'runs.db'}")
        with running_service(store, authenticator=tokens, controller=controller) as url:
            with Client(url, token_file=tmp_path / "one") as client:
                assert client.start(provision, {"name": "Ann"}, id="ann").result(30).name == "Ann"
            with Client(url, token_file=tmp_path / "another") as client:
                for call in (client.get, client.result, client.stop, client.restart):
                    with pytest.raises(StoreRefused, match="team-a/default is not the controller's"):
                        call("ann")  # type: ignore[operator]
        store.close()

    def test_a_disk_that_cannot_be_written_is_none_of_a_job_without_checkpoints(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = SqlStore(f"sqlite:///{tmp_path / 'runs.db'}")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        (tmp_path / "elsewhere" / ".resumable").write_text("a file where the folder would be")
        with Client(store) as client:
            assert client.start(provision, {"name": "Ann"}).result(30).name == "Ann"
        store.close()

    def test_the_callers_own_store_stays_open(self, tmp_path: Path) -> None:
        store = SqlStore(f"sqlite:///{tmp_path / 'runs.db'}")
        with Client(store) as client:
            client.start(provision, {"name": "Ann"}, id="ann").result(30)
        assert store.get_run("ann") is not None
        store.close()

    def test_a_path_and_its_url_are_the_same_place(self, tmp_path: Path) -> None:
        with Client(tmp_path / "runs.db") as one, Client(f"sqlite:///{tmp_path / 'runs.db'}") as other:
            run = one.start(gate, id="g")
            reached_the_gate(one, run)
            with pytest.raises(RunIsBusy, match="another thread of this process"):
                other.start(gate, id="g")
            world.open.set()
            run.result(30)
