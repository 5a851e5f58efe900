"""What a TokenReview's answer means. The API server's own answers: tests/e2e/test_service_auth.py."""

import base64
import json
from typing import Any

import pytest

from resumable.service.authentication import NotAuthenticated, is_loopback
from resumable.service.caller import AccountCaller, ServiceAccount
from resumable.service.token_review import POD_NAME, POD_UID, caller_of, expiry_of

AUDIENCE = "state.resumable.dev"


def status(**changes: Any) -> dict[str, Any]:
    """As Kubernetes 1.37 answers for a projected token."""
    user = {
        "username": "system:serviceaccount:team-a:default",
        "uid": "8e5f2c7e-3b0b-4a35-8ad6-1d1c3a9d9d0a",
        "groups": ["system:serviceaccounts", "system:serviceaccounts:team-a", "system:authenticated"],
        "extra": {POD_NAME: ["train-r1"], POD_UID: ["uid-a"]},
    }
    return {"authenticated": True, "audiences": [AUDIENCE], "user": user} | changes


def test_a_pods_token_names_its_account_and_its_pod() -> None:
    assert caller_of(status(), AUDIENCE) == AccountCaller(ServiceAccount("team-a", "default"), "train-r1", "uid-a")


def test_a_token_without_a_pod_names_none() -> None:
    user = {"username": "system:serviceaccount:team-a:default"}
    assert caller_of(status(user=user), AUDIENCE) == AccountCaller(ServiceAccount("team-a", "default"))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param({}, "not valid", id="empty"),
        pytest.param({"authenticated": False, "error": "token has expired"}, "token has expired", id="expired"),
        pytest.param(status(audiences=["https://kubernetes.default.svc"]), "not for audience", id="another audience"),
        pytest.param(
            {"authenticated": True, "user": status()["user"]}, "not for audience", id="audience never checked"
        ),
        pytest.param(status(user={"username": "admin"}), "not a ServiceAccount", id="a person"),
        pytest.param(status(user={"username": "system:serviceaccount:x"}), "not a ServiceAccount", id="half a name"),
    ],
)
def test_anything_else_is_not_authenticated(answer: dict[str, Any], why: str) -> None:
    with pytest.raises(NotAuthenticated, match=why):
        caller_of(answer, AUDIENCE)


def test_two_pods_in_one_token_are_none() -> None:
    user = status()["user"] | {"extra": {POD_NAME: ["a", "b"], POD_UID: ["1", "2"]}}
    assert caller_of(status(user=user), AUDIENCE) == AccountCaller(ServiceAccount("team-a", "default"))


def jwt(claims: object) -> str:
    return "e30." + base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode() + ".c2ln"


@pytest.mark.parametrize(
    ("token", "expires"),
    [
        (jwt({"exp": 1767225600}), 1767225600),
        (jwt({"exp": 1767225600, "iss": "x" * 7}), 1767225600),
        (jwt({}), float("inf")),
        (jwt({"exp": "soon"}), float("inf")),
        ("opaque", float("inf")),
        ("a.!.c", float("inf")),
    ],
)
def test_a_remembered_answer_ends_with_the_token(token: str, expires: float) -> None:
    assert expiry_of(token) == expires


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_reached_from_this_machine_only(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "", "localhost.example.org"])
def test_anything_else_may_be_reached_from_elsewhere(host: str) -> None:
    assert not is_loopback(host)
