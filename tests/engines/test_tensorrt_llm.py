from collections.abc import Callable
from typing import Any, Final

import pytest
from packaging.version import Version

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.engines.engine import Launch
from tokenpace.engines.tensorrt_llm import FIRST_VERSION, QUANTIZATIONS, TensorRTLLM
from tokenpace.engines.window import Scrape, Window

Specify = Callable[..., LLMDeploymentSpec]
Start = Callable[..., Launch]
Render = Callable[..., Any]

TRTLLM: Final = {"type": "TensorRTLLM"}
REPOSITORY: Final = {"huggingFace": {"repo": "nvidia/model-FP8"}}
SERVER: Final = {"engine": TRTLLM, "source": REPOSITORY, "resources": {"limits": {"nvidia.com/gpu": 1}}}


def test_the_server_takes_the_place_of_the_shell_that_turns_metrics_on(render: Render) -> None:
    shell, flag, script, name, model, *_ = render(**SERVER).engine["args"]
    assert (shell, flag, name, model) == ("/bin/sh", "-c", "trtllm-serve", "nvidia/model-FP8")
    assert "return_perf_metrics: true" in script
    assert script.splitlines()[-1] == 'exec trtllm-serve "$@"'


def test_the_file_with_the_options_is_the_one_that_is_written(render: Render) -> None:
    pod = render(**SERVER)
    assert f"> {pod.flag('--extra_llm_api_options')}\n" in pod.engine["args"][2]


def test_clients_see_the_served_name_and_the_declared_context(render: Render) -> None:
    pod = render(**SERVER, model={"servedName": "llama", "contextTokens": 8192})
    assert (pod.flag("--served_model_name"), pod.flag("--max_seq_len")) == ("llama", "8192")
    assert pod.variable("HF_HUB_CACHE") == "/models"


def test_the_image_is_of_a_version_that_can_be_read(start: Start) -> None:
    assert Version(start(**SERVER).image.rpartition(":")[2]) >= Version(FIRST_VERSION)


def test_pods_say_that_their_metrics_are_elsewhere(start: Start) -> None:
    metadata = TensorRTLLM().pod_template(start(**SERVER))["metadata"]
    assert metadata["annotations"] == {"prometheus.io/path": "/prometheus/metrics"}


@pytest.mark.parametrize(
    ("fields", "sequences"),
    [
        pytest.param({}, None, id="nothing is said"),
        pytest.param({"expected": {"atStreams": 48}}, 48, id="the expected speed was seen at 48"),
        pytest.param({"engine": {**TRTLLM, "args": ["--max_batch_size", "64"]}}, 64, id="the user says 64"),
    ],
)
def test_the_batch_limit_is_read_from_what_pods_are_launched_with(
    start: Start, fields: dict[str, Any], sequences: int | None
) -> None:
    assert TensorRTLLM().batch_limit(TensorRTLLM().pod_template(start(**{**SERVER, **fields}))) == sequences


@pytest.mark.parametrize(("args", "shards"), [([], "4"), (["--ep_size", "4"], None), (["--pp_size=4"], None)])
def test_a_model_is_spread_over_all_gpus_unless_the_user_spreads_it(
    render: Render, args: list[str], shards: str | None
) -> None:
    pod = render(engine={**TRTLLM, "args": args}, source=REPOSITORY, resources={"limits": {"nvidia.com/gpu": 4}})
    assert pod.flag("--tp_size") == shards


@pytest.mark.parametrize(
    ("variant", "field", "cure"),
    [
        ({"source": {}}, "source", "name one place"),
        (
            {"source": {"huggingFace": {"repo": "a/b", "revision": "0e9e39f"}}},
            "source.huggingFace.revision",
            "own flag",
        ),
        ({"quantization": "q4_0"}, "quantization", ", ".join(QUANTIZATIONS)),
        ({"resources": {"limits": {"amd.com/gpu": 1}}}, "engine.image", "is missing"),
        (
            {"engine": {**TRTLLM, "image": "mine:1"}, "resources": {"limits": {"cpu": 1}}},
            "resources.limits",
            "runs on nothing else",
        ),
        (
            {"engine": {**TRTLLM, "image": "nvcr.io/nvidia/tritonserver:25.05-trtllm-python-py3"}},
            "engine.image",
            "`scaleTargetRef` with `metrics: TensorRTLLM`",
        ),
        ({"engine": {**TRTLLM, "args": ["--extra_llm_api_options", "x"]}}, "engine.args", "leave it out"),
        ({"engine": {**TRTLLM, "args": ["--max_batch_size", "0"]}}, "engine.args", "needs a number"),
    ],
)
def test_a_problem_names_the_field_and_the_cure(
    specify: Specify, variant: dict[str, Any], field: str, cure: str
) -> None:
    spec = specify(**{**SERVER, **variant})
    (problem,) = TensorRTLLM().problems(spec, spec.variants[0])
    assert problem.field == f"spec.variants[q8].{field}"
    assert cure in problem.message


def test_requests_that_came_and_have_not_ended_are_counted() -> None:
    before = {"running": 1.0, "waiting": 0.0, "ended": 10.0, "ended_tokens": 1000.0}
    after = {"running": 4.0, "waiting": 3.0, "ended": 12.0, "ended_tokens": 1200.0}
    reading = TensorRTLLM().read(Window((Scrape(0.0, before), Scrape(10.0, after))))
    assert reading is not None
    assert reading.requests_per_second == pytest.approx(0.8)


def test_a_version_that_counts_no_tokens_cannot_be_read() -> None:
    scrapes = (Scrape(10.0 * at, {"ended": 5.0 * at, "running": 2.0, "waiting": 0.0}) for at in range(3))
    assert TensorRTLLM().read(Window(tuple(scrapes))) is None


def test_a_server_that_has_ended_nothing_yet_works_all_the_same() -> None:
    scrapes = (Scrape(10.0 * at, {"running": 2.0, "waiting": 0.0}) for at in range(3))
    reading = TensorRTLLM().read(Window(tuple(scrapes)))
    assert reading is not None
    assert (reading.running_streams, reading.generated_tokens_per_second) == (2.0, 0.0)
