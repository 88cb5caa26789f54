"""Hand-made views, and the fleets that they show."""

from typing import Any

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.replay.policies.policy import Policy, PolicyKind
from tokenpace.replay.traffic import Traffic
from tokenpace.replay.truth import Fleet, Prefill, Speeds, VariantTruth
from tokenpace.replay.view import PodView, Scrape, View

SCRAPE_SECONDS = 10.0

NO_TRAFFIC = Traffic("none", 0.0, ())

IDLE = Scrape(**dict.fromkeys(Scrape._fields, 0))


def scrape(at_seconds: float, **values: float) -> Scrape:
    """A scrape of a pod that is idle but for what is named."""
    return IDLE._replace(at_seconds=at_seconds, **values)


def steady(
    at_seconds: float, seconds: float = 60.0, *, rates: dict[str, float] | None = None, **gauges: float
) -> list[Scrape]:
    """The scrapes of the last seconds up to now: the same gauges throughout, counters that grow by so much a second."""
    count = int(seconds / SCRAPE_SECONDS)
    times = [at_seconds - (count - number) * SCRAPE_SECONDS for number in range(count + 1)]
    return [
        scrape(at, **gauges, **{counter: grown * (at - times[0]) for counter, grown in (rates or {}).items()})
        for at in times
    ]


def pod(
    name: str,
    *scrapes: Scrape,
    variant: str = "full",
    ready: bool = True,
    terminating: bool = False,
    unschedulable: bool = False,
) -> PodView:
    """A pod that has been there from the beginning."""
    return PodView(name, variant, 0.0, 0.0 if ready else None, terminating, unschedulable, scrapes)


def view(at_seconds: float, *pods: PodView, lost: bool = False, **replicas: int) -> View:
    """A moment; replicas that are not named are those of the pods there are."""
    names = {pod.variant for pod in pods}
    asked = {name: sum(pod.variant == name and not pod.terminating for pod in pods) for name in names}
    return View(at_seconds, asked | replicas, pods, lost)


def speeds(**values: Any) -> Speeds:
    """Four streams at 50 ms a step; a prompt token takes 1 ms."""
    return Speeds(
        **{
            "step_seconds": (0.05, 0.05, 0.05, 0.05),
            "prompt_token_seconds": 0.001,
            "shortest_prompt_seconds": 0.0,
            "prefill": Prefill.SEPARATE,
        }
        | values
    )


def variant(name: str, **values: Any) -> dict[str, Any]:
    """A variant as a person declares it."""
    return {"name": name, "engine": {"type": "LlamaCpp"}} | values


def fleet(
    *variants: dict[str, Any],
    truth: dict[str, Speeds] | None = None,
    scaling: dict[str, Any] | None = None,
    slo: dict[str, Any] | None = None,
    traffic: tuple[int, int] = (320, 128),
) -> Fleet:
    """A service of these variants; one alone, called full, unless they are named."""
    declared = variants or (variant("full"),)
    return Fleet(
        name="small",
        spec=LLMDeploymentSpec.model_validate(
            {
                "model": {
                    "servedName": "m",
                    "contextTokens": 2048,
                    "source": {"volume": {"claimName": "models", "path": "m.gguf"}},
                },
                "slo": {"generationTokensPerSecond": 100} | (slo or {}),
                "traffic": {"promptTokens": traffic[0], "generatedTokens": traffic[1]},
                "variants": declared,
                "scaling": scaling or {},
            }
        ),
        variants={
            one["name"]: VariantTruth(speeds=(truth or {}).get(one["name"], speeds()), startup_seconds=lambda _: 60.0)
            for one in declared
        },
        scrape_seconds=SCRAPE_SECONDS,
    )


def made(kind: PolicyKind, of: Fleet | None = None, setting: float | None = None) -> Policy:
    """The policy at work on a fleet, with its default unless a setting is named."""
    return kind.make(of or fleet(), NO_TRAFFIC, kind.default if setting is None else setting)
