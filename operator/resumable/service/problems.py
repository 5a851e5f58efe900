"""Errors as JSON problem details (RFC 9457), each with one sentence that says what was wrong and where."""

import logging
from typing import Any, TypeAlias

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.status_codes import (
    HTTP_400_BAD_REQUEST,
    HTTP_401_UNAUTHORIZED,
    HTTP_403_FORBIDDEN,
    HTTP_404_NOT_FOUND,
    HTTP_405_METHOD_NOT_ALLOWED,
    HTTP_413_REQUEST_ENTITY_TOO_LARGE,
    HTTP_422_UNPROCESSABLE_ENTITY,
    HTTP_500_INTERNAL_SERVER_ERROR,
    HTTP_503_SERVICE_UNAVAILABLE,
)
from litestar.types import ExceptionHandlersMap

from resumable.service.authentication import AuthenticationUnavailable, NotAuthenticated
from resumable.state.outcome import StoreRefused, StoreUnavailable
from resumable.state.wire import PROBLEM_MEDIA_TYPE, FieldError, Problem, ProblemType

logger = logging.getLogger(__name__)

_TITLES = {
    HTTP_400_BAD_REQUEST: "Malformed request",
    HTTP_401_UNAUTHORIZED: "Not authenticated",
    HTTP_403_FORBIDDEN: "Not allowed",
    HTTP_404_NOT_FOUND: "Not found",
    HTTP_405_METHOD_NOT_ALLOWED: "Wrong method",
    HTTP_413_REQUEST_ENTITY_TOO_LARGE: "Request too large",
    HTTP_422_UNPROCESSABLE_ENTITY: "Refused by the store",
    HTTP_500_INTERNAL_SERVER_ERROR: "Internal error",
    HTTP_503_SERVICE_UNAVAILABLE: "Unavailable",
}

# What every call may answer, for the OpenAPI document.
RESPONSES: dict[int, ResponseSpec] = {
    status: ResponseSpec(Problem, description=_TITLES[status], media_type=PROBLEM_MEDIA_TYPE, generate_examples=False)
    for status in (400, 401, 403, 413, 422, 503)
}


class NotAllowed(Exception):
    """The caller is known and may not do this. The message is one sentence."""


class RunNotFound(Exception):
    """There is no run with this id."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run {run_id!r} in this store")


def problem(
    status: int,
    detail: str,
    *,
    type_: ProblemType = ProblemType.UNSPECIFIED,
    errors: tuple[FieldError, ...] = (),
    headers: dict[str, str] | None = None,
) -> Response[Problem]:
    """The response that tells a caller what went wrong."""
    title = _TITLES.get(status, "Error")
    body = Problem(status=status, title=title, detail=detail, type=type_.value, errors=errors)
    return Response(body, status_code=status, media_type=PROBLEM_MEDIA_TYPE, headers=headers)


_Request: TypeAlias = Request[Any, Any, Any]


def _malformed(_request: _Request, error: ValidationException) -> Response[Problem]:
    errors = tuple(_field_error(item) for item in error.extra or () if isinstance(item, dict))
    detail = "; ".join(f"{item.field}: {item.message}" for item in errors) or error.detail
    return problem(HTTP_400_BAD_REQUEST, detail, errors=errors)


def _field_error(item: dict[str, object]) -> FieldError:
    field, message = str(item.get("key", "")), str(item.get("message", ""))
    if field == "data":  # the name that our handlers give the body
        field = "body"
        if message == "'data'":  # how a KeyError of the framework prints
            message = "is missing; send a JSON object"
    return FieldError(field or "body", message)


def _http(request: _Request, error: HTTPException) -> Response[Problem]:
    match error.status_code:
        case 404:
            detail = f"there is nothing at {request.url.path}; /openapi/openapi.json lists what there is"
        case 405:
            detail = f"{request.url.path} does not answer {request.method}"
        case 413:
            limit = request.route_handler.resolve_request_max_body_size()
            detail = (
                f"the request's body is larger than {limit} bytes, which is the service's limit (--max-request-bytes)"
            )
        case _:
            detail = error.detail
    return problem(error.status_code, detail)


def _unexpected(request: _Request, error: Exception) -> Response[Problem]:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(HTTP_500_INTERNAL_SERVER_ERROR, "the state service failed; its log says why")


def _unavailable(_request: _Request, error: Exception) -> Response[Problem]:
    logger.warning("answered 503: %s", error)
    return problem(HTTP_503_SERVICE_UNAVAILABLE, str(error), headers={"Retry-After": "1"})


def _not_authenticated(_request: _Request, error: NotAuthenticated) -> Response[Problem]:
    return problem(HTTP_401_UNAUTHORIZED, str(error), headers={"WWW-Authenticate": "Bearer"})


def _not_allowed(_request: _Request, error: NotAllowed) -> Response[Problem]:
    return problem(HTTP_403_FORBIDDEN, str(error))


def _refused(_request: _Request, error: StoreRefused) -> Response[Problem]:
    return problem(HTTP_422_UNPROCESSABLE_ENTITY, str(error))


def _no_run(_request: _Request, error: RunNotFound) -> Response[Problem]:
    return problem(HTTP_404_NOT_FOUND, str(error), type_=ProblemType.RUN_NOT_FOUND)


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    ValidationException: _malformed,
    HTTPException: _http,
    NotAuthenticated: _not_authenticated,
    AuthenticationUnavailable: _unavailable,
    NotAllowed: _not_allowed,
    RunNotFound: _no_run,
    StoreRefused: _refused,
    StoreUnavailable: _unavailable,
    Exception: _unexpected,
}
