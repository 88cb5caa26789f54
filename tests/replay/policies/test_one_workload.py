from collections.abc import Mapping

import pytest
from tests.replay.policies.views import fleet, made, pod, speeds, variant, view

from tokenpace.replay.policies.policy import PolicyKind
from tokenpace.replay.policies.registry import ONE_WORKLOAD, POLICIES
from tokenpace.replay.truth import Fleet

KINDS = [POLICIES[kind.name] for kind in ONE_WORKLOAD]

TRUTH = {"full": speeds(), "half": speeds()}


def of_two(**half: int) -> Fleet:
    """A fleet whose autoscalers are put in charge of `full`."""
    return fleet(variant("full"), variant("half", quality="99", **half), truth=TRUTH)


def asked(name: str, world: Fleet, **counts: int) -> Mapping[str, int]:
    """What is asked for where every pod serves and nothing was measured."""
    pods = [pod(f"{variant}-{number}", variant=variant) for variant in counts for number in range(counts[variant])]
    return made(POLICIES[name], world, POLICIES[name].default).decide(view(600.0, *pods, **counts))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_is_left_of_another_variant_goes_when_enough_of_its_own_serves(kind: PolicyKind) -> None:
    assert asked(kind.name, of_two(), full=2, half=3)["half"] == 0


def test_what_another_variant_has_to_keep_stays() -> None:
    assert asked("hpa-queue", of_two(minReplicas=1), full=2, half=3)["half"] == 1


def test_what_another_variant_has_not_is_not_added() -> None:
    assert "half" not in asked("hpa-queue", of_two(minReplicas=1), full=2, half=0)


def test_others_serve_until_its_own_do() -> None:
    assert "half" not in asked("hpa-queue", of_two(), full=0, half=3)
