"""What the planner is told of pods that a variant brings."""

from typing import Any

import pytest

from tokenpace.cluster.apply import Target
from tokenpace.cluster.kinds import DEPLOYMENTS
from tokenpace.cluster.scale_target import ScaleTarget, ScaleTargets, keep_target_pod
from tokenpace.controller.mirrors import Holdings
from tokenpace.controller.observe import observe
from tokenpace.planning.observation import Canary, Observation
from tokenpace.prometheus.samples import MetricsAnswer


def observed(*, ready: bool = True, replicas: int = 3) -> Observation:
    """Return an existing workload of one pod, as the planner sees it."""
    pod: dict[str, Any] = {
        "metadata": {
            "name": "vllm-x",
            "namespace": "shop",
            "uid": "u",
            "creationTimestamp": "2026-11-23T08:00:00Z",
            "labels": {"pod-template-hash": "5d9c7"},
        },
        "status": {
            "conditions": [
                {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-11-23T08:01:00Z"},
            ]
        },
    }
    target = Target(DEPLOYMENTS, "shop", "vllm")
    found = ScaleTarget(target=target, replicas=replicas, pods=(keep_target_pod(pod, "today"),))
    holdings = Holdings(deployments=(), others=(), pods=()).with_targets(ScaleTargets({"today": found}))
    return observe(
        "shop",
        holdings,
        MetricsAnswer(samples={}, problems={}),
        replicas={name: size.replicas for name, size in holdings.sizes.items()},
        hashes={},
        slots={},
        dialects=(),
        canaries={},
        tick_seconds=10.0,
        speed_cards={},
    )


def test_its_replicas_are_those_of_the_variant() -> None:
    assert observed(replicas=3).replicas == {"today": 3}


@pytest.mark.parametrize(("ready", "canary"), [(True, Canary.PASSED), (False, Canary.UNTRIED)])
def test_a_pod_that_nobody_here_can_ask_has_passed_once_it_serves(ready: bool, canary: Canary) -> None:
    """Or a switch back to it would wait for ever for its first replica to prove itself."""
    (pod,) = observed(ready=ready).pods
    assert pod.canary is canary
