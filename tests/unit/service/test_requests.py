"""What is wrong with a request is said in one sentence, and where."""

from typing import Any

import pytest
import urllib3

from resumable.state.outcome import StoreRefused
from resumable.state.record import Encoded
from resumable.state.store import FinishedStep, NewRun, SavedCursor
from tests.unit.service.conftest import MAX_REQUEST_BYTES, Service, write

AS_CONTROLLER = {"Authorization": "Bearer controller"}
STEP: dict[str, Any] = {
    "attempt": 1,
    "nonce": "nonce",
    "write": {"write_id": "w", "sequence": 1},
    "step": {"name": "step"},
}


def post(service: Service, path: str, **request: Any) -> tuple[int, dict[str, Any]]:
    headers = AS_CONTROLLER | request.pop("headers", {})
    answer = urllib3.request("POST", service.url + path, headers=headers, retries=False, **request)
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status, answer.json()


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (STEP | {"attempt": "one"}, "attempt", "Expected `int`, got `str`"),
        (STEP | {"step": {"name": 5}}, "step.name", "Expected `str`, got `int`"),
        (
            STEP | {"step": {"name": "s", "result": {"codec": "json", "data": "?"}}},
            "step.result.data",
            "Invalid base64",
        ),
        (STEP | {"step": {"key": "k"}}, "step", "missing required field `name`"),
        ({"attempt": 1}, "body", "missing required field `nonce`"),
        ([STEP], "body", "Expected `object`, got `array`"),
    ],
)
def test_a_malformed_body_is_answered_with_the_field(service: Service, body: Any, field: str, message: str) -> None:
    status, problem = post(service, "/v1/runs/a/finish-step", json=body)

    assert status == problem["status"] == 400
    assert problem["title"] == "Malformed request"
    assert [error["field"] for error in problem["errors"]] == [field]
    assert message in problem["errors"][0]["message"]
    assert problem["detail"].startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("body", "said"), [(b"{nope", "JSON is malformed"), (b"", "body: is missing"), (b"\xff", "JSON")]
)
def test_a_body_that_is_no_json_is_said_to_be_none(service: Service, body: bytes, said: str) -> None:
    status, problem = post(service, "/v1/runs/a/finish-step", body=body)

    assert status == 400
    assert said in problem["detail"]


def test_a_wrong_parameter_is_named(service: Service) -> None:
    answer = urllib3.request("GET", f"{service.url}/v1/runs/a/view?steps=many", headers=AS_CONTROLLER, retries=False)

    assert answer.status == 400
    assert answer.json()["detail"] == "steps: Expected `int`, got `str`"


def test_what_is_not_there_and_what_is_not_answered(service: Service) -> None:
    status, problem = post(service, "/v1/runs/a/finish-steps")
    assert (status, "/v1/runs/a/finish-steps" in problem["detail"]) == (404, True)
    status, problem = post(service, "/v1/store")
    assert (status, problem["detail"]) == (405, "/v1/store does not answer POST")


def test_a_request_that_is_too_large_is_refused_and_nothing_is_stored(service: Service) -> None:
    fence = service.begun("a", "uid-a")
    result = Encoded("json", b"1" * MAX_REQUEST_BYTES)
    client = service.client("pod-a")

    limit = rf"larger than {MAX_REQUEST_BYTES} bytes, which is the service's limit \(--max-request-bytes\)"
    with pytest.raises(StoreRefused, match=rf"{limit}; the result of step large\[7\] has 100,000 bytes"):
        client.finish_step(fence, write(), FinishedStep(name="large", key="7", result=result))
    with pytest.raises(StoreRefused, match=rf"{limit}; the cursor of step rows has 100,000 bytes"):
        client.save_cursor(fence, write(), SavedCursor(name="rows", value=result))

    assert service.store.list_steps("a") == ()
    client.finish_step(fence, write(), FinishedStep(name="small"))
    assert [step.name for step in service.store.list_steps("a")] == ["small"]


def test_a_request_that_does_not_say_how_large_it_is_is_cut_off(service: Service) -> None:
    chunks = (b" " * 10_000 for _ in range(MAX_REQUEST_BYTES // 10_000 + 1))

    status, problem = post(service, "/v1/runs/a/finish-step", body=chunks)

    assert status == 413
    assert str(MAX_REQUEST_BYTES) in problem["detail"]


def test_a_refusal_of_the_store_reaches_the_client_in_its_own_words(service: Service) -> None:
    with pytest.raises(StoreRefused, match=r"422: .*128"):
        service.client("controller").create_run(NewRun(id="x" * 129, namespace="team-a", name="x"))


@pytest.mark.parametrize("header", ["Basic dXNlcjpwYXNz", "controller", "bearer"])
def test_another_kind_of_authorization_is_not_taken(service: Service, header: str) -> None:
    status, problem = post(service, "/v1/runs/a/finish-step", json=STEP, headers={"Authorization": header})

    assert status == 401
    assert "Bearer <token>" in problem["detail"]


def test_the_api_is_documented(service: Service) -> None:
    document = urllib3.request("GET", f"{service.url}/openapi/openapi.json", retries=False).json()

    assert document["openapi"].startswith("3.1")
    finish = document["paths"]["/v1/runs/{run_id}/finish-step"]["post"]
    answers = finish["responses"]["200"]["content"]["application/json"]["schema"]["oneOf"]
    names = {answer["$ref"].rpartition("/")[2] for answer in answers}
    assert names == {"Stored", "AlreadyStored", "AlreadyDone", "Fenced", "Stopped", "Rewound", "SignalsChanged"}
    assert {"400", "401", "403", "413", "422", "503"} <= set(finish["responses"])
