"""A thin client of the API server: plain JSON in and out, every call with a time-out, one type of error.

Configuration, credentials and TLS are those of kubernetes.aio. Its typed models are left out: thousands of pods as
models cost more memory and time than everything else that the operator does.
"""

import asyncio
import json
import math
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import ConfigException, list_kube_config_contexts, load_incluster_config, load_kube_config

from tokenpace.api.names import FIELD_MANAGER
from tokenpace.cluster.calls import Call, call_of
from tokenpace.cluster.kinds import LEASES, Kind, Object, kind_of

PAGE_LIMIT = 500
"""Objects in a page of a list. 500 pods are about 4 MB of JSON: parsing them holds the event loop for 0.15 s."""

_POD_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_LONGEST_QUIET_SECONDS = 60.0
"""Writes stop for no longer than this, whatever the API server asks for: who scales late loses requests."""
_WATCH_GRACE_SECONDS = 5.0
"""How long after its announced end a watch may stay open before it counts as stalled."""

Login = Callable[[Configuration], Awaitable[None]]
OnAnswer = Callable[[Call, int], None]
"""Told of every answer, with its HTTP status; that of a watch comes when it begins."""


class ApiError(Exception):
    """The API server refused, or gave no usable answer.

    Attributes:
        status: HTTP status; None when no answer came.
        reason: CamelCase word of the API server (``AlreadyExists``, ``Expired`` ...), or ``Unreachable`` or
            ``NotJSON``.
        message: a sentence for people, the API server's own where there is one.
        retry_after_seconds: how long the API server asks to be left alone; None when it does not.
    """

    def __init__(
        self, status: int | None, reason: str, message: str, *, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(status, reason, message)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return f"{self.status or 'no answer'} {self.reason}: {self.message}"


class ApiClient:
    """Calls of the API server. Every method raises `ApiError` and nothing else when a call fails."""

    def __init__(
        self,
        configuration: Configuration,
        login: Login,
        *,
        timeout_seconds: float = 10.0,
        on_answer: OnAnswer = lambda *_: None,
    ) -> None:
        """Use a loaded configuration.

        Args:
            configuration: address, TLS and credentials.
            login: loads the credentials into the configuration again; called when the API server refuses them.
            timeout_seconds: limit of a call, reading the answer included. A page of a list gets three times that.
            on_answer: told of every answer.
        """
        self._on_answer = on_answer
        self._configuration = configuration
        self._login = login
        self._login_lock = asyncio.Lock()
        self._timeout_seconds = timeout_seconds
        self._quiet_until_seconds = -math.inf
        self._rest = RESTClientObject(configuration)

    @classmethod
    async def from_environment(cls, *, timeout_seconds: float = 10.0, on_answer: OnAnswer = lambda *_: None) -> Self:
        """Connect as the pod's service account, or outside a cluster as the kubeconfig says.

        Raises:
            kubernetes.aio.config.ConfigException: neither is there.
        """
        configuration = Configuration()
        await log_in_from_environment(configuration)
        return cls(configuration, log_in_from_environment, timeout_seconds=timeout_seconds, on_answer=on_answer)

    async def close(self) -> None:
        """Close every connection."""
        await self._rest.close()

    async def get(self, kind: Kind, namespace: str, name: str, *, subresource: str = "") -> Object:
        """Return one object, or its subresource."""
        return await self._json("GET", kind.path(namespace, name, subresource))

    async def resources(self, api_version: str) -> list[Object]:
        """Return what a group and version serves: `kind` and `name` (the plural, or ``plural/subresource``) of each.

        Raises:
            ApiError: with status 404 when there is no such group or version.
        """
        served: list[Object] = (await self._json("GET", Kind(api_version, "", "").path()))["resources"]
        return served

    async def list_cached(self, kind: Kind, *, namespace: str, label_selector: str) -> list[Object]:
        """Return objects as the API server remembers them: cheap, and at most moments old, as a watch would be."""
        query = {"labelSelector": label_selector, "resourceVersion": "0"}
        items: list[Object] = (await self._json("GET", kind.path(namespace), query=query))["items"]
        return items

    async def list_pages(
        self, kind: Kind, *, namespace: str | None = None, label_selector: str = ""
    ) -> AsyncGenerator[Object]:
        """Yield a consistent list page by page; ``metadata.resourceVersion`` of each is where to watch from.

        Raises:
            ApiError: with status 410 when the list took so long that its snapshot is gone: begin again.
        """
        query = {"labelSelector": label_selector, "limit": PAGE_LIMIT}
        while True:
            page = await self._json("GET", kind.path(namespace), query=query, timeout_seconds=3 * self._timeout_seconds)
            yield page
            if not (token := page["metadata"].get("continue")):
                return
            query = {**query, "continue": token}

    async def watch(
        self,
        kind: Kind,
        *,
        resource_version: str,
        for_seconds: int,
        namespace: str | None = None,
        label_selector: str = "",
    ) -> AsyncGenerator[Object]:
        """Yield events after ``resource_version``, bookmarks included, until the API server ends the watch.

        It ends after ``for_seconds``. One that stays open longer has stalled, which is an error.

        Raises:
            ApiError: with status 410 when ``resource_version`` is too old: list again.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "labelSelector": label_selector,
            "resourceVersion": resource_version,
            "timeoutSeconds": for_seconds,
        }
        limit_seconds = for_seconds + _WATCH_GRACE_SECONDS
        async with self._response("GET", kind.path(namespace), query=query, timeout_seconds=limit_seconds) as response:
            try:
                async for line in response.content:
                    event = _parsed(line)
                    if event["type"] == "ERROR":
                        raise _error(event["object"].get("code"), event["object"])
                    yield event
            finally:
                # One that is still open is cut, because winding TLS down would outlive the client that is closed next.
                if response.connection is not None and response.connection.transport is not None:
                    response.connection.transport.abort()

    async def create(self, body: Object) -> Object:
        """Create an object that must not exist yet; unknown fields are an error.

        Raises:
            ApiError: with status 409 when an object of that name exists.
        """
        path = kind_of(body).path(body["metadata"]["namespace"])
        return await self._json("POST", path, query=_WRITE, body=body)

    async def apply(self, body: Object) -> Object:
        """Make our fields what ``body`` says, whoever changed them, and leave everybody else's as they are.

        Carry ``metadata.resourceVersion``: two operators share a field manager, so only that makes them conflict.
        """
        metadata = body["metadata"]
        return await self._json(
            "PATCH",
            kind_of(body).path(metadata["namespace"], metadata["name"]),
            query={**_WRITE, "force": "true"},
            body=body,
            content_type="application/apply-patch+yaml",
        )

    async def patch(self, kind: Kind, namespace: str, name: str, patch: Object, *, subresource: str = "") -> Object:
        """Change the fields in ``patch`` (a JSON merge patch, RFC 7386) of an object or of its subresource."""
        path = kind.path(namespace, name, subresource)
        return await self._json("PATCH", path, query=_WRITE, body=patch, content_type="application/merge-patch+json")

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str, resource_version: str) -> None:
        """Delete an object if it is still the one, and still as, we saw it; its own objects follow."""
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions}
        await self._json("DELETE", kind.path(namespace, name), body={**body, "propagationPolicy": "Background"})

    async def _json(self, method: str, path: str, **call: Any) -> Object:
        async with self._response(method, path, **call) as response:
            return _parsed(await response.read())

    @asynccontextmanager
    async def _response(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Hold an answer below 400 open. A refused credential is renewed once, because tokens rotate.

        An API server that asks a write to come back later is sent none before, but those of the Lease: they are few,
        and without them nobody could write at all.
        """
        is_bound = method != "GET" and f"/{LEASES.plural}" not in path
        quiet_seconds = self._quiet_until_seconds - asyncio.get_running_loop().time()
        if is_bound and quiet_seconds > 0:
            message = f"the API server asked to be left alone for another {quiet_seconds:.0f} s"
            raise ApiError(HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequests", message, retry_after_seconds=quiet_seconds)

        async def send(authorization: str | None) -> aiohttp.ClientResponse:
            headers = {"Content-Type": content_type, "Accept": "application/json"}
            answer = await self._rest.request(  # type: ignore[no-untyped-call]
                method,
                f"{self._configuration.host}{path}?{urlencode(query or {})}",
                headers=headers if authorization is None else {**headers, "Authorization": authorization},
                body=body,
                _request_timeout=aiohttp.ClientTimeout(total=timeout_seconds or self._timeout_seconds),
            )
            response: aiohttp.ClientResponse = answer.response
            return response

        try:
            authorization = await self._authorization()
            response = await send(authorization)
            if response.status == HTTPStatus.UNAUTHORIZED:
                response.release()
                response = await send(await self._renewed_authorization(authorization))
            async with response:
                if (call := call_of(method, path, query or {})) is not None:
                    self._on_answer(call, response.status)
                if response.status >= HTTPStatus.BAD_REQUEST:
                    refusal = await _refusal(response)
                    if is_bound and response.status == HTTPStatus.TOO_MANY_REQUESTS:
                        self._be_quiet(refusal.retry_after_seconds or 0.0)
                    raise refusal
                yield response
        except (aiohttp.ClientError, ConfigException, OSError) as error:  # a time-out is an OSError
            raise ApiError(None, "Unreachable", f"{method} {path}: {str(error) or type(error).__name__}") from error

    def _be_quiet(self, for_seconds: float) -> None:
        now_seconds = asyncio.get_running_loop().time()
        self._quiet_until_seconds = now_seconds + min(for_seconds, _LONGEST_QUIET_SECONDS)

    async def _authorization(self) -> str | None:
        return await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")

    async def _renewed_authorization(self, refused: str | None) -> str | None:
        """Log in again, once for all the calls that were refused together."""
        async with self._login_lock:
            if await self._authorization() == refused:
                await self._login(self._configuration)
            return await self._authorization()


_WRITE = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}


async def log_in_from_environment(configuration: Configuration) -> None:
    """Load address and credentials: in a pod those of its service account, elsewhere those of the kubeconfig."""
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        await load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]


