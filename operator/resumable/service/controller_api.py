"""The controller's calls and the readers': what a `Store` can do beside a worker's calls. Guarded as a whole."""

from functools import partial
from typing import Any

from litestar import Router, delete, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.params import FromQuery, JSONBody
from litestar.status_codes import HTTP_200_OK

from resumable.service.caller import Caller
from resumable.service.parameters import Calls, RunId
from resumable.service.problems import RESPONSES, RunNotFound
from resumable.state.outcome import ChangeOutcome, SendOutcome
from resumable.state.record import Cursor, Event, Run, RunView, Signal, Step, StepTry, StoreInfo
from resumable.state.store import AttemptEnd, NewRun, NewSignal
from resumable.state.wire import (
    BindPodRequest,
    Collected,
    ForkRequest,
    MintRequest,
    RequestStopRequest,
    RestartRunRequest,
    SetInputRequest,
    SettleRequest,
)

_read = partial(get, responses=RESPONSES)
_write = partial(post, status_code=HTTP_200_OK, responses=RESPONSES)


def controller_only(connection: ASGIConnection[Any, Caller, Any, State], _: BaseRouteHandler) -> None:
    """Raises NotAllowed unless the caller is the controller."""
    connection.app.state.admission.control(connection.user)


@_read("/store")
async def info(calls: Calls) -> StoreInfo:
    """Which store this is, its schema, its grade of durability, its clock."""
    return await calls.read(lambda store: store.info())


@_write("/runs")
async def create_run(data: JSONBody[NewRun], calls: Calls) -> Run:
    """Make a run's record, or answer with the one that is there with this id."""
    return await calls.write(lambda store: store.create_run(data))


@_read("/runs")
async def list_runs(
    calls: Calls, namespace: FromQuery[str | None] = None, limit: FromQuery[int] = 500
) -> tuple[Run, ...]:
    """The runs, the newest first."""
    return await calls.read(lambda store: store.list_runs(namespace, limit=limit))


@_read("/runs/{run_id:str}")
async def get_run(run_id: RunId, calls: Calls) -> Run:
    """One run's row."""
    run = await calls.read(lambda store: store.get_run(run_id))
    if run is None:
        raise RunNotFound(run_id)
    return run


@_read("/runs/{run_id:str}/view")
async def view(run_id: RunId, calls: Calls, steps: FromQuery[int] = 12) -> RunView:
    """One consistent read of a run, for deciding and showing."""
    found = await calls.read(lambda store: store.view(run_id, steps=steps))
    if found is None:
        raise RunNotFound(run_id)
    return found


@_read("/runs/{run_id:str}/steps")
async def list_steps(run_id: RunId, calls: Calls) -> tuple[Step, ...]:
    """All steps with their results, by ordinal."""
    return await calls.read(lambda store: store.list_steps(run_id))


@_read("/runs/{run_id:str}/cursors")
async def list_cursors(run_id: RunId, calls: Calls) -> tuple[Cursor, ...]:
    """All cursors."""
    return await calls.read(lambda store: store.list_cursors(run_id))


@_read("/runs/{run_id:str}/events")
async def list_events(
    run_id: RunId, calls: Calls, after: FromQuery[int] = 0, limit: FromQuery[int] = 100
) -> tuple[Event, ...]:
    """What happened, from a sequence number on. Events only wake readers."""
    return await calls.read(lambda store: store.list_events(run_id, after=after, limit=limit))


@_read("/runs/{run_id:str}/signals")
async def list_signals(run_id: RunId, calls: Calls) -> tuple[Signal, ...]:
    """All signals, in the order they came."""
    return await calls.read(lambda store: store.list_signals(run_id))


@_read("/runs/{run_id:str}/tries")
async def list_tries(run_id: RunId, calls: Calls) -> tuple[StepTry, ...]:
    """Every try of every step."""
    return await calls.read(lambda store: store.list_tries(run_id))


@_read("/woken")
async def list_woken(calls: Calls, limit: FromQuery[int] = 500) -> tuple[str, ...]:
    """The ids of runs that a signal woke or somebody restarted, and that no attempt was minted for since."""
    return await calls.read(lambda store: store.list_woken(limit=limit))


