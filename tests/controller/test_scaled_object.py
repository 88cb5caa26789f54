"""From a KEDA ScaledObject to an LLMDeployment that advises beside it."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tokenpace.api.resource import LLMDeployment
from tokenpace.controller.manifest import ManifestError, runnable_spec
from tokenpace.controller.scaled_object import Imported, import_scaled_objects

QUERY = 'sum(vllm:num_requests_waiting{model_name="meta-llama/Llama-3.1-8B-Instruct"})'


def scaled_object(name: str = "chat", query: str = QUERY, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "scaleTargetRef": {"name": "vllm-chat"},
            "minReplicaCount": 1,
            "maxReplicaCount": 4,
            "triggers": [{"type": "prometheus", "metadata": {"query": query, "threshold": "5"}}],
            **spec,
        },
    }


def imported(**changes: Any) -> Imported:
    (only,) = import_scaled_objects(yaml.safe_dump(scaled_object(**changes)))
    return only


def spec(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = imported(**changes).manifest["spec"]
    return found


def test_it_advises_and_touches_nothing() -> None:
    assert spec()["scaling"]["mode"] == "Advisory"


def test_the_workload_and_its_bounds_are_taken_over() -> None:
    (variant,) = spec()["variants"]
    assert variant["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "vllm-chat"}
    assert (spec()["scaling"]["minReplicas"], spec()["scaling"]["maxReplicas"]) == (1, 4)


def test_what_it_prints_can_be_served_as_it_is() -> None:
    runnable_spec(LLMDeployment.model_validate(yaml.safe_load(imported().text())).spec)


@pytest.mark.parametrize(
    ("metric", "engine"),
    [
        ("vllm:num_requests_waiting", "VLLM"),
        ("sglang:num_queue_reqs", "SGLang"),
        ("tgi_queue_size", "TGI"),
        ('nv_trt_llm_request_metrics{request_type="waiting"}', "TensorRTLLM"),
        ("trtllm_num_requests_waiting", "TensorRTLLM"),
        ("ovms_current_graphs", "OpenVINO"),
        ("llamacpp:requests_deferred", "LlamaCpp"),
    ],
)
def test_the_inference_server_is_told_by_the_metric_that_was_asked_for(metric: str, engine: str) -> None:
    assert spec(query=f"sum({metric})")["variants"][0]["metrics"] == engine


def test_an_inference_server_that_cannot_be_told_is_a_point_to_check() -> None:
    assert any("metrics" in point for point in imported(query="sum(http_requests)").to_check)


def test_the_served_name_is_that_of_the_query() -> None:
    assert spec()["model"]["servedName"] == "meta-llama/Llama-3.1-8B-Instruct"


def test_the_stabilization_window_is_kept() -> None:
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 600}}
    found = spec(advanced={"horizontalPodAutoscalerConfig": {"behavior": behavior}})
    assert found["scaling"]["scaleDown"]["stabilizationWindowSeconds"] == 600


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ({"fallback": {"failureThreshold": 3, "replicas": 6}}, "fallback"),
        ({"idleReplicaCount": 0}, "scaling to zero"),
        ({"minReplicaCount": 0}, "scaling to zero"),
        ({"maxReplicaCount": 100}, "maxReplicaCount"),
        ({"cooldownPeriod": 60}, "cooldownPeriod"),
        ({"pollingInterval": 5}, "pollingInterval"),
        ({"advanced": {"scalingModifiers": {"formula": "a + b"}}}, "scalingModifiers"),
        ({"triggers": [{"type": "cron", "metadata": {"start": "0 8 * * *"}}]}, "trigger cron"),
    ],
)
def test_what_does_not_carry_over_is_told(field: dict[str, Any], told: str) -> None:
    assert any(told in point for point in imported(**field).left_out)


def test_a_cron_trigger_becomes_a_schedule() -> None:
    said = {"timezone": "Europe/Berlin", "start": "0 8 * * mon-fri", "end": "0 18 * * mon-fri", "desiredReplicas": "9"}
    one = imported(triggers=[{"type": "cron", "metadata": said}])
    assert one.manifest["spec"]["scaling"]["schedules"] == [
        {
            "name": "cron-1",
            "start": "0 8 * * MON-FRI",
            "end": "0 18 * * MON-FRI",
            "timeZone": "Europe/Berlin",
            "minReplicas": 4,
        }
    ]
    assert one.left_out == ()


def test_bounds_stay_within_what_an_llmdeployment_may_have() -> None:
    scaling = spec(minReplicaCount=0, maxReplicaCount=500)["scaling"]
    assert (scaling["minReplicas"], scaling["maxReplicas"]) == (1, 64)


@pytest.mark.parametrize(("name", "legal"), [("8b.chat", "llm-8b-chat"), ("x" * 60, "x" * 40), ("chat", "chat")])
def test_a_name_that_is_not_legal_here_becomes_the_nearest_that_is(name: str, legal: str) -> None:
    assert imported(name=name).manifest["metadata"]["name"] == legal


def test_two_scaled_objects_become_two_llmdeployments() -> None:
    text = yaml.safe_dump_all([scaled_object("one"), {"kind": "Secret"}, scaled_object("two")])
    assert [one.manifest["metadata"]["name"] for one in import_scaled_objects(text)] == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not YAML"),
        ("kind: Pod", "holds no ScaledObject"),
        ("kind: ScaledObject", "metadata: must be there"),
        (yaml.safe_dump(scaled_object(minReplicaCount="two")), "minReplicaCount: must be a whole number"),
        (yaml.safe_dump(scaled_object(scaleTargetRef={})), "scaleTargetRef.name"),
    ],
)
def test_what_is_wrong_is_told_by_its_field(text: str, words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        import_scaled_objects(text)


@given(query=st.text(), threshold=st.text(), kind=st.text())
def test_nothing_that_a_trigger_says_gets_out_of_its_comment(query: str, threshold: str, kind: str) -> None:
    trigger = {"type": kind, "metadata": {"query": query, "threshold": threshold}}
    one = imported(triggers=[trigger])
    assert list(yaml.safe_load_all(one.text())) == [one.manifest]
