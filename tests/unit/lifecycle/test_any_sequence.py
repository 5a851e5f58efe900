"""Whatever happens to pods, record and clock, in whatever order: the rules hold.

Hypothesis plays the cluster, the worker and the user against `decide`; the record is the real SQL store (in memory),
the pods are a model. The operator is not there all the time: it makes a round only when Hypothesis lets it, sees pods
late, and may die between any two actions.
"""

import dataclasses
import itertools
from datetime import datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from resumable.lifecycle import restart
from resumable.lifecycle.counters import count
from resumable.lifecycle.decide import decide
from resumable.lifecycle.decision import (
    Action,
    BindPod,
    CountEnd,
    CreatePod,
    CreateRun,
    Decision,
    DeletePod,
    DeleteState,
    Mint,
    ReleaseJob,
    ReleasePod,
    RequestStop,
    Restart,
    SetInput,
    Settle,
)
from resumable.lifecycle.pod import Blocked, ContainerEnd, Disruption, Pod, nonce_hash
from resumable.lifecycle.status import status_of
from resumable.resource.job import ResumableJob
from resumable.state.outcome import Begun, Changed
from resumable.state.record import Encoded, EndKind, Fence, RunStatus, RunView, Write
from resumable.state.sql.store import SqlStore
from resumable.state.store import Beginning, FinishedStep, NewRun, NewSignal, RunEnd
from tests.unit.lifecycle.builders import NEW_TEMPLATE, TEMPLATE, job

_MOST_ACTIONS = 40  # more in a row without a decision that rests: it chases its own tail