@_write("/runs/{run_id:str}/signals")
async def send_signal(run_id: RunId, data: JSONBody[NewSignal], calls: Calls) -> SendOutcome:
    """Send a signal to a run: stored once for each id, kept until a wait of its name takes it."""
    return await calls.write(lambda store: store.send_signal(run_id, data))


@_write("/runs/{run_id:str}/set-input")
async def set_input(run_id: RunId, data: JSONBody[SetInputRequest], calls: Calls) -> ChangeOutcome:
    """Replace the input, while no attempt is under way."""
    return await calls.write(lambda store: store.set_input(run_id, data.expected, data.value))


@_write("/runs/{run_id:str}/mint")
async def mint(run_id: RunId, data: JSONBody[MintRequest], calls: Calls) -> ChangeOutcome:
    """Mint the next attempt: every earlier fence ends."""
    return await calls.write(lambda store: store.mint(run_id, data.expected, data.nonce))


@_write("/runs/{run_id:str}/bind-pod")
async def bind_pod(run_id: RunId, data: JSONBody[BindPodRequest], calls: Calls) -> ChangeOutcome:
    """Say which pod is this attempt's."""
    return await calls.write(
        lambda store: store.bind_pod(
            run_id, data.attempt, data.nonce, pod_name=data.pod_name, pod_uid=data.pod_uid, node=data.node
        )
    )


@_write("/runs/{run_id:str}/request-stop")
async def request_stop(run_id: RunId, data: JSONBody[RequestStopRequest], calls: Calls) -> ChangeOutcome:
    """Ask the current attempt to save and leave."""
    return await calls.write(lambda store: store.request_stop(run_id, data.expected_attempt, data.reason))


@_write("/runs/{run_id:str}/count-end")
async def count_end(run_id: RunId, data: JSONBody[AttemptEnd], calls: Calls) -> ChangeOutcome:
    """Record how an attempt's pod ended, once."""
    return await calls.write(lambda store: store.count_end(run_id, data))


@_write("/runs/{run_id:str}/settle")
async def settle(run_id: RunId, data: JSONBody[SettleRequest], calls: Calls) -> ChangeOutcome:
    """Change the status while no pod lives."""
    return await calls.write(
        lambda store: store.settle(run_id, data.expected, data.to, reason=data.reason, message=data.message)
    )


@_write("/runs/{run_id:str}/restart")
async def restart(run_id: RunId, data: JSONBody[RestartRunRequest], calls: Calls) -> ChangeOutcome:
    """Run it again, in place, from a step or without what it asks to forget."""
    return await calls.write(lambda store: store.restart(run_id, data.expected, data.request))


@_write("/runs/{run_id:str}/fork")
async def fork(run_id: RunId, data: JSONBody[ForkRequest], calls: Calls) -> Run:
    """Make another run that begins with this one's history."""
    run = await calls.write(lambda store: store.fork_run(run_id, data.new, data.up_to))
    if run is None:
        raise RunNotFound(run_id)
    return run


@_write("/collect")
async def collect(calls: Calls) -> Collected:
    """Remove what was kept for a time that is over. The service does it by itself, too."""
    return Collected(await calls.write(lambda store: store.collect()))


@delete("/runs/{run_id:str}", responses=RESPONSES)
async def delete_run(run_id: RunId, calls: Calls) -> None:
    """Remove a run and all that is its. Idempotent."""
    await calls.write(lambda store: store.delete_run(run_id))


ROUTER = Router(
    "/",
    route_handlers=[
        info,
        create_run,
        list_runs,
        get_run,
        view,
        list_steps,
        list_cursors,
        list_events,
        list_signals,
        list_tries,
        list_woken,
        send_signal,
        set_input,
        mint,
        bind_pod,
        request_stop,
        count_end,
        settle,
        restart,
        fork,
        collect,
        delete_run,
    ],
    guards=[controller_only],
    tags=["controller"],
)
