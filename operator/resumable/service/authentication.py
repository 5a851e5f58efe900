"""Who calls: the protocol, and the way that asks for no proof. `token_review` is the one for a cluster."""

import ipaddress
from typing import Protocol

from resumable.service.caller import Caller, LocalCaller


class NotAuthenticated(Exception):
    """No proof, or one that doesn't hold (any more). The message is one sentence."""


class AuthenticationUnavailable(Exception):
    """Whoever has to check the proof does not answer. The message is one sentence."""


class Authenticator(Protocol):
    """Turns a request's bearer token into a caller."""

    async def authenticate(self, token: str) -> Caller:
        """Who calls; "" is a request without a token. Raises NotAuthenticated, AuthenticationUnavailable."""
        ...


class LoopbackAuthenticator:
    """`--auth none`: everybody is trusted. Only for a service that listens on loopback (`is_loopback`)."""

    async def authenticate(self, token: str) -> Caller:  # noqa: ARG002
        """Everybody is the local user."""
        return LocalCaller()


def is_loopback(host: str) -> bool:
    """Whether a listener on `host` is reached from this machine only. Names other than localhost may be anything."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
