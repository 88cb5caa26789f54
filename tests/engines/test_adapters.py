"""What every engine must keep to; a new one comes with its registration, and is tried by its own example."""

import json
import re
from typing import Any, Final

import pytest
from kubernetes.client import ApiClient

from tokenpace.api.variant import EngineType, Resources
from tokenpace.engines.engine import EngineAdapter, Launch
from tokenpace.engines.page import example_launch
from tokenpace.engines.pod import CACHE_DIRECTORIES, PROPAGATION_SECONDS
from tokenpace.engines.registry import ADAPTERS, adapter_of
from tokenpace.engines.window import Scrape, Window

AS_ROOT: Final = {EngineType.TGI}
"""Whose images nobody else can run, see `docs/engines.md`."""


@pytest.fixture(params=sorted(ADAPTERS))
def adapter(request: pytest.FixtureRequest) -> EngineAdapter:
    """The adapter, as its example declares it."""
    return adapter_of(example_launch(ADAPTERS[request.param]).variant)


@pytest.fixture
def launch(adapter: EngineAdapter) -> Launch:
    return example_launch(adapter)


@pytest.fixture
def pod(adapter: EngineAdapter, launch: Launch) -> dict[str, Any]:
    spec = adapter.pod_template(launch)["spec"]
    assert isinstance(spec, dict)
    return spec


@pytest.fixture
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (engine,) = (container for container in pod["containers"] if container["name"] == "engine")
    assert isinstance(engine, dict)
    return engine


def test_the_example_has_no_problems(adapter: EngineAdapter, launch: Launch) -> None:
    assert adapter.problems(launch.spec, launch.variant) == ()


def test_every_field_of_the_template_is_one_of_kubernetes(adapter: EngineAdapter, launch: Launch) -> None:
    template = adapter.pod_template(launch)
    client = ApiClient()
    known = client.deserialize(json.dumps(template), "V1PodTemplateSpec", "application/json")
    assert client.sanitize_for_serialization(known) == template  # type: ignore[no-untyped-call]


def test_rendering_is_repeatable_and_shares_nothing(adapter: EngineAdapter, launch: Launch) -> None:
    first = adapter.pod_template(launch)
    first["spec"]["containers"].clear()
    assert adapter.pod_template(launch)["spec"]["containers"]


@pytest.mark.parametrize("device", ["cpu", "nvidia.com/gpu", "amd.com/gpu"])
def test_the_image_is_one_version_for_ever(adapter: EngineAdapter, launch: Launch, device: str) -> None:
    variant = launch.variant.model_copy(update={"resources": Resources(limits={device: 1})})
    image = adapter.default_image(variant)
    assert image is None or re.search(r"@sha256:[0-9a-f]{64}$|:v?\d+\.\d+\.\d+[^:]*$", image)


def test_clients_and_prometheus_find_the_port_by_its_name(adapter: EngineAdapter, container: dict[str, Any]) -> None:
    assert container["ports"] == [{"name": "http", "containerPort": adapter.port, "protocol": "TCP"}]


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_every_probe_asks_over_that_port(container: dict[str, Any], probe: str) -> None:
    assert container[probe]["httpGet"]["port"] == "http"


def test_loading_may_take_an_hour(container: dict[str, Any]) -> None:
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 3600


def test_the_grace_period_covers_propagation_and_draining(adapter: EngineAdapter, pod: dict[str, Any]) -> None:
    assert pod["terminationGracePeriodSeconds"] >= PROPAGATION_SECONDS + adapter.drain_seconds


def test_the_pod_is_allowed_under_the_restricted_standard_but_for_its_user(pod: dict[str, Any]) -> None:
    """The rules of https://kubernetes.io/docs/concepts/security/pod-security-standards/ that a template can break."""
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    allowed = {"emptyDir", "persistentVolumeClaim", "secret", "configMap", "projected", "downwardAPI", "ephemeral"}
    assert all(volume.keys() - {"name"} <= allowed for volume in pod["volumes"])
    for one in [*pod["containers"], *pod.get("initContainers", [])]:
        assert one["securityContext"]["allowPrivilegeEscalation"] is False
        assert one["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert all("hostPort" not in port for port in one.get("ports", []))


def test_the_user_is_not_root_unless_the_images_run_as_nobody_else(adapter: EngineAdapter, pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is (adapter.type not in AS_ROOT)
    assert (pod["securityContext"]["runAsUser"] == 0) is (adapter.type in AS_ROOT)


def test_nothing_can_be_written_but_volumes(container: dict[str, Any]) -> None:
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    mounted = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    written = {one["name"]: one["value"] for one in container["env"] if str(one.get("value", "")).startswith("/")}
    assert CACHE_DIRECTORIES.keys() <= written.keys()
    assert [
        name for name, path in written.items() if not any(f"{path}/".startswith(f"{one}/") for one in mounted)
    ] == []
    assert any(one["name"] == "USER" for one in container["env"])


def test_nobody_is_told_what_runs(container: dict[str, Any]) -> None:
    assert {"name": "DO_NOT_TRACK", "value": "1"} in container["env"]


def test_the_pod_gets_no_credentials_of_the_cluster(pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_the_hubs_token_never_appears_in_the_template(container: dict[str, Any]) -> None:
    (token,) = (one for one in container["env"] if one["name"] == "HF_TOKEN")
    assert token == {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}


def test_requests_are_the_limits(container: dict[str, Any]) -> None:
    assert container["resources"]["requests"] == container["resources"]["limits"] != {}


def test_scrapes_without_any_signal_give_no_reading(adapter: EngineAdapter) -> None:
    assert adapter.read(Window((Scrape(0.0, {}), Scrape(15.0, {})))) is None


def test_a_single_scrape_gives_no_reading_because_nothing_has_a_rate(adapter: EngineAdapter) -> None:
    assert adapter.read(Window((Scrape(0.0, dict.fromkeys(adapter.signals, 1.0)),))) is None


def test_every_signal_begins_as_its_engines_metrics_do(adapter: EngineAdapter) -> None:
    """Those of a server of the user's own begin as they like."""
    begins = adapter.metric_prefixes or ("",)
    assert all(signal.metric.startswith(begins) for signal in adapter.signals.values())


def test_a_server_can_be_told_from_every_other_one(adapter: EngineAdapter) -> None:
    """By the owner of its models, or by marks; a server of the user's own by neither."""
    known_by = [(one.introduction.owned_by, one.introduction.marks) for one in ADAPTERS.values()]
    assert known_by.count((adapter.introduction.owned_by, adapter.introduction.marks)) == 1
