"""The Prometheus that the chart can bring for a trial: off by default, small, and what the operator then reads.

Rendered here, and admitted by a real API server (tests/apiserver/test_chart.py). It runs in no test: the test cluster's
Prometheus is Debian's where no registry answers, and that one cannot discover Kubernetes' pods.
"""

from typing import Any

import pytest
import yaml
from tests.chart.rendering import objects, of_kind, only

pytestmark = pytest.mark.apiserver

BUNDLED: dict[str, Any] = {"prometheus.bundled.enabled": True}


def of_prometheus(kind: str, **values: Any) -> list[dict[str, Any]]:
    found = of_kind(kind, BUNDLED | values)
    return [one for one in found if one["metadata"]["labels"]["app.kubernetes.io/component"] == "prometheus"]


def configuration(**values: Any) -> Any:
    (found,) = of_prometheus("ConfigMap", **values)
    return yaml.safe_load(found["data"]["prometheus.yml"])


def jobs(**values: Any) -> dict[str, Any]:
    return {job["job_name"]: job for job in configuration(**values)["scrape_configs"]}


def told_to_the_operator(**values: Any) -> dict[str, str]:
    (deployment,) = (
        one
        for one in of_kind("Deployment", BUNDLED | values)
        if one["metadata"]["labels"]["app.kubernetes.io/component"] == "operator"
    )
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value", "") for one in container["env"]}


def test_nothing_of_it_is_there_by_default() -> None:
    assert not [one for one in objects() if "prometheus" in one["metadata"]["name"]]


def test_the_operator_reads_it_and_the_network_policy_lets_it() -> None:
    (service,) = of_prometheus("Service")
    name, port = service["metadata"]["name"], service["spec"]["ports"][0]["port"]
    url = told_to_the_operator()["TOKENPACE_PROMETHEUS__URL"]
    egress = only("NetworkPolicy", BUNDLED | {"networkPolicy.enabled": True})["spec"]["egress"]
    assert url == f"http://{name}.somewhere:{port}"
    assert port in {one["port"] for rule in egress for one in rule.get("ports", ())}


def test_the_service_leads_to_its_pods_and_that_of_the_operator_is_none_of_them() -> None:
    (service,), (deployment,) = of_prometheus("Service"), of_prometheus("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    assert labels["app.kubernetes.io/component"] != "operator"


def test_a_window_of_the_queries_holds_four_scrapes() -> None:
    interval = configuration()["global"]["scrape_interval"]
    assert 4 * float(interval.removesuffix("s")) <= float(
        told_to_the_operator()["TOKENPACE_PROMETHEUS__WINDOW_SECONDS"]
    )


def test_pods_are_known_by_the_labels_that_the_operator_looks_for() -> None:
    values = {"prometheus.namespaceLabel": "kubernetes_namespace", "prometheus.podLabel": "instance_name"}
    rules = jobs(**values)["inference"]["relabel_configs"]
    targets = {one["source_labels"][0]: one["target_label"] for one in rules if "target_label" in one}
    told = told_to_the_operator(**values)
    assert targets["__meta_kubernetes_namespace"] == told["TOKENPACE_PROMETHEUS__NAMESPACE_LABEL"]
    assert targets["__meta_kubernetes_pod_name"] == told["TOKENPACE_PROMETHEUS__POD_LABEL"]


def test_pods_whose_metrics_are_elsewhere_are_scraped_there_as_by_the_pod_monitor() -> None:
    rules = jobs()["inference"]["relabel_configs"]
    (monitored,) = (
        endpoint["relabelings"][0]
        for monitor in of_kind("PodMonitor", {"podMonitor.enabled": True})
        for endpoint in monitor["spec"]["podMetricsEndpoints"]
        if endpoint["port"] == "http"
    )
    assert {
        "source_labels": monitored["sourceLabels"],
        "regex": monitored["regex"],
        "target_label": monitored["targetLabel"],
    } in rules


def test_it_looks_where_the_operator_works() -> None:
    def looked_at(**values: Any) -> Any:
        (discovery,) = jobs(**values)["inference"]["kubernetes_sd_configs"]
        return discovery.get("namespaces", {}).get("names")

    assert looked_at() is None
    assert looked_at(watchNamespaces=["shop", "lab"]) == ["shop", "lab"]


def test_it_may_see_pods_where_it_looks_and_nothing_else() -> None:
    pods = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    (role,) = of_prometheus("ClusterRole")
    assert role["rules"] == pods
    roles = {one["metadata"]["namespace"]: one["rules"] for one in of_prometheus("Role", watchNamespaces=["shop"])}
    assert roles == {"shop": pods, "somewhere": pods}
    assert of_prometheus("ClusterRole", watchNamespaces=["shop"]) == []


def test_its_bindings_are_for_its_own_account() -> None:
    (account,) = of_prometheus("ServiceAccount")
    for values in ({}, {"watchNamespaces": ["shop"]}):
        bindings = of_prometheus("ClusterRoleBinding", **values) + of_prometheus("RoleBinding", **values)
        assert {one["subjects"][0]["name"] for one in bindings} == {account["metadata"]["name"]}


def test_a_changed_configuration_makes_a_new_pod() -> None:
    def checksum(**values: Any) -> str:
        (deployment,) = of_prometheus("Deployment", **values)
        found: str = deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        return found

    jobs_of_ones_own = [{"job_name": "mine", "static_configs": [{"targets": ["here:80"]}]}]
    changed = {"prometheus.bundled.extraScrapeConfigs": jobs_of_ones_own}
    assert jobs(**changed)["mine"] == jobs_of_ones_own[0]
    assert checksum(**changed) != checksum()
