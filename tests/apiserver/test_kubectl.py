"""What a person sees through kubectl: documentation, columns, scaling, waiting."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tokenpace.api.conditions import ConditionType
from tokenpace.api.names import selector_text
from tokenpace.api.schema import structural_schema
from tokenpace.api.slo import SLO
from tokenpace.api.status import (
    Condition,
    ConditionStatus,
    FleetSpeeds,
    LastDecision,
    LearnedSpeed,
    LLMDeploymentStatus,
    ObjectiveStatus,
    SpeedSource,
    VariantStatus,
    speed,
)

pytestmark = pytest.mark.apiserver

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
Kubectl = Callable[..., str]
Call = Callable[..., dict[str, Any]]


def status(name: str, *, generation: int = 1) -> LLMDeploymentStatus:
    """Return a status in which every field says something."""
    learned = LearnedSpeed(
        template_hash="5f3a",
        step_nanoseconds=40_000_000,
        generated_token_nanoseconds=9_000_000,
        prompt_token_nanoseconds=2_000_000,
        observed_seconds=3600,
        most_streams=4,
    )
    return LLMDeploymentStatus(
        observed_generation=generation,
        replicas=3,
        ready_replicas=2,
        selector=selector_text(name),
        variant="q8",
        tokens_per_second=FleetSpeeds(demand=speed(1234), served=speed(8.46), capacity=speed(60), stream=speed(5.04)),
        variants=(
            VariantStatus(
                name="q8",
                replicas=3,
                ready=2,
                capacity=speed(20),
                source=SpeedSource.LEARNED,
                lead_seconds=12,
                learned=learned,
            ),
        ),
        quality=Decimal(100),
        slo=ObjectiveStatus(good_percent=Decimal("99.9"), budget_remaining_percent=Decimal(80)),
        last_decision=LastDecision(time=NOW, action="q8: 2 to 3", reason="DemandAboveCapacity", message="Needed."),
        conditions=tuple(
            Condition(
                type=kind,
                status=ConditionStatus.TRUE,
                observed_generation=generation,
                last_transition_time=NOW,
                reason="Because",
                message="It is so.",
            )
            for kind in ConditionType
        ),
    )


def test_explain_reads_like_documentation(kubectl: Kubectl) -> None:
    page = " ".join(kubectl("explain", "llmdeployments.spec.slo").split())
    schema = structural_schema(SLO)
    described = [schema["description"], *(field["description"] for field in schema["properties"].values())]
    assert [text for text in described if " ".join(text.split()) not in page] == []


def test_a_status_is_kept_whole(create: Callable[..., str], llmdeployments: Call) -> None:
    name = create()
    said = status(name).as_manifest()
    kept = llmdeployments("patch", name, {"status": said}, part="_status")["status"]
    assert kept == said
    assert LLMDeploymentStatus.model_validate(kept) == status(name)


def test_columns_show_what_is_promised_asked_and_served(
    kubectl: Kubectl, create: Callable[..., str], llmdeployments: Call
) -> None:
    name = create()
    llmdeployments("patch", name, {"status": status(name).as_manifest()}, part="_status")
    headers, row = (line.split() for line in kubectl("get", "llmdep", name, "--output=wide").splitlines())
    shown = dict(zip(headers, row, strict=True))
    assert shown.pop("AGE")
    assert shown == {
        "NAME": name,
        "VARIANT": "q8",
        "REPLICAS": "3",
        "DEMAND": "1200",
        "SERVED": "8.5",
        "TARGET": "60",
        "SLO": "True",
        "READY": "True",
        "REASON": "DemandAboveCapacity",
    }


def test_the_category_lists_every_model(kubectl: Kubectl, create: Callable[..., str]) -> None:
    name = create()
    assert f"llmdeployment.tokenpace.dev/{name}" in kubectl("get", "llm", "--output=name")


def test_wait_succeeds_when_the_condition_is_about_the_current_generation(
    kubectl: Kubectl, create: Callable[..., str], llmdeployments: Call
) -> None:
    name = create()
    llmdeployments("patch", name, {"status": status(name).as_manifest()}, part="_status")
    assert "condition met" in kubectl("wait", "--for=condition=Ready", f"llmdep/{name}", "--timeout=0")


def test_wait_does_not_take_the_condition_of_an_older_generation(
    kubectl: Kubectl, create: Callable[..., str], llmdeployments: Call
) -> None:
    name = create()
    llmdeployments("patch", name, {"status": status(name, generation=1).as_manifest()}, part="_status")
    llmdeployments("patch", name, {"spec": {"slo": {"generationTokensPerSecond": 90}}})
    kubectl("wait", "--for=condition=Ready", f"llmdep/{name}", "--timeout=0", refused=True)


def test_scale_works_in_manual_mode(kubectl: Kubectl, create: Callable[..., str], llmdeployments: Call) -> None:
    name = create(scaling={"mode": "Manual"})
    kubectl("scale", "llmdep", name, "--replicas=3")
    assert llmdeployments("get", name)["spec"]["replicas"] == 3


@pytest.mark.parametrize("mode", ["Auto", "Advisory"])
def test_scale_is_refused_with_the_cure_in_other_modes(mode: str, kubectl: Kubectl, create: Callable[..., str]) -> None:
    name = create(scaling={"mode": mode})
    complaint = kubectl("scale", "llmdep", name, "--replicas=3", refused=True)
    assert "`replicas` may be changed only when `scaling.mode` is Manual: set it, or bound" in complaint


def test_an_autoscaler_finds_replicas_and_pods_through_the_scale_subresource(
    create: Callable[..., str], llmdeployments: Call
) -> None:
    name = create(scaling={"mode": "Manual"}, replicas=3)
    llmdeployments("patch", name, {"status": status(name).as_manifest()}, part="_status")
    scale = llmdeployments("get", name, part="_scale")
    assert scale["spec"] == {"replicas": 3}
    assert scale["status"] == {"replicas": 3, "selector": f"tokenpace.dev/llmdeployment={name}"}
