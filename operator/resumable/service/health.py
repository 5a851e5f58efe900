"""Whether the service lives (it answers) and is ready (its store answers, with the schema that this version knows)."""

import asyncio
from datetime import timedelta

from litestar import MediaType, Response, get
from litestar.status_codes import HTTP_503_SERVICE_UNAVAILABLE

from resumable.service.parameters import Calls, SchemaVersion
from resumable.service.problems import problem
from resumable.state.outcome import StoreError
from resumable.state.wire import Problem

_ANSWER_WITHIN = timedelta(seconds=2)


@get("/livez", media_type=MediaType.TEXT, exclude_from_auth=True, tags=["health"])
async def livez() -> str:
    """The process serves requests. Says nothing of the store: a restart would not bring that back."""
    return "ok"


@get("/readyz", exclude_from_auth=True, tags=["health"])
async def readyz(calls: Calls, schema_version: SchemaVersion) -> Response[str] | Response[Problem]:
    """The store answers, and its schema is the one that this process started with."""
    try:
        async with asyncio.timeout(_ANSWER_WITHIN.total_seconds()):
            info = await calls.read(lambda store: store.info())
    except TimeoutError:
        return problem(
            HTTP_503_SERVICE_UNAVAILABLE, f"the store did not answer within {_ANSWER_WITHIN.total_seconds():g} s"
        )
    except StoreError as error:
        return problem(HTTP_503_SERVICE_UNAVAILABLE, str(error))
    if info.schema_version != schema_version:
        return problem(
            HTTP_503_SERVICE_UNAVAILABLE,
            f"the store's schema is now {info.schema_version}, this process knows {schema_version}; "
            "another version of the service migrated it: restart this one with that version",
        )
    return Response("ok", media_type=MediaType.TEXT)
