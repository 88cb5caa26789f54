"""`--fleet F`: a fleet to replay on, as a YAML file.

Either an LLMDeployment, as `kubectl apply` takes it: then its `expected` speeds are taken for the truth, and so are
start-ups of `expected.startupSeconds`. Or both of

    deployment: the LLMDeployment
    truth:      what is true of it, whatever it declares (`Truth`); by variant a table of measured speeds or the costs
                of a step, a token and a prompt token. Variants left out are as `expected` declares them.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from tokenpace.api.resource import LLMDeployment
from tokenpace.api.scaling import Balancing
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.support import runnable_variants
from tokenpace.api.variant import EngineType, Variant
from tokenpace.engines import llama_cpp, sglang, tgi, vllm
from tokenpace.engines.arguments import launched_streams
from tokenpace.engines.registry import problems
from tokenpace.planning.leadtime import USUAL_LEAD_SECONDS
from tokenpace.planning.prior import declared_belief
from tokenpace.planning.schedules import schedule_problems
from tokenpace.replay.llama_fleet import LogNormalSeconds
from tokenpace.replay.policies.tokenpace import SIGNALS
from tokenpace.replay.speeds import (
    LLAMA2_70B_ON_4_H100,
    PRECISIONS,
    MeasuredSpeeds,
    SpeedTableError,
    read_measured,
    speeds,
)
from tokenpace.replay.truth import Faults, Fleet, Prefill, Speeds, Spread, VariantTruth

UNLIMITED_STREAMS: Final = 256
"""Batch limit where nobody declares one: vLLM's own on GPUs of less than 70 GiB."""

STARTUP_DEVIATION: Final = 0.2
"""Standard deviation of the logarithm of start-up times where none is given: nine of ten lie within 40 %. Assumed."""

_BATCH_FLAGS: Final = (*vllm.BATCH_FLAGS, *tgi.BATCH_FLAGS, *sglang.BATCH_FLAGS, *llama_cpp.SLOT_FLAGS)

_SPEEDS: Final = ("streamTokensPerSecond", "generationTokensPerSecond", "prefillTokensPerSecond")

Model = TypeVar("Model", bound=BaseModel)

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class FleetFileError(ValueError):
    """A fleet file that cannot be used; the message names the file, the field and the cure."""


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class SpeedTable(_Part):
    """Measured speeds: a CSV as `read_measured` takes it; without a file Llama-2-70B on four H100."""

    file: Path | None = None
    """Relative to the fleet file."""
    model: str = "llama2-70b"
    hardware: str = "h100-80gb"
    gpus: Count = 4
    precision: Literal["bf16", "fp8", "awq-int4"] = "bf16"
    """Of `PRECISIONS`."""


class Costs(_Part):
    """What the engine spends its seconds on."""

    step_seconds: Positive
    """Of a decode step, whatever the streams in it."""
    token_seconds: Positive
    """Of each generated token besides."""
    prompt_token_seconds: Positive
    shortest_prompt_seconds: Positive | None = None
    """No prompt takes less. Default: a step with one stream."""


class StartUp(_Part):
    """Seconds from a pod's creation to Ready, log-normal."""

    median_seconds: Positive
    deviation: Annotated[float, Field(ge=0, le=2)] = STARTUP_DEVIATION
    """Standard deviation of the logarithm; 0: always the median."""


class VariantFile(_Part):
    """One variant as it really is; whatever is left out is as the LLMDeployment declares it."""

    table: SpeedTable | None = None
    costs: Costs | None = None
    batch_limit: Count | None = None
    kv_tokens: Count | None = None
    """Tokens that fit the memory. Default: memory never binds."""
    prefill: Prefill | None = None
    """Default: Chunked under vLLM, else Separate."""
    tokens_per_chunk: Count = 2048
    startup: StartUp | None = None
    counts_tokens_live: bool = True

    @model_validator(mode="after")
    def _one_source(self) -> "VariantFile":
        if self.table is not None and self.costs is not None:
            raise ValueError("must have at most one of `table` and `costs`: remove the other")
        return self


