"""The chart: what it renders, what it refuses, and that it agrees with the operator that it installs."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.rendering import CHART, EVERYTHING, ROOT, container, helm, objects, of_kind, only, template

from tokenpace.controller.settings import Settings

CRDS = ("tokenpace.dev_llmdeployments.yaml", "tokenpace.dev_llmspeedcards.yaml")

needs_tools = pytest.mark.apiserver
"""helm comes with the cluster's tools; what it renders needs no cluster."""


@pytest.fixture
def installed_settings(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the operator reads when the chart is installed with these values."""

    def read(values: dict[str, Any] | None = None) -> Settings:
        for variable in container(values)["env"]:
            if variable["name"].startswith("TOKENPACE_"):
                monkeypatch.setenv(variable["name"], variable.get("value", "from the pod"))
        return Settings()

    return read


@pytest.mark.parametrize("crd", CRDS)
def test_the_chart_holds_the_generated_crd_byte_for_byte(crd: str) -> None:
    assert (CHART / "files" / crd).read_bytes() == (ROOT / "crds" / crd).read_bytes()


def test_every_value_stands_in_the_schema_and_nothing_else_does() -> None:
    """So that the schema refuses what is misspelt, and nothing that is documented."""

    def paths(value: Any, schema: dict[str, Any], path: str = "") -> tuple[set[str], set[str]]:
        if "properties" not in schema:
            return set(), set()
        assert schema.get("additionalProperties") is False, f"{path or 'the top'} takes unknown keys"
        known, valued = {f"{path}.{key}" for key in schema["properties"]}, {f"{path}.{key}" for key in value}
        for key in schema["properties"].keys() & value.keys():
            inner = paths(value[key], schema["properties"][key], f"{path}.{key}")
            known, valued = known | inner[0], valued | inner[1]
        return known, valued

    schema = json.loads((CHART / "values.schema.json").read_text())
    known, valued = paths(yaml.safe_load((CHART / "values.yaml").read_text()), schema)
    assert known - {".global"} == valued


@needs_tools
def test_lint_finds_nothing_even_when_strict() -> None:
    done = helm("lint", "--strict", str(CHART), *(f"--set={key}=true" for key in EVERYTHING))
    assert done.returncode == 0, done.stdout + done.stderr


@needs_tools
def test_the_defaults_render_the_operator_with_its_roles_its_policy_and_the_crds() -> None:
    assert Counter(one["kind"] for one in objects()) == {
        "ClusterRole": 3,
        "ClusterRoleBinding": 1,
        "CustomResourceDefinition": 2,
        "Deployment": 1,
        "Pod": 1,
        "PodDisruptionBudget": 1,
        "Role": 1,
        "RoleBinding": 1,
        "ServiceAccount": 1,
        "ValidatingAdmissionPolicy": 1,
        "ValidatingAdmissionPolicyBinding": 1,
    }


@needs_tools
def test_the_crds_stay_when_the_chart_is_removed() -> None:
    """Removing it would remove every LLMDeployment, and with them every model that serves."""
    for definition in of_kind("CustomResourceDefinition"):
        assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


@needs_tools
def test_the_crds_can_be_left_to_somebody_else() -> None:
    assert of_kind("CustomResourceDefinition", {"crds.enabled": False}) == []


@needs_tools
def test_the_operator_understands_the_defaults_as_they_are_written(installed_settings: Any) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    settings = installed_settings()
    assert settings.namespaces == ()
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
def test_the_namespaces_reach_the_operator(installed_settings: Any) -> None:
    assert installed_settings({"watchNamespaces": ["shop", "lab"]}).namespaces == ("shop", "lab")


@needs_tools
def test_two_operators_stand_beside_one_another_and_one_stays_while_nodes_are_drained() -> None:
    assert only("Deployment")["spec"]["replicas"] == 2
    assert only("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


@needs_tools
def test_a_single_operator_blocks_no_drain() -> None:
    assert of_kind("PodDisruptionBudget", {"replicas": 1}) == []


@needs_tools
def test_every_pod_of_the_chart_meets_the_restricted_pod_security_standard() -> None:
    """Without a user: the image's is a number (below), and OpenShift demands one of its own."""
    bundled = of_kind("Deployment", {"prometheus.bundled.enabled": True})
    pods = [*(one["spec"]["template"]["spec"] for one in bundled), only("Pod")["spec"]]
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for one in pod["containers"]:
            assert one["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_the_user_of_the_image_is_a_number_that_kubernetes_can_tell_from_root() -> None:
    users = re.findall(r"^USER (\S+)$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert users == ["65532:65532"]


@needs_tools
def test_no_service_of_the_release_adds_variables_that_look_like_settings() -> None:
    assert only("Deployment")["spec"]["template"]["spec"]["enableServiceLinks"] is False


@needs_tools
def test_annotations_are_added_to_the_deployment_alone() -> None:
    deployment = only("Deployment", {"deploymentAnnotations": {"reloader": "on"}})
    assert deployment["metadata"]["annotations"] == {"reloader": "on"}
    assert "annotations" not in deployment["spec"]["template"]["metadata"]


@needs_tools
def test_an_image_by_digest_needs_no_tag() -> None:
    digest = f"sha256:{'a' * 64}"
    image = container({"image.digest": digest, "image.tag": "1.2.3", "image.repository": "here/tokenpace"})["image"]
    assert image == f"here/tokenpace@{digest}"


PLACEMENT: dict[str, Any] = {
    "nodeSelector": {"pool": "system"},
    "tolerations": [{"key": "system", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    "priorityClassName": "system-cluster-critical",
    "imagePullSecrets": [{"name": "registry"}],
}


@needs_tools
def test_the_pod_goes_where_the_values_say() -> None:
    pod = only("Deployment", PLACEMENT)["spec"]["template"]["spec"]
    assert {key: pod[key] for key in PLACEMENT} == PLACEMENT


@needs_tools
def test_labels_are_added_to_every_object_and_to_nobody_elses_definition() -> None:
    for one in objects(EVERYTHING | {"commonLabels": {"team": "platform"}}):
        labels = one["metadata"].get("labels", {})
        assert (labels.get("team") == "platform") == (one["kind"] != "CustomResourceDefinition"), one["kind"]


@needs_tools
def test_the_selector_of_the_operator_is_the_one_that_it_was_first_installed_with() -> None:
    """It can never change: an upgrade that did would be refused."""
    assert only("Deployment", {"commonLabels": {"team": "platform"}})["spec"]["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "tokenpace",
        "app.kubernetes.io/instance": "tokenpace",
        "app.kubernetes.io/component": "operator",
    }


@needs_tools
@pytest.mark.parametrize("others", [("green", "somewhere"), ("tokenpace", "elsewhere")])
def test_two_releases_share_no_name_outside_their_namespaces(others: tuple[str, str]) -> None:
    def outside(release: str, namespace: str) -> set[tuple[str, str, str]]:
        """Names of what is in no namespace, or in one that the release only watches."""
        found = objects({"watchNamespaces": ["shop"]}, release, namespace)
        return {
            (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"])
            for one in found
            if one["metadata"].get("namespace") != namespace and one["kind"] != "CustomResourceDefinition"
        }

    first = outside("tokenpace", "somewhere")
    assert ("Role", "shop", "tokenpace-somewhere") in first
    assert first.isdisjoint(outside(*others))


@needs_tools
def test_the_longest_release_name_still_gives_legal_names() -> None:
    name = only("Deployment", release="r" * 53)["metadata"]["name"]
    assert len(name) <= 63
    assert name[-1].isalnum()


@needs_tools
def test_names_that_are_all_digits_stay_text() -> None:
    """Both are legal names; as a number the API server refuses them."""
    for one in objects(EVERYTHING | {"watchNamespaces": ["456"]}, release="123"):
        metadata = one["metadata"]
        assert all(isinstance(value, str) for value in metadata.get("labels", {}).values()), one["kind"]
        assert isinstance(metadata.get("namespace", ""), str), one["kind"]


@needs_tools
def test_the_network_policy_lets_the_operator_out_to_the_prometheus_that_it_reads() -> None:
    def ports(url: str) -> set[int]:
        rules = only("NetworkPolicy", {"networkPolicy.enabled": True, "prometheus.url": url})["spec"]["egress"]
        return {port["port"] for rule in rules for port in rule.get("ports", ())}

    assert ports("http://prometheus.monitoring:9090") == {53, 443, 6443, 9090}
    assert ports("http://prometheus/base") == {53, 443, 6443, 80}
    assert ports("https://prometheus:10902/base") == {53, 443, 6443, 10902}


@needs_tools
def test_the_status_page_is_off_by_default(installed_settings: Any) -> None:
    assert installed_settings().status_page_port is None
    assert of_kind("Service") == []


@needs_tools
def test_a_status_page_without_a_service_is_reached_by_nobody_but_a_port_forward(installed_settings: Any) -> None:
    values = {"statusPage.enabled": True, "networkPolicy.enabled": True}
    settings = installed_settings(values)
    assert (settings.status_page_host, settings.status_page_port) == ("127.0.0.1", 8082)
    assert {port["name"]: port["containerPort"] for port in container(values)["ports"]}["status-page"] == 8082
    assert of_kind("Service", values) == []
    assert len(only("NetworkPolicy", values)["spec"]["ingress"]) == 1


@needs_tools
def test_the_service_of_the_status_page_leads_to_the_port_that_the_network_policy_opens(
    installed_settings: Any,
) -> None:
    values = EVERYTHING | {"statusPage.port": 9000}
    service = only("Service", values)["spec"]
    assert service["selector"] == only("Deployment")["spec"]["selector"]["matchLabels"]
    (port,) = service["ports"]
    assert {"protocol": "TCP", "port": port["targetPort"]} in only("NetworkPolicy", values)["spec"]["ingress"][1][
        "ports"
    ]
    assert {one["name"]: one["containerPort"] for one in container(values)["ports"]}[port["targetPort"]] == 9000
    settings = installed_settings(values)
    assert (settings.status_page_host, settings.status_page_port) == ("0.0.0.0", 9000)  # noqa: S104


@needs_tools
def test_the_longest_release_name_still_gives_the_status_page_a_legal_one() -> None:
    name = only("Service", EVERYTHING, release="r" * 53)["metadata"]["name"]
    assert len(name) <= 63
    assert name.endswith("-status")


@needs_tools
def test_helm_test_asks_with_the_operators_own_account_for_what_it_may_read() -> None:
    assert only("Pod")["spec"]["containers"][0]["args"] == ["status", "--all-namespaces"]
    namespaced = only("Pod", {"watchNamespaces": ["shop", "lab"]})
    assert namespaced["spec"]["containers"][0]["args"] == ["status", "--namespace", "shop"]
    assert namespaced["spec"]["serviceAccountName"] == only("ServiceAccount")["metadata"]["name"]


def test_every_value_is_used_by_some_template() -> None:
    """A value without effect is worse than none."""
    templates = "".join(path.read_text() for path in Path(CHART, "templates").rglob("*") if path.is_file())
    used = set(re.findall(r"\.Values\.(\w+)", templates))
    assert used == set(yaml.safe_load((CHART / "values.yaml").read_text()))


MISTAKES: list[tuple[str, Any, str]] = [
    ("tickSecond", 5, "tickSecond"),
    ("tickSeconds", 0, "/tickSeconds"),
    ("tickSeconds", "often", "/tickSeconds"),
    ("replicas", 0, "/replicas"),
    ("log.level", "LOUD", "/log/level"),
    ("prometheus.url", "prometheus:9090", "/prometheus/url"),
    ("prometheus.windowSeconds", 1, "/prometheus/windowSeconds"),
    ("prometheus.podLabel", "pod-name", "/prometheus/podLabel"),
    ("prometheus.extraMatchers", {"cluster": 1}, "/prometheus/extraMatchers/cluster"),
    ("prometheus.bundled.enabled", "yes", "/prometheus/bundled/enabled"),
    ("prometheus.bundled.extraScrapeConfigs", [{"name": "mine"}], "/prometheus/bundled/extraScrapeConfigs/0"),
    ("image.pullPolicy", "Sometimes", "/image/pullPolicy"),
    ("image.digest", "latest", "/image/digest"),
    ("crds.enabled", "yes", "/crds/enabled"),
    ("crds.keep", False, "keep"),
    ("lease.namespace", "", "/lease/namespace"),
    ("lease.name", "mine", "name"),
    ("watchNamespaces", "shop", "/watchNamespaces"),
    ("watchNamespaces", ["*"], "/watchNamespaces/0"),
    ("watchNamespaces", ["shop", "shop"], "/watchNamespaces"),
    ("watchNamespaces", ["shop", "kube-system"], "watchNamespaces contains kube-system, which is lease.namespace"),
    ("tolerations", {"key": "gpu"}, "/tolerations"),
    ("nodeSelector", {"pool": 1}, "/nodeSelector/pool"),
    ("imagePullSecrets", ["registry"], "/imagePullSecrets/0"),
    ("extraEnv", [{"value": "1"}], "/extraEnv/0"),
    ("podMonitor.interval", "often", "/podMonitor/interval"),
    ("prometheusRule.runbookUrl", "runbooks.md", "/prometheusRule/runbookUrl"),
    ("networkPolicy.apiServerPorts", [], "/networkPolicy/apiServerPorts"),
    ("rbac.scaleTargets", [{"apiGroup": "*", "resource": "things"}], "/rbac/scaleTargets/0/apiGroup"),
    ("rbac.scaleTargets", [{"apiGroup": "", "resource": "things/status"}], "/rbac/scaleTargets/0/resource"),
    ("statusPage.port", 8081, "/statusPage/port"),
    ("statusPage.port", 80, "/statusPage/port"),
    ("statusPage.ingress", {}, "ingress"),
    ("rbac.scaleTargets", [{"apiGroup": "apps"}], "/rbac/scaleTargets/0"),
]


@needs_tools
@pytest.mark.parametrize(("value", "mistake", "named"), MISTAKES)
def test_a_mistake_in_the_values_is_refused_by_its_name(value: str, mistake: Any, named: str) -> None:
    done = template({value: mistake})
    assert done.returncode != 0
    assert named in done.stderr
