from collections.abc import Callable
from typing import Any, Final

import pytest

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.engines.engine import Launch
from tokenpace.engines.tgi import TextGenerationInference
from tokenpace.engines.tgi_description import IMAGES, QUANTIZATIONS

Specify = Callable[..., LLMDeploymentSpec]
Start = Callable[..., Launch]
Render = Callable[..., Any]

TGI: Final = {"type": "TGI"}
REPOSITORY: Final = {"huggingFace": {"repo": "org/model-awq", "revision": "0e9e39f"}}
CUDA: Final = {"limits": {"nvidia.com/gpu": 1, "cpu": 8, "rdma/ib": 1}}
ROUTER: Final = {"engine": TGI, "source": REPOSITORY, "resources": CUDA}
OWN_IMAGE: Final = {"type": "TGI", "image": "registry.example/tgi-llamacpp:3.3.7"}
GGUF: Final = {
    "engine": OWN_IMAGE,
    "model": {"source": {"huggingFace": {"repo": "org/model", "revision": "abc"}}},
    "source": {"volume": {"claimName": "shelf", "path": "/8b", "file": "model-q4_k_m.gguf"}},
    "resources": {"limits": {"cpu": "3500m"}},
}


def image(start: Start, resources: dict[str, Any]) -> str:
    return start(engine=TGI, source=REPOSITORY, resources=resources).image


@pytest.mark.parametrize(
    ("limits", "ending"),
    [
        ({"nvidia.com/gpu": 1}, IMAGES["NVIDIA"]),
        ({"nvidia.com/mig-1g.10gb": 1, "rdma/ib": 1}, IMAGES["NVIDIA"]),
        ({"amd.com/gpu": 1}, "-rocm"),
        ({"cpu": 8}, "-intel-cpu"),
        ({}, "-intel-cpu"),
    ],
)
def test_the_image_is_that_for_the_hardware(start: Start, limits: dict[str, int], ending: str) -> None:
    assert image(start, {"limits": limits}).endswith(ending)


def test_the_model_is_a_revision_of_a_repository_kept_in_the_cache(render: Render) -> None:
    pod = render(**ROUTER, model={"cache": {"persistentVolumeClaimName": "models"}})
    assert (pod.flag("--model-id"), pod.flag("--revision")) == ("org/model-awq", "0e9e39f")
    assert pod.variable("HUGGINGFACE_HUB_CACHE") == "/models"
    assert {"name": "models", "persistentVolumeClaim": {"claimName": "models"}} in pod.pod["volumes"]


@pytest.mark.parametrize(
    ("source", "directory"),
    [
        ({"volume": {"claimName": "shelf", "path": "/llama/8b-awq"}}, "/models/llama/8b-awq"),
        ({"image": {"reference": "weights:1", "path": "/w"}}, "/models"),
        ({"image": {"path": "/opt/weights/"}}, "/opt/weights"),
    ],
)
def test_the_model_is_a_directory_wherever_it_comes_from(
    render: Render, source: dict[str, Any], directory: str
) -> None:
    pod = render(engine=TGI, source=source)
    assert (pod.flag("--model-id"), pod.flag("--revision")) == (directory, None)
    assert pod.variable("HUGGINGFACE_HUB_CACHE") is None


@pytest.mark.parametrize("quantization", QUANTIZATIONS[1:])
def test_every_method_is_passed_on(render: Render, quantization: str) -> None:
    assert render(**ROUTER, quantization=quantization).flag("--quantize") == quantization


@pytest.mark.parametrize("quantization", [None, "none"])
def test_weights_as_they_are_need_no_method(render: Render, quantization: str | None) -> None:
    assert render(**ROUTER, quantization=quantization).flag("--quantize") is None


def test_every_variant_serves_the_same_context(render: Render) -> None:
    pod = render(**ROUTER, model={"contextTokens": 8192})
    assert (pod.variable("MAX_TOTAL_TOKENS"), pod.variable("MAX_INPUT_TOKENS")) == ("8192", "8191")