class Truth(_Part):
    """What is true, whatever is declared."""

    variants: dict[str, VariantFile] = Field(default_factory=dict)
    spread: Spread | None = None
    """What stands in front of the pods. Default: as `spec.scaling.balancing` says."""
    connections_per_client: Count = 1
    replicas: dict[str, Annotated[int, Field(ge=0, le=64)]] = Field(default_factory=dict)
    """Serving at the start. Default: `spec.scaling.minReplicas`, at least one, of the best variant."""
    stock: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    """Most pods of a variant that nodes can be found for. Default: any number."""
    scrape_seconds: Positive = 10.0
    window_seconds: Positive = 60.0
    tick_seconds: Positive = 10.0
    drain_seconds: Annotated[float, Field(ge=0)] = 300.0


def read_fleet(path: Path) -> tuple[Fleet, Faults]:
    """Return the fleet of a file, and the stock of nodes that it may find.

    Raises:
        FleetFileError: the file is neither an LLMDeployment nor one with its truth, or something in it cannot be.
        OSError: the file, or a table that it names, cannot be read.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FleetFileError(f"{path}: is not one YAML document: {error}") from error
    if not isinstance(content, dict) or not ("deployment" in content or content.get("kind") == "LLMDeployment"):
        raise FleetFileError(f"{path}: must be an LLMDeployment, or have `deployment` (one) and `truth` beside it")
    if unknown := content.keys() - {"deployment", "truth"} if "deployment" in content else None:
        raise FleetFileError(f"{path}: {min(unknown)}: is unknown beside `deployment` and `truth`: remove it")
    try:
        return _fleet(path, content.get("deployment", content), content.get("truth") or {})
    except (FleetFileError, SpeedTableError) as error:
        raise FleetFileError(f"{path}: {error}") from error


def _fleet(path: Path, deployment: Any, stated: Any) -> tuple[Fleet, Faults]:
    if not isinstance(deployment, dict) or deployment.get("kind") != "LLMDeployment":
        raise FleetFileError("deployment: must be an LLMDeployment, with `kind: LLMDeployment` and its `spec`")
    spec = _runnable(_validated(LLMDeployment, deployment, "").spec)
    truth = _validated(Truth, stated, "truth.")
    named = [variant.name for variant in spec.variants]
    for field in ("variants", "replicas", "stock"):
        if unknown := [name for name in getattr(truth, field) if name not in named]:
            raise FleetFileError(f"truth.{field}.{unknown[0]}: is no variant; there are {', '.join(named)}")
    if truth.replicas and not any(truth.replicas.values()):
        raise FleetFileError("truth.replicas: at least one must serve at the start: not all autoscalers begin at none")
    fleet = Fleet(
        name=str((deployment.get("metadata") or {}).get("name", path.stem)),
        spec=spec,
        variants={one.name: _variant(path, one, truth.variants.get(one.name, VariantFile())) for one in spec.variants},
        spread=truth.spread or _declared_spread(spec.scaling.balancing),
        connections_per_client=truth.connections_per_client,
        replicas=truth.replicas or {spec.ladder[0].name: max(1, spec.scaling.min_replicas)},
        scrape_seconds=truth.scrape_seconds,
        window_seconds=truth.window_seconds,
        tick_seconds=truth.tick_seconds,
        drain_seconds=truth.drain_seconds,
    )
    return fleet, Faults(stock={name: ((0.0, float("inf"), pods),) for name, pods in truth.stock.items()})


def _validated(model: type[Model], content: Any, above: str) -> Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = (f"{above}{'.'.join(map(str, one['loc']))}: {_cure(one)}" for one in error.errors())
        raise FleetFileError("; ".join(found)) from error


def _cure(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "is unknown: correct its spelling or remove it"
    return str(error["msg"]).removeprefix("Value error, ")


def _runnable(spec: LLMDeploymentSpec) -> LLMDeploymentSpec:
    """Return the spec with the variants that the operator would run."""
    runnable = runnable_variants(spec)
    if not runnable:
        raise FleetFileError("spec.variants: none has `maxReplicas` above 0 and a `quality` from `slo.minQuality` on")
    if found := [problem for variant in runnable for problem in problems(spec, variant)]:
        raise FleetFileError("; ".join(f"{problem.field}: {problem.message}" for problem in found))
    for variant in runnable:
        if variant.engine_type not in SIGNALS:
            raise FleetFileError(
                f"spec.variants[{variant.name}].engine.type: metrics of {variant.engine_type} are not replayed yet: "
                f"replay it as one of {', '.join(SIGNALS)}"
            )
    if problem := next(schedule_problems(spec.scaling.schedules), None):
        raise FleetFileError(problem)
    return spec.model_copy(update={"variants": runnable})


def _declared_spread(balancing: Balancing) -> Spread:
    if balancing is Balancing.WEIGHTED:
        raise FleetFileError(
            "spec.scaling.balancing: Weighted cannot be replayed: say what comes nearest, truth.spread"
        )
    return Spread.LEAST_REQUEST if balancing is Balancing.LEAST_REQUEST else Spread.RANDOM


def _variant(path: Path, declared: Variant, stated: VariantFile) -> VariantTruth:
    engine = declared.engine_type
    limit = stated.batch_limit or launched_streams(declared, _BATCH_FLAGS) or UNLIMITED_STREAMS
    if stated.table is not None:
        table = stated.table
        true = speeds(_measured(path, table), PRECISIONS[table.precision], batch_limit=limit)
    elif stated.costs is not None:
        true = _of_costs(stated.costs, limit)
    else:
        true = _of_expected(declared, limit)
    return VariantTruth(
        speeds=replace(
            true,
            prefill=stated.prefill or (Prefill.CHUNKED if engine is EngineType.VLLM else Prefill.SEPARATE),
            tokens_per_chunk=stated.tokens_per_chunk,
            kv_tokens=stated.kv_tokens,
        ),
        startup_seconds=_startup(declared, stated),
        counts_tokens_live=stated.counts_tokens_live,
    )


def _startup(declared: Variant, stated: VariantFile) -> LogNormalSeconds:
    if stated.startup is not None:
        return LogNormalSeconds(stated.startup.median_seconds, stated.startup.deviation)
    expected = declared.expected.startup_seconds
    return LogNormalSeconds(USUAL_LEAD_SECONDS if expected is None else float(expected), STARTUP_DEVIATION)


def _measured(path: Path, table: SpeedTable) -> MeasuredSpeeds:
    if table.file is None:
        return LLAMA2_70B_ON_4_H100
    return read_measured(path.parent / table.file, model=table.model, hardware=table.hardware, gpus=table.gpus)


def _of_costs(costs: Costs, limit: int, source: str = "stated in the fleet file") -> Speeds:
    lone = costs.step_seconds + costs.token_seconds
    return Speeds(
        step_seconds=tuple(costs.step_seconds + costs.token_seconds * streams for streams in range(1, limit + 1)),
        prompt_token_seconds=costs.prompt_token_seconds,
        shortest_prompt_seconds=costs.shortest_prompt_seconds or lone,
        source=source,
    )


def _of_expected(declared: Variant, limit: int) -> Speeds:
    """Return what an owner declares, taken for the truth; what they leave open is what the planner would guess."""
    belief = declared_belief(declared.expected)
    if belief is None:
        raise FleetFileError(
            f"spec.variants[{declared.name}].expected: says nothing of the speed of generation: declare "
            f"`streamTokensPerSecond`, or state `costs` or a `table` in truth.variants.{declared.name}"
        )
    costs = Costs(
        step_seconds=belief.costs.step_seconds,
        token_seconds=belief.costs.token_seconds,
        prompt_token_seconds=belief.costs.prompt_token_seconds,
    )
    said = declared.expected.as_manifest()
    guessed = [name for name in _SPEEDS if name not in said]
    thumb = f", guessed where it lacks {' and '.join(guessed)}" if guessed else ""
    return _of_costs(costs, limit, f"`expected` of the manifest, taken for the truth{thumb}: declared, not measured")
