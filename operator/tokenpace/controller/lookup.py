"""LLMDeployments, read for a person at the command line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from kubernetes.aio.config import ConfigException

from tokenpace.cluster.client import ApiClient, ApiError, namespace_from_environment
from tokenpace.cluster.kinds import LLM_DEPLOYMENTS, Kind, Object


class LookupFailedError(Exception):
    """It cannot be read; the message says why and what helps."""


async def look_up(name: str, namespace: str | None) -> Object:
    """Return an LLMDeployment; without a namespace that of the kubeconfig's context, or in a cluster of this pod.

    Raises:
        LookupFailedError: no cluster is configured, it does not answer, or there is no such resource.
    """
    async with _connected(namespace) as (client, here):
        try:
            found: Object = _printable(await client.get(LLM_DEPLOYMENTS, here, name))
        except ApiError as error:
            if (error.status, error.reason) == (HTTPStatus.NOT_FOUND, "NotFound"):
                cure = "another namespace is chosen with -n, and `kubectl get llmdeployments -A` lists them all"
                raise LookupFailedError(f"there is no LLMDeployment {name} in namespace {here}; {cure}") from error
            raise
        return found


async def look_up_all(namespace: str | None, *, everywhere: bool, kind: Kind = LLM_DEPLOYMENTS) -> list[Object]:
    """Return the LLMDeployments, or what else is of ours, of one namespace, chosen as by `look_up`, or of all of them.

    Raises:
        LookupFailedError: no cluster is configured, it does not answer, or it does not know them.
    """
    async with _connected(namespace) as (client, here):
        try:
            pages = client.list_pages(kind, namespace=None if everywhere else here)
            return [_printable(one) async for page in pages for one in page["items"]]
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                cure = "install the chart, or `tokenpace crd | kubectl apply --server-side -f -`"
                raise LookupFailedError(f"this cluster knows no {kind.kind}s; {cure}") from error
            raise


def _printable(value: Any) -> Any:
    """Return a value without what a terminal obeys: messages quote pods, and a pod may say anything."""
    if isinstance(value, dict):
        return {_printable(key): _printable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_printable(inner) for inner in value]
    if isinstance(value, str):
        return "".join(one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in value)
    return value


@asynccontextmanager
async def _connected(namespace: str | None) -> AsyncIterator[tuple[ApiClient, str]]:
    """Connect, and tell which namespace is meant."""
    try:
        here = namespace or namespace_from_environment()
        client = await ApiClient.from_environment()
    except (ConfigException, OSError) as error:
        raise LookupFailedError(f"no cluster is configured ({error}); set KUBECONFIG") from error
    try:
        yield client, here
    except ApiError as error:
        raise LookupFailedError(str(error)) from error
    finally:
        await client.close()
