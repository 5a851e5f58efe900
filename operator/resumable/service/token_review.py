"""Who calls, by a Kubernetes ServiceAccount token: which account, and if the token is bound to a pod, which pod.

The answer comes from the API server (`TokenReview`, with an audience of our own), never from the token's text. A
positive answer is remembered for a while, as each step of each worker is a request. What that costs: the token of a pod
that was deleted works a little longer. It gains nobody anything, because the fence, not the token, says whether a
worker may still write.
"""

import base64
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import aiohttp
import msgspec
from cachetools import TLRUCache
from kubernetes.aio import config
from kubernetes.aio.client import (
    ApiClient,
    ApiException,
    AuthenticationV1Api,
    Configuration,
    V1TokenReview,
    V1TokenReviewSpec,
)

from resumable.service.authentication import AuthenticationUnavailable, NotAuthenticated
from resumable.service.caller import AccountCaller, Caller, ServiceAccount

POD_UID = "authentication.kubernetes.io/pod-uid"
POD_NAME = "authentication.kubernetes.io/pod-name"
_ACCOUNT_PREFIX = "system:serviceaccount:"

# As long as the API server itself trusts a webhook's answer (--authentication-token-webhook-cache-ttl).
REMEMBER_FOR = timedelta(minutes=2)
_REVIEW_TIMEOUT = timedelta(seconds=5)
_MOST_REMEMBERED = 100_000


class NoCluster(Exception):
    """There is no way to an API server. The message is one sentence."""


async def load_configuration(kubeconfig: str = "") -> Configuration:
    """How to reach the API server: by a kubeconfig file, or ("") as the pod that this is. Raises NoCluster."""
    configuration = Configuration()
    try:
        if kubeconfig:
            await config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
        else:
            config.load_incluster_config(client_configuration=configuration)
    except (config.ConfigException, OSError) as error:
        hint = "" if kubeconfig else "; outside of a cluster give --kubeconfig, or --auth none with --host 127.0.0.1"
        raise NoCluster(f"no way to the Kubernetes API: {error}{hint}") from error
    return configuration


class TokenReviewAuthenticator:
    """Asks the API server about each new token."""

    @classmethod
    @asynccontextmanager
    async def connect(cls, configuration: Configuration, audience: str) -> AsyncIterator[Self]:
        """One with a client of its own, in the event loop that runs."""
        async with ApiClient(configuration) as client:
            yield cls(AuthenticationV1Api(client), audience)

    def __init__(self, api: AuthenticationV1Api, audience: str, *, now: Callable[[], float] = time.time) -> None:
        self._api = api
        self._audience = audience
        self._now = now
        # By the token's hash, so that a dump of the memory is no bunch of keys.
        self._known: TLRUCache[bytes, _Reviewed] = TLRUCache(_MOST_REMEMBERED, _forget_at, timer=now)

    async def authenticate(self, token: str) -> Caller:
        """Who the API server says it is."""
        if not token:
            raise NotAuthenticated(
                f"the request has no bearer token: send a ServiceAccount token with audience {self._audience}"
            )
        digest = hashlib.sha256(token.encode()).digest()
        if (known := self._known.get(digest)) is not None:
            return known.caller
        caller = caller_of(await self._review(token), self._audience)
        self._known[digest] = _Reviewed(caller, expiry_of(token))
        return caller

    async def _review(self, token: str) -> dict[str, Any]:
        review = V1TokenReview(spec=V1TokenReviewSpec(token=token, audiences=[self._audience]))
        try:
            answer = await self._api.create_token_review(review, _request_timeout=_REVIEW_TIMEOUT.total_seconds())
        except ApiException as error:
            raise AuthenticationUnavailable(
                f"the API server refused the TokenReview ({error.status} {error.reason}): "
                "the state service's ServiceAccount must be allowed to create tokenreviews.authentication.k8s.io"
            ) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise AuthenticationUnavailable(
                f"the API server does not answer the TokenReview: {error or type(error).__name__}"
            ) from error
        status: dict[str, Any] = self._api.api_client.sanitize_for_serialization(answer.status) or {}
        return status


@dataclass(frozen=True, slots=True)
class _Reviewed:
    caller: Caller
    expires: float


def _forget_at(_digest: bytes, reviewed: _Reviewed, now: float) -> float:
    return min(now + REMEMBER_FOR.total_seconds(), reviewed.expires)


def caller_of(status: dict[str, Any], audience: str) -> AccountCaller:
    """The caller that a `TokenReview`'s status (as JSON) names. Raises NotAuthenticated."""
    if not status.get("authenticated"):
        raise NotAuthenticated(f"the token is not valid: {status.get('error') or 'the API server does not know it'}")
    # An authenticator that knows nothing of audiences leaves the list out; its token may be meant for anybody.
    if audience not in status.get("audiences", ()):
        raise NotAuthenticated(f"the token is not for audience {audience}")
    user = status.get("user", {})
    username: str = user.get("username", "")
    namespace, _, name = username.removeprefix(_ACCOUNT_PREFIX).partition(":")
    if not username.startswith(_ACCOUNT_PREFIX) or not namespace or not name:
        raise NotAuthenticated(f"{username!r} is not a ServiceAccount; only ServiceAccount tokens are accepted")
    extra = user.get("extra", {})
    return AccountCaller(ServiceAccount(namespace, name), _only(extra.get(POD_NAME)), _only(extra.get(POD_UID)))


def expiry_of(token: str) -> float:
    """When a token that was found valid stops being so (seconds since 1970): its `exp`; infinite when it has none."""
    try:
        payload = token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=_Claims)
    except (IndexError, ValueError):  # not a JWT: `REMEMBER_FOR` alone bounds it
        return float("inf")
    return claims.exp


class _Claims(msgspec.Struct):
    exp: float = float("inf")


def _only(values: list[str] | None) -> str:
    """The value of an extra; "" unless there is exactly one, as nothing may depend on which of two is taken."""
    return values[0] if values is not None and len(values) == 1 else ""
