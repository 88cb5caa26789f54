"""The pods in which the cluster's long runs try a card: a card of another size would not be planned from."""

from typing import Any

import pytest
import yaml
from e2e.bench import SLOTS as MEASURED_SLOTS
from e2e.bench import options_of
from e2e.llmdeployment import SLOTS, planned_from
from tests.bench.results import a_result

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.speed_card import LLMSpeedCardSpec
from tokenpace.bench.card import card
from tokenpace.bench.result import Machine
from tokenpace.controller.speed_cards import mismatch


def measured(cpu: str) -> dict[str, Any]:
    """Return a card of the kind that `e2e.bench` writes of a pod with this limit, as it is read from its file."""
    options = options_of("q8_0", cpu, "a CPU")
    machine = Machine(name="a CPU", accelerators=0, cpu=options.cpu, memory=options.memory)
    made = card(a_result(machine=machine), "q8")
    made["spec"] |= {"quantization": "q8_0", "engine": {"type": "LlamaCpp", "version": "b11549"}}
    read: dict[str, Any] = yaml.safe_load(yaml.safe_dump(made))
    return read


@pytest.mark.parametrize("cpu", ["120m", "500m", "1"])
def test_a_card_is_tried_in_a_pod_of_the_size_that_it_was_measured_in(cpu: str) -> None:
    made = measured(cpu)
    spec = LLMDeploymentSpec.model_validate(planned_from(made, "chat")["spec"])
    (variant,) = spec.variants
    assert variant.speed_card_ref is not None
    assert variant.speed_card_ref.name == made["metadata"]["name"]
    assert mismatch(LLMSpeedCardSpec.model_validate(made["spec"]), variant, spec) is None


def test_a_card_is_tried_with_as_many_slots_as_it_was_measured_with() -> None:
    assert MEASURED_SLOTS == SLOTS
