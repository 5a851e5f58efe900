"""Which store a command looks into: a URL, or the state directory of local runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from resumable.cli.main import Refusal
from resumable.state.store import Store

F = TypeVar("F", bound=Callable[..., Any])


def store_options(function: F) -> F:
    """Add `--store-url` and `--token-file`."""
    url = click.option(
        "--store-url",
        envvar="RESUMABLE_STORE_URL",
        help="The store: sqlite:////absolute/path, postgresql://…, or the state service's http(s)://… "
        "[default: .resumable/state.db of local runs]",
    )
    token = click.option(
        "--token-file",
        envvar="RESUMABLE_TOKEN_FILE",
        type=click.Path(dir_okay=False),
        help="A file with the token for the state service.",
    )
    return url(token(function))


@contextmanager
def opened(store_url: str | None, token_file: str | None) -> Iterator[Store]:
    """The store that the options name."""
    from resumable.state.open import open_store

    if store_url is None:
        local = Path(".resumable/state.db").resolve()
        if not local.exists():
            raise Refusal(f"there is no {local}: run this where `resumable run` ran, or name a store with --store-url")
        store_url = f"sqlite:///{local}"
    store = open_store(store_url, token_file=token_file)
    try:
        yield store
    finally:
        store.close()