def test_the_batch_is_what_the_expected_speed_was_seen_at_and_more_requests_may_wait(render: Render) -> None:
    pod = render(**ROUTER, expected={"atStreams": 48})
    assert (pod.flag("--max-batch-size"), pod.variable("MAX_CONCURRENT_REQUESTS")) == ("48", "240")


def test_nothing_limits_the_batch_where_nothing_is_known(render: Render) -> None:
    pod = render(**ROUTER)
    assert (pod.flag("--max-batch-size"), pod.variable("MAX_CONCURRENT_REQUESTS")) == (None, None)


@pytest.mark.parametrize("args", [["--max-batch-size", "64"], ["--max-batch-size=64"]])
def test_a_flag_is_given_once_because_tgi_refuses_a_second(start: Start, args: list[str]) -> None:
    engine = TextGenerationInference()
    fields = {**ROUTER, "engine": {**TGI, "args": args}}
    template = engine.pod_template(start(**fields, expected={"atStreams": 48}))
    (container,) = template["spec"]["containers"]
    assert sum("--max-batch-size" in one for one in container["args"]) == 1
    assert engine.batch_limit(template) == 64


def test_a_setting_of_the_users_wins_by_argument_and_by_variable(render: Render) -> None:
    engine = {**TGI, "args": ["--max-input-tokens", "512"], "env": [{"name": "MAX_TOTAL_TOKENS", "value": "1024"}]}
    pod = render(**{**ROUTER, "engine": engine})
    assert (pod.flag("--max-input-tokens"), pod.variable("MAX_TOTAL_TOKENS")) == ("512", "1024")


def test_on_cpus_there_are_no_cuda_graphs_and_as_many_threads_as_the_pod_has_cores(render: Render) -> None:
    pod = render(engine=TGI, source=REPOSITORY, resources={"limits": {"cpu": 16}})
    assert pod.variable("CUDA_GRAPHS") == "0"
    assert pod.variable("OMP_NUM_THREADS") == {"resourceFieldRef": {"resource": "limits.cpu"}}
    assert render(**ROUTER).variable("CUDA_GRAPHS") is None


@pytest.mark.parametrize(("args", "shards"), [([], "2"), (["--num-shard=1"], None), (["--sharded", "false"], None)])
@pytest.mark.parametrize("device", ["nvidia.com/gpu", "amd.com/gpu"])
def test_a_model_is_spread_over_all_gpus_unless_the_user_spreads_it(
    render: Render, device: str, args: list[str], shards: str | None
) -> None:
    """Left to itself, the launcher counts NVIDIA's variables: on AMD's GPUs that is one shard, whatever the pod has."""
    pod = render(engine={**TGI, "args": args}, source=REPOSITORY, resources={"limits": {device: 2}})
    assert pod.variable("NUM_SHARD") == shards


def test_the_shards_have_shared_memory(render: Render) -> None:
    pod = render(**ROUTER)
    assert {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}} in pod.pod["volumes"]
    assert {"name": "shared-memory", "mountPath": "/dev/shm"} in pod.engine["volumeMounts"]  # noqa: S108


def test_the_router_finishes_its_streams_itself_once_no_new_ones_come(render: Render) -> None:
    pod = render(**ROUTER)
    assert pod.engine["lifecycle"]["preStop"]["exec"]["command"][-1].strip() == "sleep 10"
    assert pod.pod["terminationGracePeriodSeconds"] == 100


def test_the_images_own_cache_directory_is_not_written_into(render: Render) -> None:
    """CUDA images have HF_HOME=/data, which is part of the root filesystem."""
    pod = render(**ROUTER)
    assert pod.variable("HF_HOME") == f"{pod.variable('HOME')}/huggingface"


