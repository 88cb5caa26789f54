"""A variant that names a speed card: planned from it, valued by it, and told where it cannot be used."""

import copy
from typing import Any, cast

import pytest
import yaml
from structlog.testing import capture_logs
from tests.api.test_speed_card import CARDS
from tests.controller.operator_in_memory import Operator, declare

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.status import LLMDeploymentStatus
from tokenpace.cluster.client import ApiClient, ApiError
from tokenpace.cluster.kinds import LLM_DEPLOYMENTS, SPEED_CARDS
from tokenpace.controller.mirrors import Mirrors
from tokenpace.controller.speed_cards import cards_of, keep_card, mismatch, with_cards

WHOLE = yaml.safe_load((CARDS / "good" / "whole.yaml").read_text())


def card(name: str = "fast", **spec: Any) -> dict[str, Any]:
    """Return a card of the q8 variant, as the API server stores it."""
    body = copy.deepcopy(WHOLE)
    body["metadata"] = {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "1"}
    body["spec"] |= {"hardware": {"name": "half a core", "cpu": "500m"}, **spec}
    return body


def spec_of(resource: Any, **variant: Any) -> LLMDeploymentSpec:
    first = resource["spec"]["variants"][0] | {"speedCardRef": {"name": "fast"}} | variant
    return LLMDeploymentSpec.model_validate(resource["spec"] | {"variants": [first]})


def valued(resource: Any, stored: dict[str, Any], **variant: Any) -> LLMDeploymentSpec:
    spec = spec_of(resource, **variant)
    return with_cards(spec, cards_of(spec, "shop", {("shop", "fast"): keep_card(stored)}), LLMDeploymentStatus())


def test_quality_and_cost_are_those_of_the_card(resource: Any) -> None:
    (variant,) = valued(resource, card()).variants
    assert (str(variant.quality), str(variant.hourly_cost)) == ("99.1", "0.05")


def test_what_the_variant_declares_itself_stays(resource: Any) -> None:
    (variant,) = valued(resource, card(), quality="96", hourlyCost="2").variants
    assert (str(variant.quality), str(variant.hourly_cost)) == ("96", "2")


def test_a_card_without_quality_and_cost_leaves_the_defaults(resource: Any) -> None:
    bare = card()
    del bare["spec"]["quality"], bare["spec"]["cost"]
    (variant,) = valued(resource, bare).variants
    assert (variant.quality, variant.hourly_cost) == (100, None)


@pytest.mark.parametrize(
    ("differs", "words"),
    [
        ({"engine": {"type": "VLLM", "version": "0.11"}}, "engine VLLM"),
        ({"quantization": "q4_0"}, "quantization q4_0"),
        ({"hardware": {"name": "a core", "cpu": 1}}, "CPU limit of 1, and the variant has 0.5"),
    ],
)
def test_a_card_of_another_variant_is_told_from_this_one(resource: Any, differs: Any, words: str) -> None:
    cards = cards_of(spec_of(resource), "shop", {("shop", "fast"): keep_card(card(**differs))})
    (problem,) = cards.problems
    assert (cards.used, problem.reason) == ({}, "SpeedCardOfAnother")
    assert words in problem.message


HUB = {"huggingFace": {"repo": "HuggingFaceTB/SmolLM2-135M-Instruct", "revision": "12fd25f"}}


@pytest.mark.parametrize(
    ("name", "matches"), [("HuggingFaceTB/SmolLM2-135M-Instruct", True), ("chat", True), ("Qwen/Qwen2.5-1.5B", False)]
)
def test_weights_from_the_hub_must_be_of_the_cards_model(resource: Any, name: str, matches: bool) -> None:
    spec = spec_of(resource, source=HUB)
    found = keep_card(card(model={"name": name}))["card"]
    assert (mismatch(found, spec.variants[0], spec) is None) == matches


def test_spellings_of_a_quantization_may_differ_in_case(resource: Any) -> None:
    spec = spec_of(resource)
    assert mismatch(keep_card(card(quantization="Q8_0"))["card"], spec.variants[0], spec) is None


def test_a_card_of_another_number_of_gpus_is_told(resource: Any) -> None:
    spec = spec_of(resource, resources={"limits": {"nvidia.com/gpu": 2, "cpu": 8}})
    one, two = (keep_card(card(hardware={"name": "H100", "accelerators": count, "cpu": 4}))["card"] for count in (1, 2))
    assert mismatch(one, spec.variants[0], spec) == "1 accelerators, and the variant has 2"
    assert mismatch(two, spec.variants[0], spec) is None


async def test_a_resource_starts_from_its_card(operator: Operator, resource: Any) -> None:
    body = declare(operator.fake, resource)
    body["spec"]["variants"][0]["speedCardRef"] = {"name": "fast"}
    operator.fake.objects[SPEED_CARDS, "shop", "fast"] = card()
    with capture_logs() as logs:
        await operator.ticks(2)
    (status,) = operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["status"]["variants"]
    assert (status["source"], status["quality"], status["leadSeconds"]) == ("Measured", "99.1", 12)
    assert float(status["capacity"]) > 0
    assert operator.condition("SpeedCardsAccurate")["reason"] == "NotComparedYet"
    (predicted,) = [line for line in logs if line["event"] == "capacity of one replica"]
    assert (predicted["source"], list(predicted["tokens_per_second"])) == ({"q8": "Measured"}, ["q8"])


