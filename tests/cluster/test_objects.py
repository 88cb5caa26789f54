import copy
import json
from collections.abc import Iterable
from typing import Any

import pytest

from tokenpace.api import names
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.cluster.objects import Pin, desired_objects, inputs_hash, outdated_variants, pins_of, template_hashes
from tokenpace.engines.llama_cpp import LlamaCpp


def _spec(resource: dict[str, Any]) -> LLMDeploymentSpec:
    return LLMDeploymentSpec.model_validate(resource["spec"])


def _desired(resource: dict[str, Any], pins: dict[str, Pin] | None = None) -> tuple[dict[str, Any], ...]:
    return desired_objects(resource, _spec(resource), pins or {})


def _one(objects: Iterable[dict[str, Any]], kind: str, name: str = "chat") -> dict[str, Any]:
    (found,) = [one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def _image(deployment: dict[str, Any]) -> str:
    image: str = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def _hash(resource: dict[str, Any], variant: int = 0) -> str:
    spec = _spec(resource)
    return inputs_hash(spec, spec.variants[variant])


def test_there_is_a_deployment_for_each_variant_best_first_and_one_service_and_one_budget(resource: Any) -> None:
    found = [(one["kind"], one["metadata"]["name"]) for one in _desired(resource)]
    assert found == [
        ("Deployment", "chat-q8"),
        ("Deployment", "chat-q4"),
        ("Service", "chat"),
        ("PodDisruptionBudget", "chat"),
    ]


def test_rendering_twice_gives_the_same_bytes(resource: Any) -> None:
    assert json.dumps(_desired(resource)) == json.dumps(_desired(copy.deepcopy(resource)))


def test_everything_goes_with_its_llmdeployment_and_nothing_holds_it_up(resource: Any) -> None:
    for one in _desired(resource):
        assert one["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "tokenpace.dev/v1alpha1",
                "kind": "LLMDeployment",
                "name": "chat",
                "uid": "uid-of-chat",
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ]


def test_a_manifest_that_no_cluster_has_seen_renders_without_owner_and_namespace(resource: Any) -> None:
    resource["metadata"] = {"name": "chat"}
    for one in _desired(resource):
        assert one["metadata"].keys() == {"name", "labels"} | (
            {"annotations"} if one["kind"] == "Deployment" else set()
        )


def test_a_deployment_never_says_how_many_replicas(resource: Any) -> None:
    assert "replicas" not in _one(_desired(resource), "Deployment", "chat-q8")["spec"]


def test_a_rollout_adds_a_pod_before_it_takes_one(resource: Any) -> None:
    strategy = _one(_desired(resource), "Deployment", "chat-q8")["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_the_pods_of_every_variant_are_behind_the_service_and_the_budget(resource: Any) -> None:
    objects = _desired(resource)
    selectors = [
        _one(objects, "Service")["spec"]["selector"],
        _one(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ]
    for name in ("chat-q8", "chat-q4"):
        labels = _one(objects, "Deployment", name)["spec"]["template"]["metadata"]["labels"]
        assert all(selector.items() <= labels.items() for selector in selectors)


def test_a_deployment_selects_the_pods_of_its_own_variant_only(resource: Any) -> None:
    objects = _desired(resource)
    selector = _one(objects, "Deployment", "chat-q8")["spec"]["selector"]["matchLabels"]
    other = _one(objects, "Deployment", "chat-q4")["spec"]["template"]["metadata"]["labels"]
    assert not selector.items() <= other.items()


def test_clients_reach_every_engine_by_the_name_of_its_port(resource: Any) -> None:
    assert _one(_desired(resource), "Service")["spec"]["ports"] == [
        {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}
    ]


def test_a_node_is_drained_one_pod_at_a_time_and_a_broken_pod_does_not_hold_it_up(resource: Any) -> None:
    spec = _one(_desired(resource), "PodDisruptionBudget")["spec"]
    assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


def test_labels_of_the_pod_template_do_not_displace_those_that_select_it(resource: Any) -> None:
    metadata = {"labels": {"team": "a", names.VARIANT_LABEL: "stolen"}, "annotations": {"note": "b"}}
    resource["spec"]["variants"][0]["podTemplate"] = {"metadata": metadata}
    rendered = _one(_desired(resource), "Deployment", "chat-q8")["spec"]["template"]["metadata"]
    assert rendered["labels"].items() >= {"team": "a", names.VARIANT_LABEL: "q8"}.items()
    assert rendered["annotations"]["note"] == "b"


EXISTING = {
    "name": "today",
    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "existing"},
    "metrics": "LlamaCpp",
}


def test_where_every_variant_brings_its_own_workload_nothing_is_made(resource: Any) -> None:
    """Whoever made those has a Service in front of them, perhaps of the very name."""
    resource["spec"]["variants"] = [EXISTING]
    assert _desired(resource) == ()


def test_a_variant_that_brings_its_own_workload_has_no_deployment(resource: Any) -> None:
    resource["spec"]["variants"][1] = EXISTING
    assert [one["metadata"]["name"] for one in _desired(resource)] == ["chat-q8", "chat", "chat"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model", "contextTokens"), 4096),
        (("model", "servedName"), "other"),
        (("model", "source", "volume", "claimName"), "others"),
        (("variants", 0, "engine", "image"), "llama:2"),
        (("variants", 0, "engine", "args"), ["--mlock"]),
        (("variants", 0, "engine", "env"), [{"name": "A", "value": "1"}]),
        (("variants", 0, "quantization"), "q4_0"),
        (("variants", 0, "resources", "limits", "cpu"), "1"),
        (("variants", 0, "podTemplate"), {"spec": {"priorityClassName": "high"}}),
        (("variants", 0, "source"), {"volume": {"claimName": "weights", "path": "/", "file": "other.gguf"}}),
    ],
)
def test_what_pods_are_made_of_changes_the_hash(resource: Any, path: tuple[Any, ...], value: Any) -> None:
    before = _hash(resource)
    _set(resource["spec"], path, value)
    assert _hash(resource) != before


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("slo", "generationTokensPerSecond"), 600),
        (("scaling",), {"maxReplicas": 3}),
        (("traffic",), {"promptTokens": 9}),
        (("variants", 0, "quality"), "99"),
        (("variants", 0, "hourlyCost"), "2.50"),
        (("variants", 0, "expected"), {"streamTokensPerSecond": 20}),
        (("variants", 0, "maxReplicas"), 3),
        (("variants", 1, "quantization"), "q8_0"),
        (("variants", 0, "engine", "args"), []),
    ],
)
def test_what_pods_do_not_see_leaves_the_hash_alone(resource: Any, path: tuple[Any, ...], value: Any) -> None:
    before = _hash(resource)
    _set(resource["spec"], path, value)
    assert _hash(resource) == before


