from collections.abc import Callable
from typing import Any, Final

import pytest

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.engines.engine import Launch
from tokenpace.engines.sglang import QUANTIZATIONS, SGLang
from tokenpace.engines.window import Scrape, Window

Specify = Callable[..., LLMDeploymentSpec]
Start = Callable[..., Launch]
Render = Callable[..., Any]

SGLANG: Final = {"type": "SGLang"}
REPOSITORY: Final = {"huggingFace": {"repo": "org/model-awq", "revision": "0e9e39f"}}
SERVER: Final = {"engine": SGLANG, "source": REPOSITORY, "resources": {"limits": {"nvidia.com/gpu": 1}}}


@pytest.mark.parametrize(("device", "image"), [("nvidia.com/gpu", "v0.5.18"), ("amd.com/gpu", "rocm")])
def test_the_image_is_that_for_the_hardware(start: Start, device: str, image: str) -> None:
    assert image in start(**{**SERVER, "resources": {"limits": {device: 1}}}).image


def test_the_image_is_given_the_whole_command(render: Render) -> None:
    assert render(**SERVER).engine["args"][:5] == [
        *("python3", "-m", "sglang.launch_server"),
        *("--model-path", "org/model-awq"),
    ]


def test_clients_see_the_served_name_and_the_declared_context(render: Render) -> None:
    pod = render(**SERVER, model={"servedName": "llama", "contextTokens": 8192})
    assert (pod.flag("--served-model-name"), pod.flag("--context-length")) == ("llama", "8192")


def test_metrics_are_on(render: Render) -> None:
    assert "--enable-metrics" in render(**SERVER).engine["args"]


def test_a_revision_of_a_repository_is_kept_in_the_cache(render: Render) -> None:
    pod = render(**SERVER, model={"cache": {"persistentVolumeClaimName": "models"}})
    assert (pod.flag("--revision"), pod.variable("HF_HUB_CACHE")) == ("0e9e39f", "/models")


def test_the_model_may_be_a_directory_of_a_volume(render: Render) -> None:
    pod = render(engine=SGLANG, source={"volume": {"claimName": "shelf", "path": "/8b"}})
    assert (pod.flag("--model-path"), pod.variable("HF_HUB_CACHE")) == ("/models/8b", None)


@pytest.mark.parametrize("quantization", QUANTIZATIONS[1:])
def test_every_method_is_passed_on(render: Render, quantization: str) -> None:
    assert render(**SERVER, quantization=quantization).flag("--quantization") == quantization


@pytest.mark.parametrize("quantization", [None, "none"])
def test_weights_as_they_are_need_no_method(render: Render, quantization: str | None) -> None:
    assert render(**SERVER, quantization=quantization).flag("--quantization") is None


@pytest.mark.parametrize(
    ("fields", "requests"),
    [
        pytest.param({}, None, id="nothing is said"),
        pytest.param({"expected": {"atStreams": 48}}, 48, id="the expected speed was seen at 48"),
        pytest.param({"engine": {**SGLANG, "args": ["--max-running-requests", "64"]}}, 64, id="the user says 64"),
    ],
)
def test_the_batch_limit_is_read_from_what_pods_are_launched_with(
    start: Start, fields: dict[str, Any], requests: int | None
) -> None:
    assert SGLang().batch_limit(SGLang().pod_template(start(**{**SERVER, **fields}))) == requests


@pytest.mark.parametrize(("args", "shards"), [([], "4"), (["--dp-size", "4"], None), (["--tp=2", "--pp=2"], None)])
def test_a_model_is_spread_over_all_gpus_unless_the_user_spreads_it(
    render: Render, args: list[str], shards: str | None
) -> None:
    pod = render(engine={**SGLANG, "args": args}, source=REPOSITORY, resources={"limits": {"nvidia.com/gpu": 4}})
    assert pod.flag("--tp-size") == shards


def test_a_probe_generates_nothing(render: Render) -> None:
    """By default each would wait behind the streams, and restart a pod that is merely busy."""
    assert render(**SERVER).variable("SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION") == "false"


@pytest.mark.parametrize(
    ("variant", "field", "cure"),
    [
        ({"source": {}}, "source", "name one place"),
        ({"source": {"huggingFace": {"repo": "a/b", "file": "c.gguf"}}}, "source.huggingFace.file", "leave it out"),
        ({"quantization": "q4_0"}, "quantization", ", ".join(QUANTIZATIONS)),
        ({"resources": {"limits": {"cpu": 4}}}, "engine.image", "there is a default for NVIDIA (`nvidia.com/...`)"),
        ({"engine": {**SGLANG, "args": ["--served-model-name", "mine"]}}, "engine.args", "leave it out"),
        ({"engine": {**SGLANG, "args": ["--max-running-requests", "0"]}}, "engine.args", "needs a number"),
        ({"podTemplate": {"spec": "text"}}, "podTemplate.spec.containers", "use a list"),
    ],
)
def test_a_problem_names_the_field_and_the_cure(
    specify: Specify, variant: dict[str, Any], field: str, cure: str
) -> None:
    spec = specify(**{**SERVER, **variant})
    (problem,) = SGLang().problems(spec, spec.variants[0])
    assert problem.field == f"spec.variants[q8].{field}"
    assert cure in problem.message


def test_before_the_first_request_its_gauges_alone_are_an_idle_server() -> None:
    idle = {"running": 0.0, "waiting": 0.0}
    reading = SGLang().read(Window((Scrape(0.0, idle), Scrape(15.0, idle))))
    assert reading is not None
    assert (reading.generated_tokens_per_second, reading.running_streams, reading.requests_per_second) == (0, 0, 0)


def test_a_first_token_is_generated_though_no_step_counts_it() -> None:
    """It comes with the prefill: four answers of five tokens are sixteen steps' and four prefills'."""
    before = {"running": 0.0, "waiting": 0.0, "decoded_tokens": 100.0, "first_tokens": 10.0}
    after = {**before, "decoded_tokens": 116.0, "first_tokens": 14.0}
    reading = SGLang().read(Window((Scrape(0.0, before), Scrape(10.0, after))))
    assert reading is not None
    assert reading.generated_tokens_per_second == pytest.approx(2.0)


def test_the_speed_of_a_version_that_counts_no_steps_is_the_mean_of_its_gauge() -> None:
    seen = ({"running": 2.0, "waiting": 0.0, "old_tokens_per_second": speed} for speed in (100.0, 0.0, 200.0))
    reading = SGLang().read(Window(tuple(Scrape(15.0 * at, values) for at, values in enumerate(seen))))
    assert reading is not None
    assert reading.generated_tokens_per_second == 100.0