def namespace_from_environment() -> str:
    """Return the namespace that is meant where none is named: the pod's own, or that of the kubeconfig's context.

    Raises:
        kubernetes.aio.config.ConfigException: there is no kubeconfig, or it cannot be read.
    """
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return _POD_NAMESPACE_FILE.read_text(encoding="utf-8")
    _, context = list_kube_config_contexts()  # type: ignore[no-untyped-call]
    namespace: str = context["context"].get("namespace", "default")
    return namespace


def _parsed(text: bytes) -> Object:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:  # the latter where it is nested too deeply
        raise ApiError(None, "NotJSON", f"expected JSON, got {text[:80]!r}") from error
    if not isinstance(parsed, dict):
        raise ApiError(None, "NotJSON", f"expected a JSON object, got {text[:80]!r}")
    return parsed


async def _refusal(response: aiohttp.ClientResponse) -> ApiError:
    text = await response.read()
    try:
        status = _parsed(text)
    except ApiError:  # a proxy in between answers in HTML
        status = {"message": text[:200].decode(errors="replace")}
    retry_after = response.headers.get("Retry-After", "")
    return _error(response.status, {"reason": response.reason, **status}, retry_after)


def _error(code: int | None, status: Object, retry_after: str = "") -> ApiError:
    """Return the error that a ``Status`` object describes. A Retry-After that is a date is not used."""
    return ApiError(
        code,
        status.get("reason") or "Unknown",
        status.get("message") or "the API server gave no reason",
        retry_after_seconds=float(retry_after) if retry_after.isdecimal() else None,
    )
