"""Who a caller can be."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A ServiceAccount's full name."""

    namespace: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "ServiceAccount":
        """From `namespace/name`. Raises ValueError with a sentence."""
        namespace, _, name = text.partition("/")
        if not namespace or not name or "/" in name:
            raise ValueError(f"{text!r} is not a ServiceAccount: give namespace/name")
        return cls(namespace, name)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class AccountCaller:
    """A caller that proved its ServiceAccount, and its pod ("" when the token is not bound to one)."""

    account: ServiceAccount
    pod_name: str = ""
    pod_uid: str = ""


@dataclass(frozen=True, slots=True)
class LocalCaller:
    """Whoever reaches a service that asks for no proof, because it listens on loopback only."""


Caller: TypeAlias = AccountCaller | LocalCaller