async def test_a_card_that_is_not_there_is_told_and_the_variant_serves(operator: Operator, resource: Any) -> None:
    body = declare(operator.fake, resource)
    body["spec"]["variants"][0]["speedCardRef"] = {"name": "fast"}
    await operator.ticks()
    told = operator.condition("SpeedCardsAccurate")
    assert (told["status"], told["reason"]) == ("False", "SpeedCardNotFound")
    assert "kubectl get speedcards -n shop" in told["message"]
    assert operator.replicas() == 1


async def test_a_floor_stays_shut_when_a_card_is_deleted(operator: Operator, resource: Any) -> None:
    """Without its card the variant would count as 100."""
    body = declare(operator.fake, resource)
    body["spec"]["variants"][0]["speedCardRef"] = {"name": "fast"}
    operator.fake.objects[SPEED_CARDS, "shop", "fast"] = card()
    await operator.ticks()
    del operator.fake.objects[SPEED_CARDS, "shop", "fast"]
    await operator.ticks(2)
    (status,) = operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["status"]["variants"]
    assert status["quality"] == "99.1"
    assert operator.condition("SpeedCardsAccurate")["reason"] == "SpeedCardNotFound"


async def test_a_floor_stays_shut_when_a_card_is_measured_again_without_quality(
    operator: Operator, resource: Any
) -> None:
    body = declare(operator.fake, resource)
    body["spec"]["variants"][0]["speedCardRef"] = {"name": "fast"}
    operator.fake.objects[SPEED_CARDS, "shop", "fast"] = card()
    await operator.ticks()
    del operator.fake.objects[SPEED_CARDS, "shop", "fast"]["spec"]["quality"]
    operator.fake.objects[SPEED_CARDS, "shop", "fast"]["metadata"]["resourceVersion"] = "2"
    await operator.ticks(2)
    (status,) = operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["status"]["variants"]
    assert status["quality"] == "99.1"


@pytest.mark.parametrize(
    ("others", "scaling", "told"),
    [
        ({"hourlyCost": "3"}, {}, "The cost of q8 is unknown and taken to be 3 an hour, the dearest"),
        (
            {"speedCardRef": {"name": "gone"}},
            {"maxHourlyCost": "2"},
            "The cost of q8 and dear is unknown, and `scaling.maxHourlyCost` bounds nothing",
        ),
    ],
)
async def test_a_cost_that_no_card_tells_is_told_with_what_follows(
    operator: Operator, resource: Any, others: Any, scaling: Any, told: str
) -> None:
    body = declare(operator.fake, resource)
    first = body["spec"]["variants"][0]
    body["spec"]["variants"] = [first | {"speedCardRef": {"name": "gone"}}, first | {"name": "dear", **others}]
    body["spec"].setdefault("scaling", {}).update(scaling)
    await operator.ticks()
    assert told in operator.condition("SpeedCardsAccurate")["message"]


async def test_a_card_that_another_version_wrote_is_told_with_the_field(operator: Operator, resource: Any) -> None:
    body = declare(operator.fake, resource)
    body["spec"]["variants"][0]["speedCardRef"] = {"name": "fast"}
    operator.fake.objects[SPEED_CARDS, "shop", "fast"] = card(fit={"step": 3})
    await operator.ticks()
    told = operator.condition("SpeedCardsAccurate")
    assert (told["reason"], "spec.fit.step" in told["message"]) == ("SpeedCardInvalid", True)


async def test_a_variant_whose_card_is_below_the_floor_is_not_run(operator: Operator, resource: Any) -> None:
    body = declare(operator.fake, resource)
    body["spec"]["slo"]["minQuality"] = "99.5"
    body["spec"]["variants"][0]["speedCardRef"] = {"name": "fast"}
    operator.fake.objects[SPEED_CARDS, "shop", "fast"] = card()
    await operator.ticks()
    assert operator.condition("Ready")["reason"] == "InvalidSpec"


@pytest.mark.parametrize(("status", "ready"), [(404, True), (403, True), (500, False)])
def test_a_cluster_that_has_no_speed_cards_is_served_all_the_same(status: int, ready: bool) -> None:
    """CRDs or roles of an earlier version must not stop what serves; an API server in trouble is waited for."""
    mirrors = Mirrors(cast("ApiClient", None), on_change=lambda: None)
    for mirror in mirrors.by_name.values():
        if mirror not in mirrors.speed_cards.parts:
            mirror._synced.set()
    assert not mirrors.synced
    mirrors.speed_cards.parts[0].problem = ApiError(status, "Refused", "no")
    assert mirrors.synced is ready