@pytest.mark.parametrize(
    ("path", "spellings"),
    [
        (
            ("resources",),
            [{"limits": {"cpu": 4}, "requests": {"cpu": 2}}, {"limits": {"cpu": "4"}, "requests": {"cpu": "2"}}],
        ),
        (
            ("engine", "env"),
            [[{"name": "A", "value": "1"}, {"name": "B"}], [{"name": "B"}, {"name": "A", "value": "1"}]],
        ),
    ],
    ids=["amounts as numbers and as text", "order of the environment"],
)
def test_another_spelling_of_the_same_leaves_the_hash_alone(
    resource: Any, path: tuple[Any, ...], spellings: list[Any]
) -> None:
    hashes = set()
    for spelling in spellings:
        _set(resource["spec"], ("variants", 0, *path), spelling)
        hashes.add(_hash(resource))
    assert len(hashes) == 1


def test_a_variant_with_weights_of_its_own_does_not_depend_on_those_of_the_model(resource: Any) -> None:
    before = _hash(resource, variant=1)
    resource["spec"]["model"]["source"]["volume"]["claimName"] = "others"
    assert _hash(resource, variant=1) == before


def test_pods_know_the_hash_that_new_pods_get(resource: Any) -> None:
    objects = _desired(resource)
    for variant, digest in template_hashes(objects).items():
        template = _one(objects, "Deployment", f"chat-{variant}")["spec"]["template"]
        assert template["metadata"]["annotations"][names.INPUTS_HASH_ANNOTATION] == digest


class TestAnUpgradeOfTheOperator:
    """Another version has another default image and other flags."""

    @pytest.fixture
    def before(self, resource: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], ...]:
        rendered = desired_objects(resource, _spec(resource))
        monkeypatch.setattr(LlamaCpp, "default_image", lambda *_: "llama:next")
        return rendered

    def test_restarts_no_pod(self, resource: Any, before: Any) -> None:
        assert _desired(resource, pins_of(before[:2])) == before

    def test_keeps_the_batch_limit_that_the_pods_were_launched_with(self, resource: Any, before: Any) -> None:
        resource["spec"]["variants"][0]["expected"] = {"atStreams": 12}
        assert _desired(resource, pins_of(before[:2])) == before

    def test_says_which_variants_it_would_render_otherwise(self, resource: Any, before: Any) -> None:
        assert outdated_variants(resource, _spec(resource), pins_of(before[:2])) == ("q8", "q4")

    def test_reaches_pods_when_the_user_changes_what_they_are_made_of(self, resource: Any, before: Any) -> None:
        resource["spec"]["variants"][0]["engine"]["args"] = ["--mlock"]
        after = _desired(resource, pins_of(before[:2]))
        assert [_image(one) for one in after[:2]] == ["llama:next", _image(before[1])]


def test_the_same_version_renders_nothing_otherwise(resource: Any) -> None:
    spec = _spec(resource)
    rendered = desired_objects(resource, spec)
    assert outdated_variants(resource, spec, pins_of(rendered[:2])) == ()


@pytest.mark.parametrize("annotations", [{}, {names.INPUTS_HASH_ANNOTATION: "x"}])
def test_a_deployment_that_remembers_nothing_is_rendered_anew(resource: Any, annotations: Any) -> None:
    deployment = copy.deepcopy(_desired(resource)[0])
    deployment["metadata"]["annotations"] = annotations
    assert pins_of([deployment]) == {}


def test_a_memory_that_is_not_json_is_no_memory(resource: Any) -> None:
    deployment = copy.deepcopy(_desired(resource)[0])
    deployment["metadata"]["annotations"][names.APPLIED_TEMPLATE_ANNOTATION] = "{"
    assert pins_of([deployment]) == {}


def _set(root: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        root = root[key]
    root[path[-1]] = value
