"""The few calls that the controller makes to the API server, on plain dictionaries.

Pods come from an opaque template and custom resources have no model, so the models of the client library would only be
in the way; its authentication, its connection pool and its TLS are what is used.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from resumable.resource import names

FIELD_MANAGER = "resumable-controller"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"

Object = dict[str, Any]


class ApiError(Exception):
    """The API server said no. `message` is its own sentence."""

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason  # "AlreadyExists", "Forbidden", "Invalid", …
        self.message = message
        self.retry_after = retry_after


class NotFound(ApiError):
    """404."""


class Conflict(ApiError):
    """409: it exists already, or it changed since it was read."""


class ApiUnavailable(Exception):
    """No answer; whether the call was carried out is unknown."""


async def connect() -> ApiClient:
    """A client with the pod's ServiceAccount, or with the kubeconfig when not in a cluster.

    Raises `kubernetes.aio.config.ConfigException` when there is neither.
    """
    configuration = Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        # The library would take the variable's value of the moment at which it was imported.
        await config.load_kube_config(config_file=os.environ.get("KUBECONFIG"), client_configuration=configuration)
    configuration.connection_pool_maxsize = 100
    return ApiClient(configuration)


class KubernetesApi:
    """Calls on ResumableJobs, ResumableSignals, pods, events and leases. Every answer is the decoded JSON."""

    def __init__(self, api_client: ApiClient, *, timeout_seconds: float = 30) -> None:
        self._client = api_client
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)

    async def close(self) -> None:
        await self._client.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> Object:
        """One request. Raises `NotFound`, `Conflict`, `ApiError`, `ApiUnavailable`."""
        headers = {"Accept": "application/json", "Content-Type": content_type}
        try:
            request = await self._client.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            response = await self._client.call_api(*request, _request_timeout=self._timeout)
            content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiUnavailable(f"{method} {path}: {type(error).__name__}: {error}") from error
        if response.status >= 300:
            raise _error(response.status, response.reason, content, response.getheaders())
        answer: Object = json.loads(content)
        return answer

    # ResumableJobs

    async def list_jobs(self, namespace: str | None) -> Object:
        return await self.call("GET", _jobs(namespace))

    async def get_job(self, namespace: str, name: str) -> Object:
        return await self.call("GET", f"{_jobs(namespace)}/{name}")

    async def patch_job(self, namespace: str, name: str, patch: object, content_type: str = MERGE_PATCH) -> Object:
        return await self._patch(f"{_jobs(namespace)}/{name}", patch, content_type)

    async def patch_job_status(self, namespace: str, name: str, patch: Object) -> Object:
        return await self._patch(f"{_jobs(namespace)}/{name}/status", patch, MERGE_PATCH)

    # ResumableSignals

    async def list_signals(self, namespace: str | None) -> Object:
        return await self.call("GET", _signals(namespace))

    async def get_signal(self, namespace: str, name: str) -> Object:
        return await self.call("GET", f"{_signals(namespace)}/{name}")

    async def patch_signal(self, namespace: str, name: str, patch: Object) -> Object:
        return await self._patch(f"{_signals(namespace)}/{name}", patch, MERGE_PATCH)

    async def patch_signal_status(self, namespace: str, name: str, patch: Object) -> Object:
        return await self._patch(f"{_signals(namespace)}/{name}/status", patch, MERGE_PATCH)

    # Pods

    async def list_pods(self, namespace: str | None) -> Object:
        """The worker pods; the server filters by label."""
        return await self.call("GET", _pods(namespace), query={"labelSelector": names.LABEL_JOB_NAME})

    async def get_pod(self, namespace: str, name: str) -> Object:
        return await self.call("GET", f"{_pods(namespace)}/{name}")

    async def create_pod(self, namespace: str, pod: Object, *, dry_run: bool = False) -> Object:
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        return await self.call("POST", _pods(namespace), query=query, body=pod)

    async def delete_pod(self, namespace: str, name: str, uid: str, grace_seconds: int | None) -> Object:
        options: Object = {"preconditions": {"uid": uid}}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        return await self.call("DELETE", f"{_pods(namespace)}/{name}", body=options)

    async def patch_pod(self, namespace: str, name: str, patch: object, content_type: str = MERGE_PATCH) -> Object:
        return await self._patch(f"{_pods(namespace)}/{name}", patch, content_type)

    # Events

    async def create_event(self, namespace: str, event: Object) -> Object:
        return await self.call("POST", _events(namespace), query={"fieldManager": FIELD_MANAGER}, body=event)

    async def patch_event(self, namespace: str, name: str, patch: Object) -> Object:
        return await self._patch(f"{_events(namespace)}/{name}", patch, MERGE_PATCH)

    # Leases

    async def get_lease(self, namespace: str, name: str) -> Object:
        return await self.call("GET", f"{_leases(namespace)}/{name}")

    async def create_lease(self, namespace: str, lease: Object) -> Object:
        return await self.call("POST", _leases(namespace), query={"fieldManager": FIELD_MANAGER}, body=lease)

    async def patch_lease(self, namespace: str, name: str, patch: Object) -> Object:
        return await self._patch(f"{_leases(namespace)}/{name}", patch, MERGE_PATCH)

    async def _patch(self, path: str, patch: object, content_type: str) -> Object:
        return await self.call(
            "PATCH", path, query={"fieldManager": FIELD_MANAGER}, body=patch, content_type=content_type
        )


def _namespaced(prefix: str, namespace: str | None, plural: str) -> str:
    return f"{prefix}/namespaces/{namespace}/{plural}" if namespace else f"{prefix}/{plural}"


def _jobs(namespace: str | None) -> str:
    return _namespaced(f"/apis/{names.API_VERSION}", namespace, names.PLURAL)


def _signals(namespace: str | None) -> str:
    return _namespaced(f"/apis/{names.API_VERSION}", namespace, names.SIGNAL_PLURAL)


def _pods(namespace: str | None) -> str:
    return _namespaced("/api/v1", namespace, "pods")


def _events(namespace: str) -> str:
    return _namespaced("/apis/events.k8s.io/v1", namespace, "events")


def _leases(namespace: str) -> str:
    return _namespaced("/apis/coordination.k8s.io/v1", namespace, "leases")


def _error(status: int, reason: str, content: bytes, headers: Mapping[str, str]) -> ApiError:
    message = content.decode(errors="replace").strip()
    try:
        answer = json.loads(content)
        reason, message = answer.get("reason") or reason, answer.get("message") or message
    except (ValueError, AttributeError):
        pass  # a proxy in between answered with its own page
    retry_after = headers.get("Retry-After", "")
    kind = {404: NotFound, 409: Conflict}.get(status, ApiError)
    return kind(status, reason, message, float(retry_after) if retry_after.isdigit() else None)
