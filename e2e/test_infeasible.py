"""Promise: an SLO that cannot be met is called so, with the best that can be had."""

import re

import pytest

from e2e.kubectl import Kubectl
from e2e.llmdeployment import LLMDeployment, manifest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180), pytest.mark.usefixtures("operator")]

WANTED_STREAM_TOKENS_PER_SECOND = 500


def test_an_slo_that_no_number_of_replicas_can_meet_is_reported_with_the_best_attainable_speed(
    namespace: Kubectl,
) -> None:
    declared = manifest("hopeless", slo={"stream": {"tokensPerSecond": WANTED_STREAM_TOKENS_PER_SECOND}})
    namespace.apply(declared)

    verdict = LLMDeployment(namespace, "hopeless").until_condition(
        "SLOFeasible", "False", seconds=60, reason="StreamSpeedUnattainable"
    )

    best = re.search(r"to itself gets ([\d.]+) \(declared\)", verdict["message"])
    assert best, verdict["message"]
    assert float(best[1]) == declared["spec"]["variants"][0]["expected"]["streamTokensPerSecond"]
