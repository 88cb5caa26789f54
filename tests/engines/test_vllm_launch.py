from collections.abc import Callable
from typing import Any, Final

import pytest

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.engines.engine import Launch
from tokenpace.engines.vllm import QUANTIZATIONS, Vllm

Specify = Callable[..., LLMDeploymentSpec]
Start = Callable[..., Launch]
Render = Callable[..., Any]

VLLM: Final = {"type": "VLLM"}
REPOSITORY: Final = {"huggingFace": {"repo": "org/model-awq", "revision": "0e9e39f"}}
SERVER: Final = {"engine": VLLM, "source": REPOSITORY, "resources": {"limits": {"nvidia.com/gpu": 1}}}


@pytest.mark.parametrize(
    ("device", "image"),
    [("nvidia.com/gpu", "vllm-openai:"), ("amd.com/gpu", "vllm-openai-rocm:"), ("cpu", "vllm-openai-cpu:")],
)
def test_the_image_is_that_for_the_hardware(start: Start, device: str, image: str) -> None:
    assert image in start(engine=VLLM, source=REPOSITORY, resources={"limits": {device: 1}}).image


def test_the_model_comes_first_and_is_a_revision_of_a_repository_kept_in_the_cache(render: Render) -> None:
    pod = render(**SERVER, model={"cache": {"persistentVolumeClaimName": "models"}})
    assert (pod.engine["args"][0], pod.flag("--revision")) == ("org/model-awq", "0e9e39f")
    assert pod.variable("HF_HUB_CACHE") == "/models"
    assert {"name": "models", "persistentVolumeClaim": {"claimName": "models"}} in pod.pod["volumes"]


def test_the_model_may_be_a_directory_of_a_volume(render: Render) -> None:
    pod = render(engine=VLLM, source={"volume": {"claimName": "shelf", "path": "/8b"}})
    assert (pod.engine["args"][0], pod.variable("HF_HUB_CACHE")) == ("/models/8b", None)


def test_clients_see_the_served_name_and_the_declared_context(render: Render) -> None:
    pod = render(**SERVER, model={"servedName": "llama", "contextTokens": 8192})
    assert (pod.flag("--served-model-name"), pod.flag("--max-model-len")) == ("llama", "8192")


@pytest.mark.parametrize("quantization", QUANTIZATIONS[1:])
def test_every_method_is_passed_on(render: Render, quantization: str) -> None:
    assert render(**SERVER, quantization=quantization).flag("--quantization") == quantization


@pytest.mark.parametrize("quantization", [None, "none"])
def test_weights_as_they_are_need_no_method(render: Render, quantization: str | None) -> None:
    assert render(**SERVER, quantization=quantization).flag("--quantization") is None


@pytest.mark.parametrize(
    ("fields", "sequences"),
    [
        pytest.param({}, None, id="nothing is said"),
        pytest.param({"expected": {"atStreams": 48}}, 48, id="the expected speed was seen at 48"),
        pytest.param({"engine": {**VLLM, "args": ["--max-num-seqs=64"]}}, 64, id="the user says 64"),
        pytest.param(
            {"engine": {**VLLM, "args": ["--max_num_seqs", "64"]}}, 64, id="the user says it with underscores"
        ),
    ],
)
def test_the_batch_limit_is_read_from_what_pods_are_launched_with(
    start: Start, fields: dict[str, Any], sequences: int | None
) -> None:
    assert Vllm().batch_limit(Vllm().pod_template(start(**{**SERVER, **fields}))) == sequences


@pytest.mark.parametrize(
    ("args", "shards"), [([], "4"), (["--data_parallel_size", "4"], None), (["-tp=2", "-pp=2"], None)]
)
def test_a_model_is_spread_over_all_gpus_unless_the_user_spreads_it(
    render: Render, args: list[str], shards: str | None
) -> None:
    pod = render(engine={**VLLM, "args": args}, source=REPOSITORY, resources={"limits": {"nvidia.com/gpu": 4}})
    assert pod.flag("--tensor-parallel-size") == shards


def test_running_requests_are_finished_within_the_grace_period(render: Render) -> None:
    pod = render(**SERVER)
    assert pod.flag("--shutdown-timeout") == "300"
    assert pod.pod["terminationGracePeriodSeconds"] == 310


def test_no_service_can_be_taken_for_vllms_own_port(render: Render) -> None:
    """A Service called `vllm` would inject VLLM_PORT=tcp://..., for which vLLM does not start."""
    pod = render(**SERVER)
    assert pod.pod["enableServiceLinks"] is False
    assert pod.variable("VLLM_PORT") is None


def test_it_runs_as_the_images_own_user_who_has_a_name_in_every_image(render: Render) -> None:
    pod = render(**SERVER)
    assert (pod.pod["securityContext"]["runAsUser"], pod.variable("USER")) == (2000, "vllm")


def test_on_cpus_threads_are_as_many_as_the_pod_has_cores_and_bound_to_none(render: Render) -> None:
    pod = render(engine=VLLM, source=REPOSITORY, resources={"limits": {"cpu": 16}})
    assert pod.variable("OMP_NUM_THREADS") == {"resourceFieldRef": {"resource": "limits.cpu"}}
    assert pod.variable("VLLM_CPU_OMP_THREADS_BIND") == "nobind"


@pytest.mark.parametrize(
    ("variant", "field", "cure"),
    [
        ({"source": {}}, "source", "name one place"),
        ({"source": {"huggingFace": {"repo": "a/b", "file": "c.gguf"}}}, "source.huggingFace.file", "leave it out"),
        ({"quantization": "gguf"}, "quantization", ", ".join(QUANTIZATIONS)),
        ({"resources": {"limits": {"gpu.intel.com/xe": 1}}}, "engine.image", "is missing"),
        ({"engine": {**VLLM, "args": ["--served-model-name", "mine"]}}, "engine.args", "leave it out"),
        ({"engine": {**VLLM, "args": ["--served_model_name=mine"]}}, "engine.args", "leave it out"),
        ({"engine": {**VLLM, "args": ["--max-num-seqs", "0"]}}, "engine.args", "needs a number"),
        ({"podTemplate": {"spec": "text"}}, "podTemplate.spec.containers", "use a list"),
    ],
)
def test_a_problem_names_the_field_and_the_cure(
    specify: Specify, variant: dict[str, Any], field: str, cure: str
) -> None:
    spec = specify(**{**SERVER, **variant})
    (problem,) = Vllm().problems(spec, spec.variants[0])
    assert problem.field == f"spec.variants[q8].{field}"
    assert cure in problem.message
