"""From a URL to a store."""

from collections.abc import Callable

from resumable.state.outcome import StoreRefused
from resumable.state.store import Store


def open_store(url: str, *, token_file: str | None = None) -> Store:
    """The store at `url`: `sqlite:////absolute/path`, `postgresql://…`, `mysql://…` or `mariadb://…`,
    `redis(s)://…` or `redis(s)+cluster://…`, or a state service's `http(s)://…`.

    `token_file` holds the token to show to a state service. Each kind's client is imported when it is asked for, so
    that a worker of the state service needs no SQL client. Raises `StoreRefused` for a URL of another kind.
    """
    scheme = url.partition(":")[0].partition("+")[0]
    opener = _OPENERS.get(scheme)
    if opener is None:
        raise StoreRefused(f"the store's URL begins with {scheme!r}; one of {', '.join(_OPENERS)} is allowed")
    return opener(url, token_file)


def _sql(url: str, _token_file: str | None) -> Store:
    from resumable.state.sql.store import SqlStore

    return SqlStore(url)


def _redis(url: str, _token_file: str | None) -> Store:
    from resumable.state.redis.store import RedisStore

    return RedisStore(url)


def _remote(url: str, token_file: str | None) -> Store:
    from resumable.state.remote import RemoteStore

    return RemoteStore(url, token_file=token_file)


_OPENERS: dict[str, Callable[[str, str | None], Store]] = {
    "sqlite": _sql,
    "postgresql": _sql,
    "postgres": _sql,
    "mysql": _sql,
    "mariadb": _sql,
    "redis": _redis,
    "rediss": _redis,
    "http": _remote,
    "https": _remote,
}
