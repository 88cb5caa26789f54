"""The scenarios of the comparison: what is demanded, of which fleet, and what goes wrong.

Seeds `TRAINING_SEEDS` and the first two thirds of a recording are for tuning; `REPORTED_SEEDS` and its last third, in
`HELD_OUT`, are for the report alone.

Demand is sized to 3 to 14 replicas, by the capacity that the planner computes from the true speeds: with the recorded
lengths a replica is worth 172 generated tokens/s in bf16, 397 in FP8 and 455 in four bits.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from tokenpace.replay.generators import (
    Curve,
    Lengths,
    LogNormalLengths,
    ParetoLengths,
    RecordedLengths,
    closed_loop,
    cut,
    drawn,
    flash_crowd,
    longer_prompts,
    on_off,
    overlaid,
    ramp,
    sine_day,
    steady,
    step,
)
from tokenpace.replay.llama_fleet import LADDER, LogNormalSeconds, llama_fleet
from tokenpace.replay.speeds import LLAMA2_70B_ON_4_H100, MeasuredSpeeds
from tokenpace.replay.traffic import Request, Traffic
from tokenpace.replay.truth import Faults, Fleet, Scenario, Spread

TRAINING_SEEDS: Final = range(10)
REPORTED_SEEDS: Final = range(100, 110)

HELD_OUT: Final = frozenset({"recorded-last-third"})
"""Scenarios that nothing is tuned on."""

PROMPT_TOKENS: Final = 1155.0
GENERATED_TOKENS: Final = 211.0
"""Means of the recorded hour, for lengths where no recording is given."""

COPIES: Final = 2
"""Of the recorded hour, laid over each other: 2,340 generated tokens/s."""


def scenarios(
    trace: Sequence[Request] | None = None, measured: MeasuredSpeeds = LLAMA2_70B_ON_4_H100
) -> tuple[Scenario, ...]:
    """Return every scenario of the comparison; without a recording those that replay it are left out.

    Args:
        trace: recorded requests. The drawn traffic has the lengths of those that may be tuned on. Without: log-normal
            lengths of the same means.
        measured: speeds of the model at full precision.
    """
    lengths: Lengths = (
        RecordedLengths.of(cut(trace, 0.0, _tuned_until_seconds(trace)))
        if trace
        else LogNormalLengths(prompt_mean=PROMPT_TOKENS, generated_mean=GENERATED_TOKENS)
    )
    fleet = partial(llama_fleet, measured)
    return (
        *(_recorded(trace, fleet) if trace else ()),
        *_loads(lengths, fleet),
        *_shapes(lengths, fleet),
        *_ladders(lengths, fleet),
        *_faults(lengths, fleet),
        *_beliefs(lengths, fleet),
    )


def replay_of(
    trace: Sequence[Request],
    fleet: Fleet,
    faults: Faults | None = None,
    *,
    copies: int = 1,
    begins_at_seconds: float | None = None,
) -> Scenario:
    """Return the scenario of a user's own trace on their own fleet.

    Args:
        trace: recorded requests.
        fleet: that serves them.
        faults: what goes wrong.
        copies: of the trace, laid over each other, shifted by chance. One is replayed as it was, whatever the seed.
        begins_at_seconds: Unix seconds of its beginning, where that is known.
    """
    seconds = trace[-1].at_seconds + 1.0
    recorded = f"{len(trace)} recorded requests in {seconds:.0f} s"
    recording = Traffic("recording", seconds, tuple(trace), begins_at_seconds=begins_at_seconds)
    once = copies == 1
    return Scenario(
        name="recording",
        about=f"{recorded}, as they came." if once else f"{recorded}, {copies} copies over each other.",
        fleet=fleet,
        traffic=partial(_as_recorded, traffic=recording)
        if once
        else partial(overlaid, name="recording", requests=tuple(trace), copies=copies, seconds=seconds),
        faults=faults or Faults(),
    )


def _as_recorded(_seed: int, /, *, traffic: Traffic) -> Traffic:
    return traffic


FleetOf = Callable[..., Fleet]


def _tokens(curve: Curve, per_request: float = GENERATED_TOKENS) -> Curve:
    """Return the requests a second that bring a curve of generated tokens a second."""
    return tuple((at, tokens / per_request) for at, tokens in curve)


def _open(
    name: str,
    about: str,
    fleet: Fleet,
    *,
    tokens: Curve,
    lengths: Lengths,
    seconds: float,
    faults: Faults | None = None,
) -> Scenario:
    """Return a scenario of drawn arrivals, given generated tokens a second."""
    traffic = partial(drawn, name=name, curve=_tokens(tokens), lengths=lengths, seconds=seconds)
    return Scenario(name=name, about=about, fleet=fleet, traffic=traffic, faults=faults or Faults())


def _tuned_until_seconds(trace: Sequence[Request]) -> float:
    """Return when the part of a recording ends that policies may be tuned on; the rest is only reported on."""
    return 2 * trace[-1].at_seconds / 3


def _recorded(trace: Sequence[Request], fleet: FleetOf) -> tuple[Scenario, ...]:
    border, end = _tuned_until_seconds(trace), trace[-1].at_seconds
    parts = (
        ("recorded", "The first two thirds", 0.0, border),
        ("recorded-last-third", "The last third", border, end),
    )
    return tuple(
        Scenario(
            name=name,
            about=f"{part} of the recorded hour, {COPIES} copies over each other, shifted by chance.",
            fleet=fleet("bf16", replicas=12),
            traffic=partial(
                overlaid, name=name, requests=cut(trace, since, until), copies=COPIES, seconds=until - since
            ),
        )
        for name, part, since, until in parts
    )


def _loads(lengths: Lengths, fleet: FleetOf) -> tuple[Scenario, ...]:
    """Return what demand can do in time, on one variant."""
    return (
        _open(
            "steady",
            "Poisson arrivals at a constant rate: whatever moves, moves for nothing.",
            fleet("bf16", replicas=7),
            tokens=steady(1300.0),
            lengths=lengths,
            seconds=3600.0,
        ),
        _open(
            "sine",
            "A day in an hour: 500 tokens/s at night, 2,200 at noon.",
            fleet("bf16", replicas=4),
            tokens=sine_day(500.0, 2200.0, day_seconds=3600.0),
            lengths=lengths,
            seconds=3600.0,
        ),
        _open(
            "step",
            "Demand becomes five times itself at once, and stays.",
            fleet("bf16", replicas=3),
            tokens=step(440.0, 5.0, at_seconds=600.0),
            lengths=lengths,
            seconds=2400.0,
        ),
        _open(
            "ramp",
            "Demand grows evenly from 500 to 2,200 tokens/s in twenty minutes.",
            fleet("bf16", replicas=4),
            tokens=ramp(500.0, 2200.0, since_seconds=600.0, until_seconds=1800.0),
            lengths=lengths,
            seconds=2700.0,
        ),
        _open(
            "flash-crowd",
            "Demand becomes four times itself within a minute, for five minutes.",
            fleet("bf16", replicas=4),
            tokens=flash_crowd(500.0, 4.0, at_seconds=900.0, rise_seconds=60.0, lasts_seconds=300.0),
            lengths=lengths,
            seconds=2700.0,
        ),
        _open(
            "on-off",
            "Ten minutes of work, fifteen of silence: idle is not missing, and missing is not idle.",
            fleet("bf16", replicas=5),
            tokens=on_off(900.0, on_seconds=600.0, off_seconds=900.0, seconds=3600.0),
            lengths=lengths,
            seconds=3600.0,
        ),
        Scenario(
            name="closed-loop",
            about="160 clients that wait for each answer and think for 20 s: slow service hides demand.",
            fleet=fleet("bf16", replicas=4),
            traffic=partial(
                closed_loop, name="closed-loop", lengths=lengths, clients=160, think_seconds=20.0, seconds=2400.0
            ),
        ),
    )


def _longer_prompts(
    seed: int, /, *, name: str, curve: Curve, lengths: Lengths, seconds: float, since_seconds: float
) -> Traffic:
    before = drawn(seed, name=name, curve=curve, lengths=lengths, seconds=seconds)
    return longer_prompts(before, 4.0, since_seconds=since_seconds)


def _shapes(lengths: Lengths, fleet: FleetOf) -> tuple[Scenario, ...]:
    """Return what the lengths of requests can do."""
    chat = LogNormalLengths(prompt_mean=400.0, generated_mean=250.0)
    return (
        Scenario(
            name="longer-prompts",
            about="Half way, prompts become four times as long; generated tokens/s stay. At most six replicas.",
            fleet=fleet("ladder", variants=LADDER, replicas=4, scaling={"maxReplicas": 6}),
            traffic=partial(
                _longer_prompts,
                name="longer-prompts",
                curve=_tokens(steady(1400.0), 250.0),
                lengths=chat,
                seconds=3000.0,
                since_seconds=1200.0,
            ),
        ),
        _open(
            "heavy-tail",
            "Pareto lengths with a tail index of 1.5: few requests bring most of the tokens.",
            fleet("bf16", replicas=7),
            tokens=steady(1000.0),
            lengths=ParetoLengths(prompt_mean=PROMPT_TOKENS, generated_mean=GENERATED_TOKENS),
            seconds=3600.0,
        ),
        _open(
            "small-memory",
            "Memory for 12,000 tokens a pod, nine requests, where the batch limit is 32; demand grows by half.",
            fleet("bf16", replicas=5, memory=12_000),
            tokens=ramp(500.0, 1000.0, since_seconds=600.0, until_seconds=1800.0),
            lengths=lengths,
            seconds=3600.0,
        ),
    )


def _ladders(lengths: Lengths, fleet: FleetOf) -> tuple[Scenario, ...]:
    """Return what only another precision can serve, or serves more cheaply."""
    busy_noon: Curve = ((0.0, 1000.0), (600.0, 1000.0), (900.0, 2600.0), (2400.0, 2600.0), (2700.0, 1000.0))
    return (
        _open(
            "ladder",
            "At noon demand is nearly twice what the most replicas, eight, serve in bf16.",
            fleet("ladder", variants=LADDER, replicas=6, scaling={"maxReplicas": 8}),
            tokens=busy_noon,
            lengths=lengths,
            seconds=3600.0,
        ),
        _open(
            "ladder-budget",
            "The same noon, bounded by the cost of eight replicas instead of their number.",
            fleet("ladder", variants=LADDER, replicas=6, scaling={"maxHourlyCost": "96"}),
            tokens=busy_noon,
            lengths=lengths,
            seconds=3600.0,
        ),
        _open(
            "ladder-cheapest",
            "Steady demand, cost before quality: any precision of at least 98 % will do.",
            fleet("ladder", variants=LADDER[::-1], replicas=5, scaling={"preference": "Cost"}),
            tokens=steady(2000.0),
            lengths=lengths,
            seconds=2400.0,
        ),
        _open(
            "stockout",
            "Demand grows while there are nodes for no more than five replicas in bf16, for three quarters of an hour.",
            fleet("ladder", variants=LADDER, replicas=4),
            tokens=step(800.0, 2.5, at_seconds=900.0),
            lengths=lengths,
            seconds=3600.0,
            faults=Faults(stock={"bf16": ((0.0, 2700.0, 5),)}),
        ),
    )


def _faults(lengths: Lengths, fleet: FleetOf) -> tuple[Scenario, ...]:
    """Return what breaks around the fleet."""
    return (
        _open(
            "metrics-lost",
            "Prometheus is gone for five minutes while demand grows, and for five while it falls.",
            fleet("bf16", replicas=4),
            tokens=sine_day(500.0, 2000.0, day_seconds=3600.0),
            lengths=lengths,
            seconds=3600.0,
            faults=Faults(metrics_lost=((900.0, 1200.0), (2400.0, 2700.0))),
        ),
        _open(
            "scrapes-lost",
            "Steady demand, and three scrapes of ten fail.",
            fleet("bf16", replicas=7),
            tokens=steady(1300.0),
            lengths=lengths,
            seconds=3600.0,
            faults=Faults(lost_scrape_share=0.3),
        ),
        _open(
            "cold-starts",
            "Pods take five minutes to serve, and demand becomes three times itself.",
            fleet("bf16", replicas=4, startup=LogNormalSeconds(300.0, 0.3)),
            tokens=step(500.0, 3.0, at_seconds=600.0),
            lengths=lengths,
            seconds=3000.0,
        ),
        Scenario(
            name="sticky",
            about="40 clients at a time keep their connections and stay ten minutes: new pods get who comes after.",
            fleet=fleet("bf16", replicas=5, spread=Spread.STICKY),
            traffic=partial(
                drawn,
                name="sticky",
                curve=_tokens(ramp(600.0, 1500.0, since_seconds=600.0, until_seconds=1500.0)),
                lengths=lengths,
                seconds=2700.0,
                clients=40,
                stay_seconds=600.0,
            ),
        ),
        _open(
            "failures",
            "Steady demand; four times a serving pod dies with all that it works on.",
            fleet("bf16", replicas=7),
            tokens=steady(1300.0),
            lengths=lengths,
            seconds=3000.0,
            faults=Faults(failures=(600.0, 1200.0, 1230.0, 2100.0)),
        ),
    )


def _beliefs(lengths: Lengths, fleet: FleetOf) -> tuple[Scenario, ...]:
    """Return what the owner may have got wrong."""
    return tuple(
        _open(
            f"declared-{how}",
            f"Steady demand; every declared speed is {factor:g} times the true one.",
            fleet("bf16", replicas=7, declared_factor=factor),
            tokens=steady(1300.0),
            lengths=lengths,
            seconds=2400.0,
        )
        for how, factor in (("too-fast", 1.5), ("too-slow", 0.5))
    )
