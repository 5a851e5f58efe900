"""What a store's URL says, apart from what the client has to know."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from resumable.state.outcome import StoreRefused

SCHEMES = {
    "redis": ("redis", False),
    "rediss": ("rediss", False),
    "redis+cluster": ("redis", True),
    "rediss+cluster": ("rediss", True),
}


@dataclass(frozen=True, slots=True)
class Location:
    """Where a store is, and what is asked of it."""

    url: str  # for the client
    address: str  # for messages: without a password
    cluster: bool = False
    allow_volatile: bool = False
    wait_replicas: int = 0


def locate(url: str) -> Location:
    """Read a URL: `redis://user:password@host:6379/0`, `rediss://…` (TLS), `redis+cluster://…`, `rediss+cluster://…`.

    `allowVolatile=true` takes a server that forgets what it acknowledged; with `waitReplicas=N` a write counts only
    when N replicas have it. What else is in the query is redis-py's. Raises `StoreRefused` that names what is wrong.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        allowed = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise StoreRefused(f"a Redis store's URL begins with one of {allowed}, not with {parts.scheme}:")
    scheme, cluster = SCHEMES[parts.scheme]
    ours: dict[str, str] = {}
    rest: list[tuple[str, str]] = []
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        plain = name.replace("_", "").lower()
        if plain in ("allowvolatile", "waitreplicas"):
            ours[plain] = value
        else:
            rest.append((name, value))
    host = parts.netloc.rpartition("@")[2]
    address = f"{parts.scheme}://{host}{parts.path}"
    return Location(
        url=urlunsplit((scheme, parts.netloc, parts.path, urlencode(rest), "")),
        address=address,
        cluster=cluster,
        allow_volatile=_switch(address, ours.get("allowvolatile", "false")),
        wait_replicas=_number(address, ours.get("waitreplicas", "0")),
    )


def _switch(address: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise StoreRefused(f"{address}: allowVolatile is {value!r} in the URL; true or false are allowed")
    return value.lower() == "true"


def _number(address: str, value: str) -> int:
    if not value.isdecimal():
        raise StoreRefused(f"{address}: waitReplicas is {value!r} in the URL; a number of replicas is allowed, as in 1")
    return int(value)
