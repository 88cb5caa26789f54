"""The picture of the status page in the documentation: six hours of a replay, told by the operator's own planner.

    python -m tests.page.picture docs/status-page.png

The replay (docs/replay.md) simulates the pods; decisions, sentences, numbers and conditions are made of what it shows
by the code that runs in a cluster.
"""

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.page.chromium import chromium
from tests.page.scene import NOW, Cluster

from tokenpace.api import names
from tokenpace.controller.readable import readable_status
from tokenpace.controller.recollection import keep
from tokenpace.controller.report import Facts, build_status
from tokenpace.planning.plan import plan
from tokenpace.replay.generators import Curve, LogNormalLengths, drawn
from tokenpace.replay.llama_fleet import LADDER, llama_fleet
from tokenpace.replay.policies.tokenpace import Tokenpace, tokenpace
from tokenpace.replay.scenarios import GENERATED_TOKENS, PROMPT_TOKENS
from tokenpace.replay.simulate import simulate
from tokenpace.replay.speeds import LLAMA2_70B_ON_4_H100
from tokenpace.replay.truth import Scenario
from tokenpace.replay.view import View

HOURS: Final = 6.0
BEGIN_SECONDS: Final = NOW - HOURS * 3600
DAY: Final[Curve] = (
    (0.0, 700.0),
    (0.8, 800.0),
    (1.8, 1500.0),
    (2.5, 1500.0),
    (2.75, 2500.0),
    (3.5, 2500.0),
    (3.9, 1200.0),
    (5.0, 1000.0),
    (6.0, 1400.0),
)
"""Generated tokens a second by hour: at noon more than eight replicas serve at full precision."""


class Reporting:
    """The planner at work on the replay, and what the operator would write into the status meanwhile."""

    def __init__(self, planner: Tokenpace, cluster: Cluster, resource: dict[str, Any]) -> None:
        self.interval_seconds = planner.interval_seconds
        self._planner = planner
        self._cluster = cluster
        self._resource = resource

    def decide(self, view: View) -> Mapping[str, int]:
        now, planner = BEGIN_SECONDS + view.at_seconds, self._planner
        observation = planner._observed(view)
        decided, planner.memory = plan(planner.spec, observation, planner.memory, view.at_seconds)
        planner.passed |= decided.canaries
        kept = keep(planner.memory)
        # The planner lives in the replay's time, which begins at zero.
        switched_at = kept.switched_at and kept.switched_at + timedelta(seconds=BEGIN_SECONDS)
        facts = Facts(
            name=self._resource["metadata"]["name"],
            generation=1,
            declared=planner.spec,
            observation=observation,
            plan=decided,
            kept=replace(kept, switched_at=switched_at),
            problems=(),
            refusals=(),
            outdated=(),
            hands_off=None,
        )
        self._resource["status"] = build_status(facts, readable_status(self._resource), now).as_manifest()
        self._cluster.look(now)
        return decided.fleet


def replayed() -> Cluster:
    """Return a cluster whose one LLMDeployment has lived through the day."""
    fleet = llama_fleet(LLAMA2_70B_ON_4_H100, "ladder", variants=LADDER, replicas=4, scaling={"maxReplicas": 8})
    slo = fleet.spec.slo.model_copy(update={"generation_tokens_per_second": 2800})
    fleet = replace(fleet, spec=fleet.spec.model_copy(update={"slo": slo}))
    resource = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": "llama-2-70b", "namespace": "chat", "uid": "u", "generation": 1},
        "spec": fleet.spec.as_manifest(),
    }
    cluster = Cluster(resource)
    requests: Curve = tuple((hour * 3600, tokens / GENERATED_TOKENS) for hour, tokens in DAY)
    lengths = LogNormalLengths(prompt_mean=PROMPT_TOKENS, generated_mean=GENERATED_TOKENS)
    scenario = Scenario(
        name="day",
        about="A day with a noon that needs the ladder.",
        fleet=fleet,
        traffic=partial(drawn, name="day", curve=requests, lengths=lengths, seconds=HOURS * 3600),
    )
    planner = tokenpace(fleet, scenario.traffic(100), 1.0)
    simulate(scenario, Reporting(planner, cluster, resource), seed=100, name="tokenpace", setting=1.0)
    return cluster


async def draw(cluster: Cluster, path: Path) -> None:
    """Write the page of the cluster's LLMDeployment as PNG."""
    port = await cluster.page.start("127.0.0.1", 0)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, chromium(Path(profile)) as browser:
        async with browser.tab() as tab:
            await tab.open(f"http://127.0.0.1:{port}/chat/llama-2-70b", width=1120, height=1330)
            picture = await tab.picture()
    await cluster.page.close()
    await asyncio.to_thread(path.write_bytes, picture)


if __name__ == "__main__":
    asyncio.run(draw(replayed(), Path(sys.argv[1])))
