"""A job inside a real web application, whose process is killed in the middle."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import urllib3

from tests.sdk.process import JobProcess, Workplace, wait_for
from tests.servers.process import free_port


def served(place: Workplace, port: int) -> JobProcess:
    process = place.start("web_app", str(port), env={"STORE": f"sqlite:///{place.folder / 'orders.db'}"})

    def answers() -> bool:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return urllib3.request("GET", f"http://127.0.0.1:{port}/orders/none", retries=False).status == 404
        return not process.running()

    wait_for(answers, "the application's first answer")
    assert process.running(), process.log
    return process


@pytest.fixture
def request_to() -> Callable[..., Any]:
    port = free_port()

    def ask(method: str, path: str, body: Any = None) -> Any:
        response = urllib3.request(method, f"http://127.0.0.1:{port}{path}", json=body, retries=False, timeout=30)
        return response.json() if "json" in response.headers["content-type"] else response.data.decode()

    ask.port = port  # type: ignore[attr-defined]
    return ask


def test_a_request_starts_a_run_which_outlives_the_application(
    place: Workplace, request_to: Callable[..., Any]
) -> None:
    port: int = request_to.port  # type: ignore[attr-defined]
    first = served(place, port)
    assert request_to("POST", "/orders/o1") == "o1"
    first.wait_for_effect("packing o1")
    assert request_to("GET", "/orders/o1")["status"] == "Running"
    assert "no run 'o2' in this store; the newest there: 'o1'" in request_to("GET", "/orders/o2")["detail"]
    first.kill()

    second = served(place, port)
    (place.folder / "packed").touch()
    wait_for(lambda: request_to("GET", "/orders/o1")["status"] == "Waiting", "the order to wait for approval")
    assert request_to("GET", "/orders/o1") == {
        "status": "Waiting",
        "attempt": 2,
        "steps": ["reserve", "pack", "approval"],
    }
    answer = request_to("POST", "/orders/o1/approval", {"granted": True})
    assert answer == "reservation of o1: shipped by mia"
    assert place.effects() == ["reserve o1", "packing o1", "packing o1"], "what was finished is not done again"
    assert second.running()
