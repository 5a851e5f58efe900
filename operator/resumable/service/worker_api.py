"""A worker's calls. Each is let through by `Admission` and then judged by the fence, in the store.

One dependency a handler: the framework resolves two in a task group, which costs as much as all of the rest.
"""

from functools import partial

import msgspec
from litestar import Router, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK

from resumable.service.caller import AccountCaller
from resumable.service.parameters import AuthenticatedRequest, Gate, RunId
from resumable.service.problems import RESPONSES
from resumable.state.outcome import BeginOutcome, SignalsOutcome, StartOutcome, WriteOutcome
from resumable.state.wire import (
    BeginRequest,
    EndRequest,
    FinishStepRequest,
    ForgetStepRequest,
    HeartbeatRequest,
    ReadSignalsRequest,
    SaveCursorRequest,
    SavePayloadRequest,
    StartStepRequest,
)

_write = partial(post, status_code=HTTP_200_OK, responses=RESPONSES)


@_write("/begin")
async def begin(
    request: AuthenticatedRequest, run_id: RunId, data: JSONBody[BeginRequest], admission: Gate
) -> BeginOutcome:
    """A worker's first call; the answer holds everything that earlier attempts finished and saved."""
    fence = data.fence(run_id)
    beginning = data.beginning
    if isinstance(request.user, AccountCaller):  # what the token proves counts, not what the caller says
        beginning = msgspec.structs.replace(beginning, pod_uid=request.user.pod_uid)
    return await admission.work(request.user, fence, lambda store: store.begin(fence, beginning), beginning=True)


@_write("/start-step")
async def start_step(
    request: AuthenticatedRequest, run_id: RunId, data: JSONBody[StartStepRequest], admission: Gate
) -> StartOutcome:
    """Put a step's start on record before it runs: a wait, a sleep, an effect that must not happen twice."""
    fence = data.fence(run_id)
    return await admission.work(request.user, fence, lambda store: store.start_step(fence, data.write, data.step))


@_write("/finish-step")
async def finish_step(
    request: AuthenticatedRequest, run_id: RunId, data: JSONBody[FinishStepRequest], admission: Gate
) -> WriteOutcome:
    """Store a step's result, or its failure. Durable when answered."""
    fence = data.fence(run_id)
    return await admission.write_step(request.user, fence, data.write, data.step)


@_write("/save-cursor")
async def save_cursor(
    request: AuthenticatedRequest, run_id: RunId, data: JSONBody[SaveCursorRequest], admission: Gate
) -> WriteOutcome:
    """Store how far a step got. Durable when answered."""
    fence = data.fence(run_id)
    return await admission.write_step(request.user, fence, data.write, data.cursor)


@_write("/heartbeat")
async def heartbeat(
    request: AuthenticatedRequest, run_id: RunId, data: JSONBody[HeartbeatRequest], admission: Gate
) -> WriteOutcome:
    """Whether the fence still holds and a stop is wanted; shows what runs."""
    fence = data.fence(run_id)
    return await admission.work(request.user, fence, lambda store: store.heartbeat(fence, data.activity))


@_write("/save-payload")
async def save_payload(
    request: AuthenticatedRequest, run_id: RunId, data: JSONBody[SavePayloadRequest], admission: Gate
) -> WriteOutcome:
    """Store the payload that all steps share. Durable when answered."""
    fence = data.fence(run_id)
    return await admission.work(request.user, fence, lambda store: store.save_payload(fence, data.write, data.payload))


@_write("/read-signals")
async def read_signals(
    request: AuthenticatedRequest, run_id: RunId, data: JSONBody[ReadSignalsRequest], admission: Gate
) -> SignalsOutcome:
    """The signals that are there to be taken, in the order they came."""
    fence = data.fence(run_id)
    return await admission.read(request.user, fence, lambda store: store.read_signals(fence))


@_write("/forget-step")
async def forget_step(
    request: AuthenticatedRequest, run_id: RunId, data: JSONBody[ForgetStepRequest], admission: Gate
) -> WriteOutcome:
    """Remove a step, so that it runs again. Durable when answered."""
    fence = data.fence(run_id)
    return await admission.work(
        request.user, fence, lambda store: store.forget_step(fence, data.write, data.name, data.key)
    )


@_write("/end")
async def end(
    request: AuthenticatedRequest, run_id: RunId, data: JSONBody[EndRequest], admission: Gate
) -> WriteOutcome:
    """End the run, or this attempt's part of it. Durable when answered."""
    fence = data.fence(run_id)
    return await admission.work(request.user, fence, lambda store: store.end_run(fence, data.write, data.end))


ROUTER = Router(
    "/runs/{run_id:str}",
    route_handlers=[
        begin,
        start_step,
        finish_step,
        save_cursor,
        heartbeat,
        save_payload,
        read_signals,
        forget_step,
        end,
    ],
    tags=["worker"],
)
