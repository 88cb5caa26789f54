"""A real API server: the one that KUBECONFIG names. It must run on this machine, because the tests install a CRD.

The server is left as it was found: the definition is removed if it was not there before, and everything else is in a
namespace of its own. What is created says `tokenpace.dev/paused`, so that an operator that happens to run leaves it.
"""

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from kubernetes import client, config
from kubernetes.aio.client import Configuration

from tokenpace.api import names
from tokenpace.api.schema import DEFINITIONS
from tokenpace.cluster.client import ApiClient, log_in_from_environment

ROOT = Path(__file__).parents[2]

MINIMAL_SPEC: dict[str, Any] = {
    "model": {"servedName": "chat", "contextTokens": 2048, "source": {"image": {"path": "/models", "file": "q8.gguf"}}},
    "slo": {"generationTokensPerSecond": 60},
    "variants": [{"name": "q8", "engine": {"type": "LlamaCpp"}}],
}


def run_kubectl(
    *arguments: str, namespace: str = "default", manifest: dict[str, Any] | None = None, refused: bool = False
) -> str:
    """Run kubectl as a person does; return what it printed, or its complaint where it must be refused."""
    command = ["kubectl", "--namespace", namespace, *arguments]
    text = None if manifest is None else yaml.safe_dump(manifest)
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode != 0) == refused, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stderr if refused else done.stdout


def await_documentation(plural: str, timeout_seconds: float = 30) -> None:
    """Wait until the API server explains a resource: the last thing that it does with a new definition.

    Not `kubectl wait --for=condition=Established`: it fails where the definition has no conditions yet.
    """
    deadline = time.monotonic() + timeout_seconds
    while subprocess.run(["kubectl", "explain", plural], capture_output=True, check=False).returncode != 0:
        assert time.monotonic() < deadline, f"{plural} are not served after {timeout_seconds} s"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def server() -> Iterator[client.ApiClient]:
    """A client of the API server as it was found."""
    if not os.environ.get("KUBECONFIG"):
        pytest.fail("KUBECONFIG must name the test cluster: `make integration` starts one and sets it")
    with config.new_client_from_config() as api:
        host = urlsplit(api.configuration.host).hostname or ""
        if not ip_address(host).is_loopback:
            pytest.fail(f"these tests install a CRD, and {host} is not this machine")
        yield api


@pytest.fixture(scope="session")
def api_client(server: client.ApiClient) -> Iterator[client.ApiClient]:
    """A client of an API server that has the committed CRDs."""
    installed = client.ApiextensionsV1Api(server).list_custom_resource_definition().items
    there = {found.metadata.name for found in installed}
    try:
        for one in DEFINITIONS:
            run_kubectl("apply", "--server-side", "--force-conflicts", "--filename", str(ROOT / "crds" / one.file_name))
            await_documentation(one.plural)
        yield server
    finally:
        for one in DEFINITIONS:
            if one.name not in there:
                run_kubectl("delete", "crd", one.name)


@pytest.fixture(scope="session")
def namespace(api_client: client.ApiClient) -> Iterator[str]:
    core = client.CoreV1Api(api_client)
    created: str = core.create_namespace({"metadata": {"generateName": "tokenpace-test-"}}).metadata.name
    yield created
    core.delete_namespace(created)


@pytest.fixture(scope="session")
def kubectl(namespace: str) -> Callable[..., str]:
    return partial(run_kubectl, namespace=namespace)


@pytest.fixture
def llmdeployments(api_client: client.ApiClient, namespace: str) -> Callable[..., dict[str, Any]]:
    """Call a method of the API on LLMDeployments: ``llmdeployments("create", manifest)``."""
    api = client.CustomObjectsApi(api_client)

    def call(verb: str, *arguments: Any, part: str = "", **options: Any) -> dict[str, Any]:
        method = getattr(api, f"{verb}_namespaced_custom_object{part}")
        answer: dict[str, Any] = method(names.GROUP, names.VERSION, namespace, names.PLURAL, *arguments, **options)
        return answer

    return call


@pytest.fixture
def create(llmdeployments: Callable[..., dict[str, Any]]) -> Iterator[Callable[..., str]]:
    """Create an LLMDeployment with parts of its spec replaced; return its name."""
    created: list[str] = []

    def create_one(**spec: Any) -> str:
        manifest = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"generateName": "test-", "annotations": {names.PAUSED_ANNOTATION: "true"}},
            "spec": MINIMAL_SPEC | spec,
        }
        created.append(llmdeployments("create", manifest)["metadata"]["name"])
        return created[-1]

    yield create_one
    for name in created:
        llmdeployments("delete", name)


@pytest.fixture(name="client")
async def client_of_ours() -> AsyncIterator[ApiClient]:
    ours = await ApiClient.from_environment()
    yield ours
    await ours.close()


def its_namespace(manifest: dict[str, Any]) -> str:
    namespace: str = manifest["metadata"].get("namespace", "default")
    return namespace


@pytest.fixture
async def operator(kubectl: Any, namespace: str) -> AsyncIterator[ApiClient]:
    """A client with the rights that the chart gives to the operator, and no others."""
    release = f"rights-{namespace.rsplit('-', 1)[1]}"
    chart = str(ROOT / "charts" / "tokenpace")
    command = [ROOT / ".tools/bin/helm", "template", release, chart, f"--namespace={namespace}"]
    rendered = await asyncio.to_thread(subprocess.check_output, command, text=True)
    kinds = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
    rights = [one for one in yaml.safe_load_all(rendered) if one and one["kind"] in kinds]
    for one in rights:
        run_kubectl("apply", "--filename=-", namespace=its_namespace(one), manifest=one)
    (account,) = [one["metadata"]["name"] for one in rights if one["kind"] == "ServiceAccount"]
    token = kubectl("create", "token", account).strip()

    async def log_in(configuration: Configuration) -> None:
        await log_in_from_environment(configuration)
        configuration.cert_file = configuration.key_file = None
        configuration.api_key["BearerToken"] = f"Bearer {token}"

    configuration = Configuration()
    await log_in(configuration)
    operator = ApiClient(configuration, log_in)
    yield operator
    await operator.close()
    for one in rights:
        run_kubectl("delete", one["kind"], one["metadata"]["name"], namespace=its_namespace(one))
