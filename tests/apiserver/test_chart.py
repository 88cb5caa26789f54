"""The chart on a real API server: it takes every object, and the admission policy tells ours from others'."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import yaml
from tests.apiserver.scene import until
from tests.chart.rendering import EVERYTHING, objects

from tokenpace.api import names
from tokenpace.cluster.client import ApiClient
from tokenpace.cluster.kinds import LLM_DEPLOYMENTS

pytestmark = pytest.mark.apiserver

MONITORING = "monitoring.coreos.com/v1"
"""Its kinds are the Prometheus operator's, which is not in the test cluster."""

COMBINATIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "everything": EVERYTHING,
    "one operator": {"replicas": 1},
    "one namespace": {"watchNamespaces": ["default"]},
    "its own Prometheus": {"prometheus.bundled.enabled": True},
    "its own Prometheus for one namespace": {"prometheus.bundled.enabled": True, "watchNamespaces": ["default"]},
    "nothing of the cluster's": {
        "crds.enabled": False,
        "rbac.create": False,
        "rbac.aggregateClusterRoles": False,
        "admissionPolicy.enabled": False,
        "serviceAccount.create": False,
    },
    "what people set": {
        "commonLabels": {"team": "platform"},
        "podLabels": {"cost": "shared"},
        "podAnnotations": {"a": "b"},
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "imagePullSecrets": [{"name": "registry"}],
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "extraVolumes": [{"name": "token", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "token", "mountPath": "/var/run/prometheus"}],
        "rbac.scaleTargets": [{"apiGroup": "leaderworkerset.x-k8s.io", "resource": "leaderworkersets"}],
        "networkPolicy.enabled": True,
        "networkPolicy.extraEgress": [{"ports": [{"port": 3128, "protocol": "TCP"}]}],
    },
}


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("values", COMBINATIONS.values(), ids=COMBINATIONS)
def test_the_api_server_takes_everything_that_the_chart_renders(values: dict[str, Any]) -> None:
    manifests = [one for one in objects(values, release="dry-run") if one["apiVersion"] != MONITORING]
    for one in manifests:
        if "namespace" in one["metadata"]:
            one["metadata"]["namespace"] = "default"
        if one["kind"] == "Pod":  # admission looks its account up, and a dry run has made none
            one["spec"]["serviceAccountName"] = "default"
    command = ["kubectl", "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename=-"]
    text = yaml.safe_dump_all(manifests)
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr


@pytest.fixture
def release(namespace: str) -> str:
    """The release that the fixture `operator` has its rights from."""
    return f"rights-{namespace.rsplit('-', 1)[1]}"


@pytest.fixture
def as_operator(namespace: str, release: str) -> Any:
    """Run kubectl, without effect, as the account that the chart makes for the operator."""

    def run(*arguments: str, manifest: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        account = f"system:serviceaccount:{namespace}:{release}-tokenpace"
        command = ["kubectl", f"--as={account}", f"--namespace={namespace}", *arguments, "--dry-run=server"]
        text = None if manifest is None else json.dumps(manifest)
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)

    return run


def deployment(name: str, *owners: dict[str, Any]) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "sleep", "image": "registry.invalid/none"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "ownerReferences": list(owners)},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


@pytest.fixture
async def owner(client: ApiClient, create: Any, namespace: str) -> dict[str, Any]:
    """The reference to an LLMDeployment that controls what carries it."""
    name = create()
    uid = (await client.get(LLM_DEPLOYMENTS, namespace, name))["metadata"]["uid"]
    return {"apiVersion": names.API_VERSION, "kind": names.KIND, "name": name, "uid": uid, "controller": True}


@pytest.fixture
async def policy(
    operator: ApiClient, kubectl: Any, namespace: str, release: str, as_operator: Any
) -> AsyncIterator[None]:
    """The chart's admission policy, in force for an operator that has its rights."""
    assert operator is not None
    shipped = [one for one in objects(release=release) if one["kind"].startswith("ValidatingAdmissionPolicy")]
    for one in shipped:
        text = json.dumps(one).replace("system:serviceaccount:somewhere:", f"system:serviceaccount:{namespace}:")
        kubectl("apply", "--filename=-", manifest=json.loads(text))

    async def in_force() -> bool:
        tried = await asyncio.to_thread(partial(as_operator, "create", "-f", "-", manifest=deployment("stray")))
        return "must have a controlling ownerReference" in tried.stderr

    await until(in_force)
    yield
    for one in shipped:
        kubectl("delete", one["kind"], one["metadata"]["name"])


@pytest.mark.usefixtures("policy")
async def test_the_operator_may_create_what_an_llmdeployment_controls(as_operator: Any, owner: Any) -> None:
    done = as_operator("create", "-f", "-", manifest=deployment("ours", owner))
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("policy")
async def test_the_operator_may_create_nothing_that_nobody_controls(as_operator: Any) -> None:
    done = as_operator("create", "-f", "-", manifest=deployment("stray"))
    assert "must have a controlling ownerReference of kind LLMDeployment" in done.stderr


@pytest.mark.usefixtures("policy")
async def test_to_be_owned_is_not_to_be_controlled(as_operator: Any, owner: Any) -> None:
    done = as_operator("create", "-f", "-", manifest=deployment("stray", {**owner, "controller": False}))
    assert "must have a controlling ownerReference" in done.stderr


@pytest.mark.usefixtures("policy")
async def test_another_kind_of_owner_does_not_do(as_operator: Any, owner: Any) -> None:
    other = {**owner, "apiVersion": "apps/v1", "kind": "ReplicaSet"}
    done = as_operator("create", "-f", "-", manifest=deployment("stray", other))
    assert "must have a controlling ownerReference" in done.stderr


@pytest.fixture
def theirs(kubectl: Any) -> Any:
    """A Deployment of somebody else, whom the policy leaves alone."""
    kubectl("create", "--filename=-", manifest=deployment("theirs"))
    yield "theirs"
    kubectl("delete", "deployment", "theirs")


@pytest.mark.usefixtures("policy")
async def test_the_operator_may_neither_take_over_nor_delete_what_is_somebody_elses(
    as_operator: Any, owner: Any, theirs: str
) -> None:
    adoption = json.dumps({"metadata": {"ownerReferences": [owner]}})
    for arguments in (
        ("patch", "deployment", theirs, "--type=merge", f"--patch={adoption}"),
        ("delete", f"deploy/{theirs}"),
    ):
        assert "only what an LLMDeployment controls" in as_operator(*arguments).stderr


@pytest.mark.usefixtures("policy")
async def test_the_size_of_what_is_somebody_elses_may_be_set(as_operator: Any, theirs: str) -> None:
    size = json.dumps({"spec": {"replicas": 1}})
    done = as_operator("patch", "deployment", theirs, "--subresource=scale", "--type=merge", f"--patch={size}")
    assert done.returncode == 0, done.stderr