def test_a_gguf_file_is_loaded_by_the_llama_cpp_backend_with_the_models_tokenizer(render: Render) -> None:
    pod = render(**GGUF)
    assert pod.flag("--model-gguf") == "/models/8b/model-q4_k_m.gguf"
    assert (pod.flag("--model-id"), pod.flag("--revision")) == ("org/model", "abc")
    assert pod.flag("--max-batch-size") == "4"
    assert pod.variable("N_THREADS") == {"resourceFieldRef": {"resource": "limits.cpu"}}
    assert pod.variable("N_GPU_LAYERS") is None


def test_the_llama_cpp_backend_takes_the_hubs_token_of_the_model(render: Render) -> None:
    gated = {"huggingFace": {"repo": "org/model", "tokenSecretKeyRef": {"name": "hub", "key": "token"}}}
    pod = render(**{**GGUF, "model": {"source": gated}})
    assert pod.variable("HF_TOKEN") == {"secretKeyRef": {"name": "hub", "key": "token"}}


def test_the_llama_cpp_backend_runs_as_nobody_and_uses_the_gpus_it_has(render: Render) -> None:
    pod = render(**{**GGUF, "resources": CUDA})
    assert pod.pod["securityContext"]["runAsNonRoot"] is True
    assert pod.variable("N_GPU_LAYERS") == "999"


@pytest.mark.parametrize(
    ("variant", "field", "cure"),
    [
        ({"source": {}}, "source", "name one place"),
        ({"quantization": "int4"}, "quantization", ", ".join(QUANTIZATIONS)),
        ({"quantization": "awq", "resources": {"limits": {"amd.com/gpu": 1}}}, "quantization", "use `gptq`"),
        ({"resources": {"limits": {"habana.ai/gaudi": 1}}}, "engine.image", "is missing"),
        ({"resources": {"limits": {"amd.com/gpu": 1, "nvidia.com/gpu": 1}}}, "engine.image", "is missing"),
        ({"engine": {**TGI, "args": ["--port=80"]}}, "engine.args", "leave it out"),
        ({"engine": {**TGI, "args": ["--quantize", "awq"]}}, "engine.args", "leave it out"),
        ({"engine": {**TGI, "args": ["--max-batch-size", "many"]}}, "engine.args", "needs a number"),
        ({"engine": {**TGI, "args": ["--dtype", "float16"]}, "quantization": "fp8"}, "engine.args", "leave one out"),
        ({"engine": {**OWN_IMAGE}}, "source.huggingFace", "downloads no GGUF file"),
        ({**GGUF, "engine": TGI}, "engine.image", "Dockerfile_llamacpp"),
        ({**GGUF, "quantization": "awq"}, "quantization", "q4_k_m"),
        (
            {**GGUF, "source": {"volume": {"claimName": "shelf", "path": "/8b"}}},
            "source.volume.file",
            "must name the GGUF file",
        ),
        ({"podTemplate": {"spec": "text"}}, "podTemplate.spec.containers", "use a list"),
    ],
)
def test_a_problem_names_the_field_and_the_cure(
    specify: Specify, variant: dict[str, Any], field: str, cure: str
) -> None:
    tokenizer = {"source": {"huggingFace": {"repo": "org/model"}}}
    spec = specify(**{**ROUTER, "model": tokenizer, **variant})
    (problem,) = TextGenerationInference().problems(spec, spec.variants[0])
    assert problem.field == f"spec.variants[q8].{field}"
    assert cure in problem.message


def test_without_the_models_repository_the_llama_cpp_backend_has_no_tokenizer(specify: Specify) -> None:
    spec = specify(**{**GGUF, "model": {}})
    (problem,) = TextGenerationInference().problems(spec, spec.variants[0])
    assert problem.field == "spec.model.source.huggingFace"


def test_hardware_without_a_default_image_runs_the_users(specify: Specify) -> None:
    engine = {**TGI, "image": "ghcr.io/huggingface/text-generation-inference:3.3.7-gaudi"}
    spec = specify(engine=engine, source=REPOSITORY, resources={"limits": {"habana.ai/gaudi": 1}})
    assert TextGenerationInference().problems(spec, spec.variants[0]) == ()
