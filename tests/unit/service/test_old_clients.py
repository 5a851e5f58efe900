"""A worker whose SDK is older than the service: bodies without what came since, answers with more than it knows."""

import json
import secrets
from typing import Any

import msgspec
import urllib3

from resumable.state.record import RunStatus
from tests.unit.service.conftest import Service


class FirstStored(msgspec.Struct, frozen=True, tag="Stored"):
    """`Stored` as the first SDK knew it."""

    stop_requested: str = ""


def test_the_calls_of_the_first_sdk_are_answered_as_they_were(service: Service) -> None:
    fence = service.bound("old", "uid-a")
    sequence = 0

    def post(call: str, **body: Any) -> Any:
        answer = urllib3.request(
            "POST",
            f"{service.url}/v1/runs/old/{call}",
            body=json.dumps({"attempt": fence.attempt, "nonce": fence.nonce, **body}),
            headers={"authorization": "Bearer pod-a", "content-type": "application/json"},
            retries=False,
        )
        assert answer.status == 200, answer.data
        return answer.json()

    def write() -> dict[str, Any]:
        nonlocal sequence
        sequence += 1
        return {"write_id": secrets.token_hex(16), "sequence": sequence, "after": None}

    value = {"codec": "json", "data": "NDI="}
    begun = post("begin", beginning={"process_id": "p", "pod_uid": "", "code_version": "1"})
    assert begun["type"] == "Begun"
    assert begun["run"]["status"] == "Running"
    step = {"name": "a", "key": "", "ordinal": 0, "result": value, "error": "", "duration_ms": 5}
    saved = {"name": "b", "key": "", "ordinal": 1, "value": value, "checkpoint": "", "running_ms": 5}
    answers = [
        post("finish-step", write=write(), step=step),
        post("save-cursor", write=write(), cursor=saved),
        post("heartbeat", activity=[{"name": "b", "running_ms": 9}]),
        post("save-payload", write=write(), payload=value),
        post("end", write=write(), end={"status": "Succeeded", "reason": "", "result": value, "error": ""}),
    ]

    assert [msgspec.convert(answer, FirstStored) for answer in answers] == [FirstStored()] * 5
    [first, _] = service.store.list_steps("old")
    assert first.result is not None
    assert (first.result.data, first.failures, first.final, first.expires) == (b"42", 0, False, None)
    run = service.store.get_run("old")
    assert run is not None
    assert (run.status, run.record_version, run.expires) == (RunStatus.SUCCEEDED, 1, None)