class AnySequence(RuleBasedStateMachine):
    """One job on one cluster."""

    store = SqlStore("sqlite://")  # one for all examples, each with a run of its own: making the schema takes a while
    runs = itertools.count(1)

    def __init__(self) -> None:
        super().__init__()
        self.info = self.store.info()
        self.run_id = f"run-{next(self.runs)}"
        self.view: RunView | None = None  # as the store has it
        self.numbers = itertools.count(1)
        self.pods: dict[str, Pod] = {}  # by UID: what the API server has
        self.fences: dict[str, Fence] = {}  # by pod UID: what a pod's environment says
        self.begun: set[str] = set()  # pod UIDs whose process has begun
        self.spec: dict[str, Any] = {}
        self.status: dict[str, Any] = {}
        self.offset = timedelta()
        self.deleted = False
        self.released = False
        self.final: tuple[int, RunStatus] | None = None  # the generation, and how it ended
        self.created: set[int] = set()  # numbers of attempts that ever had a pod

    def teardown(self) -> None:
        self.store.delete_run(self.run_id)

    # What is.

    @property
    def now(self) -> datetime:
        return self.store.info().now + self.offset

    def fresh(self, prefix: str) -> str:
        """A new id. Not a random one: Hypothesis has to be able to play the same sequence again."""
        return f"{prefix}{next(self.numbers):04}"

    def read(self) -> None:
        """After each call that may have changed the record."""
        self.view = self.store.view(self.run_id)

    def owner(self) -> ResumableJob:
        owner = job(uid=self.run_id, status=self.status, deleted=self.now if self.deleted else None, **self.spec)
        if self.view is None or owner.spec.restart is None or not restart.is_new(owner, self.view.run):
            return owner
        problem = restart.problem_of(owner.spec.restart, self.view.run, self.view.steps)
        return dataclasses.replace(owner, restart_problem=problem)

    def living(self) -> list[Pod]:
        return [pod for pod in self.pods.values() if not pod.terminal]

    def change(self, pod: Pod, **fields: Any) -> None:
        """Change a pod as the API server has it; one that is terminal, deleted and released is gone."""
        changed = dataclasses.replace(pod, **fields)
        self.pods[pod.uid] = changed
        if changed.terminal and changed.deleting_since and not changed.tracked:
            del self.pods[pod.uid]

    # The user.

    @initialize(
        limit=st.integers(0, 2),
        fruitless=st.integers(0, 2),
        when=st.sampled_from(["Fail", "Pause"]),
        replacement=st.sampled_from(["Terminated", "AfterFencing"]),
        retention=st.sampled_from(["Retain", "Delete"]),
    )
    def apply(self, limit: int, fruitless: int, when: str, replacement: str, retention: str) -> None:
        self.spec = {
            "template": TEMPLATE,
            "backoffLimit": limit,
            "whenExhausted": when,
            "interruptions": {"maxWithoutProgress": fruitless},
            "podReplacementPolicy": replacement,
            "stateRetentionPolicy": {"whenDeleted": retention},
        }

    @rule(value=st.booleans())
    def suspend(self, value: bool) -> None:
        self.spec["suspend"] = value

    @rule()
    def raise_the_limits(self) -> None:
        self.spec["backoffLimit"] += 1
        self.spec["interruptions"] = {"maxWithoutProgress": self.spec["interruptions"]["maxWithoutProgress"] + 1}

    @rule(template=st.sampled_from([TEMPLATE, NEW_TEMPLATE]), strategy=st.sampled_from(["Restart", "OnNextAttempt"]))
    def roll_out(self, template: dict[str, Any], strategy: str) -> None:
        self.spec |= {"template": template, "updateStrategy": strategy}

    @rule(rows=st.integers(1, 3))
    def change_the_input(self, rows: int) -> None:
        self.spec["input"] = {"rows": rows}

    @rule(step=st.sampled_from(["", "a", "b", "nowhere"]))
    def ask_for_a_restart(self, step: str) -> None:
        self.spec["restart"] = {"requestID": self.fresh("request-")} | ({"fromStep": {"name": step}} if step else {})

    @rule()
    def take_the_request_away(self) -> None:
        self.spec.pop("restart", None)

    @precondition(lambda self: self.view is not None)
    @rule(name=st.sampled_from("xy"))
    def send_a_signal(self, name: str) -> None:
        self.store.send_signal(self.run_id, NewSignal(id=self.fresh("signal-"), name=name))
        self.read()

    @precondition(lambda self: self.view is not None and self.view.run.attempt > 1)
    @rule()
    def cancel(self) -> None:
        self.spec["cancel"] = True

    @precondition(lambda self: self.view is not None and self.view.run.attempt > 1)
    @rule()
    def delete(self) -> None:
        self.deleted = True

    # The cluster.

    @rule(seconds=st.sampled_from([1, 15, 100, 1000]))
    def time_passes(self, seconds: int) -> None:
        self.offset += timedelta(seconds=seconds)

    @precondition(lambda self: self.living())
    @rule(data=st.data(), how=st.sampled_from(["eviction", "by hand"]))
    def somebody_deletes_a_pod(self, data: st.DataObject, how: str) -> None:
        pod = data.draw(st.sampled_from(self.living()))
        disruption = Disruption("EvictionByEvictionAPI") if how == "eviction" else pod.disruption
        self.change(pod, deleting_since=pod.deleting_since or self.now, disruption=disruption)

    @precondition(lambda self: self.living())
    @rule(data=st.data(), code=st.sampled_from([0, 1, 75, 76, 77, 137]), oom=st.booleans())
    def a_pod_ends(self, data: st.DataObject, code: int, oom: bool) -> None:
        pod = data.draw(st.sampled_from(self.living()))
        end = ContainerEnd(code, "OOMKilled" if oom and code == 137 else "", finished=self.now)
        self.change(pod, phase="Succeeded" if code == 0 else "Failed", end=end, blocked=None)

    @precondition(lambda self: self.pods)
    @rule(data=st.data())
    def a_pod_is_forced_away(self, data: st.DataObject) -> None:
        """The object goes, finalizer and all; what was its process may live on as a zombie."""
        self.pods.pop(data.draw(st.sampled_from(sorted(self.pods))))

    @precondition(lambda self: [pod for pod in self.living() if pod.uid not in self.begun])
    @rule(data=st.data())
    def an_image_is_missing(self, data: st.DataObject) -> None:
        waiting = [pod for pod in self.living() if pod.uid not in self.begun]
        self.change(data.draw(st.sampled_from(waiting)), phase="Pending", blocked=Blocked("ImagePullBackOff"))

    # Workers, zombies among them: whoever ever had a fence may try.

    @precondition(lambda self: self.fences)
    @rule(data=st.data())
    def a_worker_begins(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from(sorted(self.fences)))
        answer = self.store.begin(self.fences[uid], Beginning(process_id=uid, pod_uid=uid))
        if isinstance(answer, Begun):
            self.begun.add(uid)
        self.read()

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), name=st.sampled_from("abc"))
    def a_worker_finishes_a_step(self, data: st.DataObject, name: str) -> None:
        uid = data.draw(st.sampled_from(sorted(self.begun)))
        write = Write(self.fresh("write-"), 1)
        self.store.finish_step(self.fences[uid], write, FinishedStep(name=name, result=Encoded("json", b"1")))
        self.read()

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), to=st.sampled_from([RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.PAUSED]))
    def a_worker_ends_the_run(self, data: st.DataObject, to: RunStatus) -> None:
        uid = data.draw(st.sampled_from(sorted(self.begun)))
        self.store.end_run(self.fences[uid], Write(self.fresh("write-"), 1), RunEnd(status=to))
        self.read()

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), signal=st.sampled_from(["", "x", "y"]), seconds=st.sampled_from([None, 1, 500]))
    def a_worker_leaves_to_wait(self, data: st.DataObject, signal: str, seconds: int | None) -> None:
        """As the SDK does it: not when the signal is there already, and for something at all."""
        uid = data.draw(st.sampled_from(sorted(self.begun)))
        there = {each.name for each in self.store.list_signals(self.run_id)}
        if signal in there or (not signal and seconds is None) or self.view is None:
            return
        end = RunEnd(
            status=RunStatus.WAITING,
            wake_on=(signal,) if signal else (),
            wake_after_ms=seconds * 1000 if seconds else None,
            signal_seq=self.view.run.signal_seq,
        )
        self.store.end_run(self.fences[uid], Write(self.fresh("write-"), 1), end)
        self.read()

    # The operator.

    @rule(actions=st.integers(0, 3))
    def the_operator_dies_after_some_actions(self, actions: int) -> None:
        for _ in range(actions):
            decision = self.decide()
            if not decision.actions:
                break
            self.carry_out(decision.actions[0])

    @rule()
    def the_operator_works_until_it_rests(self) -> None:
        for _ in range(_MOST_ACTIONS):
            decision = self.decide()
            if not decision.actions:
                self.must_be_waiting_for_something_named(decision)
                return
            for action in decision.actions:
                if not self.carry_out(action):
                    break
        raise AssertionError(f"still acting after {_MOST_ACTIONS} rounds: {decision.actions}")

    def decide(self) -> Decision:
        if self.released:  # the resource is gone: there is nothing to decide about
            return Decision()
        pods, view = list(self.pods.values()), self.view
        decision = decide(self.owner(), view, pods, self.now, store_uuid=self.info.uuid)
        made = status_of(self.owner(), view, pods, decision, now=self.now, store=self.info)
        self.status |= made
        return decision

    def carry_out(self, action: Action) -> bool:
        """As the controller does it; False: refused, read again."""
        try:
            return self.do(action)
        finally:
            self.read()

    def do(self, action: Action) -> bool:
        match action:
            case CreateRun():
                self.store.create_run(NewRun(id=self.run_id, namespace="shop", name="import"))
                return True
            case Mint(expected):
                self.nothing_else_may_write()
                minted = self.store.mint(self.run_id, expected, self.fresh("nonce-"))
                self.read()
                return isinstance(minted, Changed) and self.create_pod(action.attempt)
            case CreatePod(attempt):
                return self.create_pod(attempt)
            case BindPod(attempt, name, uid):
                return self.bind(attempt, name, uid)
            case SetInput(expected):
                outcome = self.store.set_input(self.run_id, expected, self.owner().spec.encoded_input)
            case RequestStop(attempt, reason):
                outcome = self.store.request_stop(self.run_id, attempt, reason)
            case CountEnd(end):
                outcome = self.store.count_end(self.run_id, end)
            case Settle(expected, to, reason, message):
                outcome = self.store.settle(self.run_id, expected, to, reason=reason, message=message)
            case Restart(expected, request):
                outcome = self.store.restart(self.run_id, expected, request)
                assert isinstance(outcome, Changed), "nobody but the operator changes a run at rest"
            case DeletePod(_, uid):
                if uid in self.pods:
                    self.change(self.pods[uid], deleting_since=self.pods[uid].deleting_since or self.now)
                return True
            case ReleasePod(_, uid):
                if uid in self.pods:
                    self.change(self.pods[uid], tracked=False)
                return True
            case DeleteState():
                self.store.delete_run(self.run_id)
                return True
            case ReleaseJob():
                assert all(pod.terminal or pod.deleting_since for pod in self.pods.values())
                self.released = True
                return False
        return isinstance(outcome, Changed)

    def create_pod(self, number: int) -> bool:
        view = self.view
        assert view is not None
        name = f"import-r{number}"
        if any(pod.name == name for pod in self.pods.values()):
            return False  # 409
        assert number not in self.created or not view.attempts[-1].pod_uid, "an attempt has one pod"
        uid = self.fresh("pod-")
        self.created.add(number)
        self.fences[uid] = view.run.fence
        self.pods[uid] = Pod(
            name=name,
            uid=uid,
            attempt=number,
            run_id=self.run_id,
            nonce_hash=nonce_hash(view.run.nonce),
            phase="Running",
            created=self.now,
            node="n1",
            template_hash=self.owner().template_hash,
        )
        return self.bind(number, name, uid)

    def bind(self, number: int, name: str, uid: str) -> bool:
        view = self.view
        assert view is not None
        bound = self.store.bind_pod(self.run_id, number, view.run.nonce, pod_name=name, pod_uid=uid)
        return isinstance(bound, Changed)

    # The rules.

    def nothing_else_may_write(self) -> None:
        """A mint follows only when the last attempt's end is counted: a living pod is one that was given up."""
        view = self.view
        assert view is not None
        assert all(each.ended for each in view.attempts)
        uncounted = [pod for pod in self.living() if view.attempts[pod.attempt - 1].ended is None]
        assert not uncounted

    def must_be_waiting_for_something_named(self, decision: Decision) -> None:
        """Done, or waiting for a moment, for a pod, or for a person who is told what to do."""
        view = self.view
        if self.released or decision.look_again or self.living():
            return
        named = [each for each in self.status["conditions"] if each["status"] != "False"]
        waiting = {each["type"] for each in named} & {"Complete", "Failed", "Paused", "Suspended", "Waiting"}
        silent = [each for each in named if each["type"] == "Running" and each["reason"] in ("PodLost",)]
        assert waiting or silent, (view, decision, self.pods)

    @invariant()
    def a_terminal_state_is_final_until_somebody_asks_for_a_restart(self) -> None:
        view = self.view
        if view is None:
            return
        if self.final and view.run.generation == self.final[0]:
            assert view.run.status is self.final[1]
        elif view.run.status.terminal:
            self.final = view.run.generation, view.run.status

    @invariant()
    def a_run_never_waits_for_a_signal_that_is_there(self) -> None:
        if self.view is not None and self.view.run.status is RunStatus.WAITING:
            assert not {each.name for each in self.store.list_signals(self.run_id)} & set(self.view.run.wake_on)

    @invariant()
    def a_wait_spends_no_budget(self) -> None:
        for attempt in self.view.attempts if self.view is not None else ():
            if attempt.written_end is RunStatus.WAITING and attempt.ended:
                assert attempt.end_kind is EndKind.COMPLETION

    @invariant()
    def an_interruption_never_spends_the_failure_budget(self) -> None:
        view = self.view
        if view is None or view.run.reason != "BackoffLimitExceeded":
            return
        assert count([each for each in view.attempts if each.generation == view.run.generation]).failures > 0
        assert all(
            each.cause not in ("EvictionByEvictionAPI", "DeletedByUser")
            for each in view.attempts
            if each.end_kind is EndKind.FAILURE
        )

    @invariant()
    def at_most_one_attempt_is_open_and_it_is_the_current_one(self) -> None:
        view = self.view
        if view is not None:
            assert all(each.ended for each in view.attempts if each.number != view.run.attempt)

    @invariant()
    def the_status_never_knows_less_of_attempts_than_it_did(self) -> None:
        view = self.view
        if view is not None:
            assert self.status.get("attempt", 0) <= view.run.attempt


AnySequence.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestAnySequence = AnySequence.TestCase
