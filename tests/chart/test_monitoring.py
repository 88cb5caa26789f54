"""Alerts and dashboard: they use nothing that is not exported, and every alert has a runbook that exists."""

import json
import re
import subprocess
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric
from tests.chart.rendering import CHART, EVERYTHING, ROOT, of_kind, only

from tokenpace.engines.pod import METRICS_PATH_ANNOTATION
from tokenpace.engines.registry import ADAPTERS
from tokenpace.telemetry.metrics import OperatorMetrics

GROUPS = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text())
WORDS = {"and", "or", "unless", "bool"}


def metrics_of(expression: str) -> set[str]:
    """Return the metrics that a PromQL expression reads: names that are no function, label, keyword or range."""
    without_labels = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", expression)
    without_grouping = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", without_labels)
    names = re.findall(r"(?<![\w:])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])", without_grouping)
    return set(names) - WORDS


def exported() -> set[str]:
    def series(family: Metric) -> set[str]:
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        return {f"{family.name}{ending}" for ending in endings}

    ours = {name for family in OperatorMetrics().registry.collect() for name in series(family)}
    theirs = {signal.metric for adapter in ADAPTERS.values() for signal in adapter.signals.values()}
    return ours | theirs | {rule["record"] for rule in RULES if "record" in rule}


def expressions_of_the_dashboard() -> list[str]:
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    variables = [one["query"]["query"] for one in DASHBOARD["templating"]["list"] if isinstance(one["query"], dict)]
    return panels + [re.sub(r"label_values\((.*), \w+\)", r"\1", query) for query in variables]


def test_the_reader_of_expressions_finds_metrics_and_nothing_else() -> None:
    expression = 'sum by (job) (rate(a_total{b="c"}[5m])) / on (job) clamp_max(d:e, 0.9) > 14.4 and f or time() - g'
    assert metrics_of(expression) == {"a_total", "d:e", "f", "g"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_reads_only_what_is_exported(rule: dict[str, Any]) -> None:
    found = metrics_of(rule["expr"])
    assert found
    assert found <= exported()


@pytest.mark.parametrize("expression", expressions_of_the_dashboard())
def test_the_dashboard_reads_only_what_is_exported(expression: str) -> None:
    found = metrics_of(expression)
    assert found
    assert found <= exported()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_severity_a_sentence_and_a_runbook_that_exists(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"]["summary"].endswith(".")
    page, anchor = alert["annotations"]["runbook_url"].split("#")
    headings = {heading.lower() for heading in re.findall(r"^## (\w+)$", (ROOT / page).read_text(), flags=re.MULTILINE)}
    assert anchor == alert["alert"].lower()
    assert anchor in headings


def test_every_runbook_is_about_an_alert() -> None:
    page = (ROOT / "docs" / "runbooks.md").read_text()
    assert re.findall(r"^## (\w+)$", page, flags=re.MULTILINE) == [alert["alert"] for alert in ALERTS]


@pytest.mark.prometheus
def test_alerts_fire_for_what_they_are_about_and_for_nothing_else() -> None:
    cases = ROOT / "tests" / "chart" / "alerts_test.yaml"
    done = subprocess.run(["promtool", "test", "rules", str(cases)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.apiserver
def test_the_rules_are_rendered_as_they_are_tested_and_lead_to_the_runbooks_of_ones_own() -> None:
    values = {"prometheusRule.enabled": True, "prometheusRule.runbookUrl": "https://wiki.example/llm"}
    (rule,) = of_kind("PrometheusRule", values)
    text = json.dumps(GROUPS).replace("docs/runbooks.md", "https://wiki.example/llm")
    assert rule["spec"] == {"groups": json.loads(text)}


@pytest.mark.apiserver
def test_the_dashboard_is_rendered_as_it_is_written() -> None:
    config = only("ConfigMap", {"dashboard.enabled": True})
    assert json.loads(config["data"]["tokenpace.json"]) == DASHBOARD
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"


@pytest.mark.apiserver
def test_the_prometheus_operator_scrapes_both_the_operator_and_every_inference_pod() -> None:
    operator, inference = (one["spec"] for one in of_kind("PodMonitor", EVERYTHING))
    labels = only("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert operator["selector"]["matchLabels"].items() <= labels.items()
    assert inference["namespaceSelector"] == {"any": True}
    ports = {port["name"] for port in only("Deployment")["spec"]["template"]["spec"]["containers"][0]["ports"]}
    assert operator["podMetricsEndpoints"][0]["port"] in ports
    assert [one["podMetricsEndpoints"][0]["interval"] for one in (operator, inference)] == ["10s", "10s"]


@pytest.mark.apiserver
def test_a_pod_may_say_where_its_metrics_are() -> None:
    _, inference = (one["spec"] for one in of_kind("PodMonitor", EVERYTHING))
    (endpoint,) = inference["podMetricsEndpoints"]
    (relabeling,) = endpoint["relabelings"]
    label = re.sub(r"\W", "_", METRICS_PATH_ANNOTATION)
    assert relabeling["sourceLabels"] == [f"__meta_kubernetes_pod_annotation_{label}"]
    assert relabeling["targetLabel"] == "__metrics_path__"


@pytest.mark.apiserver
def test_the_namespace_of_an_llmdeployment_survives_the_scrape_of_the_operator() -> None:
    """Without it Prometheus would put the operator's own namespace in its place."""
    operator, _ = (one["spec"] for one in of_kind("PodMonitor", EVERYTHING))
    assert operator["podMetricsEndpoints"][0]["honorLabels"]


@pytest.mark.apiserver
def test_only_pods_of_the_watched_namespaces_are_scraped() -> None:
    _, inference = (one["spec"] for one in of_kind("PodMonitor", EVERYTHING | {"watchNamespaces": ["shop"]}))
    assert inference["namespaceSelector"] == {"matchNames": ["shop"]}
