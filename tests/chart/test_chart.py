"""The chart: what it renders, what it refuses, and that it agrees with the operator that it installs."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tokenpace.controller.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "tokenpace"
CRD = "tokenpace.dev_llmdeployments.yaml"

needs_tools = pytest.mark.apiserver
"""helm comes with the cluster's tools; what it renders needs no cluster."""


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = ROOT / ".tools" / "bin" / "helm"
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def template(values: dict[str, Any] | None = None, release: str = "tokenpace") -> subprocess.CompletedProcess[str]:
    sets = [f"--set-json={key}={json.dumps(value)}" for key, value in (values or {}).items()]
    return helm("template", release, str(CHART), "--namespace=somewhere", *sets)


def rendered(values: dict[str, Any] | None = None, release: str = "tokenpace") -> dict[str, dict[str, Any]]:
    """Render the chart and return its objects by kind; no kind appears in it twice but those of RBAC."""
    done = template(values, release)
    assert done.returncode == 0, done.stderr
    return {one["kind"]: one for one in yaml.safe_load_all(done.stdout) if one}


def container(values: dict[str, Any] | None = None) -> dict[str, Any]:
    (only,) = rendered(values)["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


@pytest.fixture
def installed_settings(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the operator reads when the chart is installed with these values."""

    def read(values: dict[str, Any] | None = None) -> Settings:
        for variable in container(values)["env"]:
            if variable["name"].startswith("TOKENPACE_"):
                monkeypatch.setenv(variable["name"], variable.get("value", "from the pod"))
        return Settings()

    return read


def test_the_chart_holds_the_generated_crd_byte_for_byte() -> None:
    assert (CHART / "files" / CRD).read_bytes() == (ROOT / "crds" / CRD).read_bytes()


@needs_tools
def test_lint_finds_nothing_even_when_strict() -> None:
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


@needs_tools
def test_the_defaults_render_one_operator_with_its_roles_and_the_crd() -> None:
    assert set(rendered()) == {
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "Deployment",
        "Role",
        "RoleBinding",
        "ServiceAccount",
    }


@needs_tools
def test_the_crd_stays_when_the_chart_is_removed() -> None:
    """Removing it would remove every LLMDeployment, and with them every model that serves."""
    assert rendered()["CustomResourceDefinition"]["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


@needs_tools
def test_the_crd_can_be_left_to_somebody_else() -> None:
    assert "CustomResourceDefinition" not in rendered({"crds.enabled": False})


@needs_tools
def test_the_roles_can_be_left_to_somebody_else() -> None:
    assert not {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"} & set(rendered({"rbac.create": False}))


@needs_tools
def test_the_roles_may_not_read_secrets_and_have_no_wildcards() -> None:
    for rule in (*rendered()["ClusterRole"]["rules"], *rendered()["Role"]["rules"]):
        assert not {"*", "secrets", "configmaps"} & {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}


@needs_tools
def test_of_workloads_that_exist_already_only_the_size_may_be_touched() -> None:
    groups = [{"apiGroup": "leaderworkerset.x-k8s.io", "resource": "leaderworkersets"}]
    rules = rendered({"rbac.scaleTargets": groups})["ClusterRole"]["rules"]
    sizes = {
        (*rule["apiGroups"], resource): rule["verbs"]
        for rule in rules
        for resource in rule["resources"]
        if resource.endswith("/scale")
    }
    assert sizes == {
        ("apps", "deployments/scale"): ["get", "patch"],
        ("apps", "statefulsets/scale"): ["get", "patch"],
        ("leaderworkerset.x-k8s.io", "leaderworkersets/scale"): ["get", "patch"],
    }
    assert not {"statefulsets", "leaderworkersets"} & {resource for rule in rules for resource in rule["resources"]}


@needs_tools
def test_the_role_may_touch_only_the_lease_that_the_operator_is_told_to_take(installed_settings: Any) -> None:
    lease = installed_settings().lease
    objects = rendered()
    (named,) = (rule for rule in objects["Role"]["rules"] if "resourceNames" in rule)
    assert named["resourceNames"] == [lease.name]


@needs_tools
def test_the_operator_understands_the_defaults_as_they_are_written(installed_settings: Any) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    settings = installed_settings()
    assert settings.tick_seconds == values["tickSeconds"]
    assert settings.log_level == values["log"]["level"]
    assert settings.prometheus.window_seconds == values["prometheus"]["windowSeconds"]
    assert settings.prometheus.stale_after_seconds == values["prometheus"]["staleAfterSeconds"]
    assert settings.prometheus.namespace_label == values["prometheus"]["namespaceLabel"]


@needs_tools
def test_matchers_and_files_reach_the_operator_whole(installed_settings: Any) -> None:
    matchers, token = {"cluster": 'a "quoted" one'}, "/var/run/prometheus/token"
    prometheus = installed_settings({"prometheus.extraMatchers": matchers, "prometheus.tokenFile": token}).prometheus
    assert (prometheus.extra_matchers, str(prometheus.token_file)) == (matchers, token)


@needs_tools
def test_the_operator_runs_with_the_least_that_a_pod_can_have() -> None:
    pod = rendered()["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@needs_tools
def test_two_releases_share_no_name_of_the_whole_cluster() -> None:
    assert rendered(release="blue")["ClusterRole"]["metadata"]["name"] == "blue-tokenpace"
    assert rendered(release="tokenpace-green")["ClusterRole"]["metadata"]["name"] == "tokenpace-green"


@needs_tools
def test_the_longest_release_name_still_gives_legal_names() -> None:
    name = rendered(release="r" * 53)["Deployment"]["metadata"]["name"]
    assert len(name) <= 63
    assert name[-1].isalnum()


MISTAKES: list[tuple[str, Any, str]] = [
    ("tickSecond", 5, "tickSecond"),
    ("tickSeconds", 0, "/tickSeconds"),
    ("tickSeconds", "often", "/tickSeconds"),
    ("log.level", "LOUD", "/log/level"),
    ("prometheus.url", "prometheus:9090", "/prometheus/url"),
    ("prometheus.windowSeconds", 1, "/prometheus/windowSeconds"),
    ("prometheus.podLabel", "pod-name", "/prometheus/podLabel"),
    ("prometheus.extraMatchers", {"cluster": 1}, "/prometheus/extraMatchers/cluster"),
    ("image.pullPolicy", "Sometimes", "/image/pullPolicy"),
    ("crds.enabled", "yes", "/crds/enabled"),
    ("tolerations", {"key": "gpu"}, "/tolerations"),
    ("rbac.scaleTargets", [{"apiGroup": "*", "resource": "things"}], "/rbac/scaleTargets/0/apiGroup"),
    ("rbac.scaleTargets", [{"apiGroup": "", "resource": "things/status"}], "/rbac/scaleTargets/0/resource"),
    ("rbac.scaleTargets", [{"apiGroup": "apps"}], "/rbac/scaleTargets/0"),
]


@needs_tools
@pytest.mark.parametrize(("value", "mistake", "named"), MISTAKES)
def test_a_mistake_in_the_values_is_refused_by_its_name(value: str, mistake: Any, named: str) -> None:
    done = template({value: mistake})
    assert done.returncode != 0
    assert named in done.stderr


@needs_tools
def test_a_real_api_server_takes_everything_the_chart_renders() -> None:
    kubectl = ROOT / ".tools" / "bin" / "kubectl"
    manifests = helm("template", "dry-run", str(CHART), "--namespace=default").stdout
    done = subprocess.run(
        [kubectl, "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename=-"],
        input=manifests,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
