"""One LLMDeployment, read for a person at the command line."""

from http import HTTPStatus

from kubernetes.aio.config import ConfigException

from tokenpace.cluster.client import ApiClient, ApiError, namespace_from_environment
from tokenpace.cluster.kinds import LLM_DEPLOYMENTS, Object


class LookupFailedError(Exception):
    """It cannot be read; the message says why and what helps."""


async def look_up(name: str, namespace: str | None) -> Object:
    """Return an LLMDeployment; without a namespace that of the kubeconfig's context, or in a cluster of this pod.

    Raises:
        LookupFailedError: no cluster is configured, it does not answer, or there is no such resource.
    """
    try:
        namespace = namespace or namespace_from_environment()
        client = await ApiClient.from_environment()
    except (ConfigException, OSError) as error:
        raise LookupFailedError(f"no cluster is configured ({error}); set KUBECONFIG") from error
    try:
        return await client.get(LLM_DEPLOYMENTS, namespace, name)
    except ApiError as error:
        if (error.status, error.reason) == (HTTPStatus.NOT_FOUND, "NotFound"):
            cure = "another namespace is chosen with -n, and `kubectl get llmdeployments -A` lists them all"
            raise LookupFailedError(f"there is no LLMDeployment {name} in namespace {namespace}; {cure}") from error
        raise LookupFailedError(str(error)) from error
    finally:
        await client.close()
