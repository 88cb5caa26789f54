from collections.abc import Callable
from typing import Any, Final

import pytest

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.engines.engine import Launch
from tokenpace.engines.openvino import QUANTIZATIONS, OpenVINO

Specify = Callable[..., LLMDeploymentSpec]
Start = Callable[..., Launch]
Render = Callable[..., Any]

OVMS: Final = {"type": "OpenVINO"}
CONVERTED: Final = {"huggingFace": {"repo": "OpenVINO/Qwen3-8B-int4-ov"}}
SERVER: Final = {"engine": OVMS, "source": CONVERTED, "resources": {"limits": {"cpu": 8}}}


@pytest.mark.parametrize(
    ("device", "image", "target"),
    [("cpu", "model_server:2026.4.0", "CPU"), ("gpu.intel.com/xe", "model_server:2026.4.0-gpu", "GPU")],
)
def test_image_and_device_are_those_of_the_hardware(
    start: Start, render: Render, device: str, image: str, target: str
) -> None:
    server = {**SERVER, "resources": {"limits": {device: 1}}}
    assert start(**server).image.endswith(image)
    assert render(**server).flag("--target_device") == target


def test_a_repository_is_downloaded_into_the_cache(render: Render) -> None:
    pod = render(**SERVER, model={"cache": {"persistentVolumeClaimName": "models"}})
    assert (pod.flag("--source_model"), pod.flag("--model_repository_path")) == ("OpenVINO/Qwen3-8B-int4-ov", "/models")
    assert pod.flag("--task") == "text_generation"


def test_a_directory_that_was_converted_before_is_loaded_as_it_is(render: Render) -> None:
    pod = render(engine=OVMS, source={"volume": {"claimName": "shelf", "path": "/8b"}}, quantization="int4")
    assert (pod.flag("--model_path"), pod.flag("--task"), pod.flag("--weight-format")) == ("/models/8b", None, None)


def test_the_graph_of_a_converted_directory_says_its_own_batch_limit(start: Start) -> None:
    """Some versions refuse the flag without `--task`."""
    fields = {
        "engine": OVMS,
        "source": {"volume": {"claimName": "shelf", "path": "/8b"}},
        "expected": {"atStreams": 48},
    }
    assert OpenVINO().batch_limit(OpenVINO().pod_template(start(**fields))) is None


def test_clients_see_the_served_name_and_metrics_are_on(render: Render) -> None:
    pod = render(**SERVER, model={"servedName": "llama"})
    assert pod.flag("--model_name") == "llama"
    assert "--metrics_enable" in pod.engine["args"]


@pytest.mark.parametrize("quantization", QUANTIZATIONS[1:])
def test_weights_of_others_are_converted_on_the_way(render: Render, quantization: str) -> None:
    source = {"huggingFace": {"repo": "Qwen/Qwen3-8B"}}
    assert render(**{**SERVER, "source": source}, quantization=quantization).flag("--weight-format") == quantization


def test_weights_that_are_converted_already_are_left_as_they_are(render: Render) -> None:
    assert render(**SERVER, quantization="int4").flag("--weight-format") is None


@pytest.mark.parametrize(
    ("fields", "sequences"),
    [
        pytest.param({}, None, id="nothing is said"),
        pytest.param({"expected": {"atStreams": 48}}, 48, id="the expected speed was seen at 48"),
        pytest.param(
            {"expected": {"atStreams": 48}, "engine": {**OVMS, "args": ["--max_num_seqs", "64"]}}, 64, id="the user's"
        ),
    ],
)
def test_the_batch_limit_is_said_once_and_read_from_what_pods_are_launched_with(
    start: Start, render: Render, fields: dict[str, Any], sequences: int | None
) -> None:
    assert OpenVINO().batch_limit(OpenVINO().pod_template(start(**{**SERVER, **fields}))) == sequences
    assert render(**{**SERVER, **fields}).flag("--max_num_seqs") == (None if sequences is None else str(sequences))


def test_canaries_ask_where_its_api_is() -> None:
    assert OpenVINO().completions_path == "/v3/completions"


@pytest.mark.parametrize(
    ("variant", "field", "cure"),
    [
        ({"source": {}}, "source", "name one place"),
        ({"source": {"huggingFace": {"repo": "a/b", "revision": "0e9e39f"}}}, "source.huggingFace.revision", "leave"),
        ({"quantization": "awq"}, "quantization", ", ".join(QUANTIZATIONS)),
        ({"resources": {"limits": {"nvidia.com/gpu": 1}}}, "engine.image", "Intel GPU (`gpu.intel.com/...`)"),
        ({"engine": {**OVMS, "args": ["--rest_port", "1"]}}, "engine.args", "leave it out"),
        ({"engine": {**OVMS, "args": ["--max_num_seqs", "0"]}}, "engine.args", "needs a number"),
    ],
)
def test_a_problem_names_the_field_and_the_cure(
    specify: Specify, variant: dict[str, Any], field: str, cure: str
) -> None:
    spec = specify(**{**SERVER, **variant})
    (problem,) = OpenVINO().problems(spec, spec.variants[0])
    assert problem.field == f"spec.variants[q8].{field}"
    assert cure in problem.message
