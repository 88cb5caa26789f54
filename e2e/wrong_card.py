"""What is learned within ten minutes from a speed card that is wrong by two: `python -m e2e.wrong_card CARD`.

CARD is taken to be right: `python -u -m e2e.bench` measures one. One replica, of the size that CARD was measured in,
starts from it with every cost halved, then, anew, doubled. It gets 60 % of what CARD says that it can do for ten
minutes; then it is driven into saturation, where clients are served all that it can do.
"""

import argparse
import copy
import statistics
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from e2e.crowd import SATURATION, offered, served_by_full_replicas
from e2e.installation import laboratory
from e2e.kubectl import Manifest
from e2e.llmdeployment import SLOTS
from e2e.measured_range import in_words, is_within
from e2e.planned import full_replica, planned, shape_of
from tokenpace.api.speed_card import LLMSpeedCard
from tokenpace.planning.balance import pod_load

FACTORS = (0.5, 2.0)
LOAD = 0.6
LEARNING_SECONDS = 600
CROWDS = 3
TOLERANCE = 0.1
"""Of what was learned, beyond the range of what the crowds were served."""


def scaled(card: Manifest, factor: float) -> Manifest:
    """Return the card with every cost so many times as high."""
    changed = copy.deepcopy(card)
    for cost in ("step", "generatedToken", "promptToken"):
        fitted = changed["spec"]["fit"][cost]
        fitted["nanoseconds"] = max(1, round(fitted["nanoseconds"] * factor))
    return changed


def learned(card: Manifest, factor: float) -> tuple[float, float, tuple[float, ...]]:
    """Return what a full replica was predicted to do before the load and after it, and what clients got of one then."""
    parsed = LLMSpeedCard.model_validate(card)
    shape, full = shape_of(parsed), full_replica(parsed).tokens_per_second
    wrong = scaled(card, factor)
    before = full_replica(LLMSpeedCard.model_validate(wrong)).tokens_per_second
    with laboratory("wrong-card") as (namespace, _), planned(namespace, wrong) as (resource, _):
        offered(resource, "learned-from", LOAD * full, LEARNING_SECONDS, shape)
        after = pod_load(resource.learned_costs(), shape, SLOTS, SLOTS).tokens_per_second
        served = served_by_full_replicas(resource, SATURATION * full, shape, CROWDS)
    return before, after, served


def main() -> None:
    """Try both ways of being wrong and print what became of them."""
    parser = argparse.ArgumentParser(prog="python -m e2e.wrong_card", description=__doc__)
    parser.add_argument("card", type=Path, help="file with the LLMSpeedCard of a quantization of the e2e model")
    flags = parser.parse_args()
    card: Manifest = yaml.safe_load(flags.card.read_text(encoding="utf-8"))
    shown = Table(
        "costs", "predicted before", "after ten minutes", "served", "after / served", title="full replica, tok/s"
    )
    wrong: list[str] = []
    for factor in FACTORS:
        before, after, served = learned(card, factor)
        share = after / statistics.median(served)
        shown.add_row(f"{factor:g} times", f"{before:.2f}", f"{after:.2f}", in_words(served), f"{share:.2f}")
        if not is_within(after, served, TOLERANCE):
            wrong.append(f"{factor:g} times")
    Console(width=110).print(shown)
    if wrong:
        raise SystemExit(f"what was learned is not what was served: costs that were {' and '.join(wrong)} as high")


if __name__ == "__main__":
    main()
