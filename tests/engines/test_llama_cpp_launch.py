from collections.abc import Callable
from typing import Any

import pytest

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.engines.engine import Launch
from tokenpace.engines.llama_cpp import QUANTIZATIONS, LlamaCpp

Start = Callable[..., Launch]
Specify = Callable[..., LLMDeploymentSpec]

HUB = {"repo": "org/model-GGUF"}


def container_of(launch: Launch) -> dict[str, Any]:
    (container,) = LlamaCpp().pod_template(launch)["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def flag(launch: Launch, name: str) -> str:
    """Return the value that llama-server takes: the last one given."""
    args = container_of(launch)["args"]
    return str(args[len(args) - 1 - args[::-1].index(name) + 1])


def variable(launch: Launch, name: str) -> dict[str, Any]:
    (found,) = (one for one in container_of(launch)["env"] if one["name"] == name)
    assert isinstance(found, dict)
    return found


def test_clients_see_the_served_name_and_not_the_file(start: Start) -> None:
    assert flag(start(model={"servedName": "llama"}), "--alias") == "llama"


def test_the_image_keeps_its_own_entrypoint(start: Start) -> None:
    assert "command" not in container_of(start())


def test_the_users_image_wins_over_the_tested_one(start: Start) -> None:
    assert container_of(start(engine={"type": "LlamaCpp", "image": "mine:1"}))["image"] == "mine:1"


def test_every_stream_has_the_whole_context_although_the_server_divides_it(start: Start) -> None:
    launch = start(expected={"atStreams": 6}, model={"contextTokens": 1000})
    assert (flag(launch, "--parallel"), flag(launch, "--ctx-size")) == ("6", "6000")


def test_the_context_follows_the_users_own_number_of_slots(start: Start) -> None:
    engine = {"type": "LlamaCpp", "args": ["-np", "16"]}
    launch = start(expected={"atStreams": 6}, model={"contextTokens": 1000}, engine=engine)
    assert (flag(launch, "-np"), flag(launch, "--ctx-size")) == ("16", "16000")


def test_the_users_arguments_come_last_and_win(start: Start) -> None:
    assert flag(start(engine={"type": "LlamaCpp", "args": ["--ctx-size", "512"]}), "--ctx-size") == "512"


def test_the_users_environment_wins_and_every_variable_is_there_once(start: Start) -> None:
    launch = start(engine={"type": "LlamaCpp", "env": [{"name": "HOME", "value": "/mine"}]})
    assert variable(launch, "HOME") == {"name": "HOME", "value": "/mine"}


def test_a_thread_for_every_cpu_of_the_pod_and_not_of_the_node(start: Start) -> None:
    launch = start(resources={"limits": {"cpu": "300m"}})
    assert flag(launch, "--threads") == "$(CPU_LIMIT)"
    assert variable(launch, "CPU_LIMIT")["valueFrom"] == {"resourceFieldRef": {"resource": "limits.cpu"}}


def test_threads_are_left_to_the_server_where_no_limit_is_set(start: Start) -> None:
    assert "--threads" not in container_of(start())["args"]


def test_requests_may_be_less_than_the_limits(start: Start) -> None:
    resources = container_of(start(resources={"limits": {"cpu": 2, "memory": "1Gi"}, "requests": {"cpu": 1}}))[
        "resources"
    ]
    assert resources["requests"] == {"cpu": "1", "memory": "1Gi"}


def test_weights_in_the_engines_own_image_need_no_volume(start: Start) -> None:
    launch = start(source={"image": {"path": "/weights/", "file": "a.gguf"}})
    assert flag(launch, "--model") == "/weights/a.gguf"
    assert [volume["name"] for volume in LlamaCpp().pod_template(launch)["spec"]["volumes"]] == ["scratch"]


def test_weights_in_another_image_are_copied_before_the_engine_starts(start: Start) -> None:
    launch = start(
        source={"image": {"reference": "weights:1", "path": "/w", "file": "a.gguf"}}, resources={"limits": {"cpu": 1}}
    )
    (copy,) = LlamaCpp().pod_template(launch)["spec"]["initContainers"]
    assert (copy["image"], copy["command"]) == ("weights:1", ["cp", "-RL", "/w/.", "/copied-weights"])
    assert copy["volumeMounts"] == [{"name": "models", "mountPath": "/copied-weights"}]
    assert copy["resources"]["limits"] == {"cpu": "1"}
    assert flag(launch, "--model") == "/models/a.gguf"


def test_weights_on_a_volume_are_mounted_read_only(start: Start) -> None:
    launch = start(source={"volume": {"claimName": "shelf", "path": "/llama/8b", "file": "a.gguf"}})
    spec = LlamaCpp().pod_template(launch)["spec"]
    assert flag(launch, "--model") == "/models/llama/8b/a.gguf"
    assert {"name": "models", "persistentVolumeClaim": {"claimName": "shelf", "readOnly": True}} in spec["volumes"]
    assert {"name": "models", "mountPath": "/models", "readOnly": True} in spec["containers"][0]["volumeMounts"]


def test_a_file_of_the_hub_is_downloaded_by_name(start: Start) -> None:
    launch = start(source={"huggingFace": {**HUB, "file": "a.gguf"}}, quantization="q8_0")
    assert (flag(launch, "--hf-repo"), flag(launch, "--hf-file")) == ("org/model-GGUF", "a.gguf")


def test_without_a_file_the_quantization_chooses_one(start: Start) -> None:
    assert flag(start(source={"huggingFace": HUB}, quantization="q8_0"), "--hf-repo") == "org/model-GGUF:q8_0"


def test_a_revision_is_downloaded_by_its_address_to_a_path_of_its_own(start: Start) -> None:
    launch = start(source={"huggingFace": {**HUB, "file": "a.gguf", "revision": "0e9e39f"}})
    assert flag(launch, "--model-url") == "https://huggingface.co/org/model-GGUF/resolve/0e9e39f/a.gguf"
    assert flag(launch, "--model") == "/models/org/model-GGUF/0e9e39f/a.gguf"


@pytest.mark.parametrize(
    ("cache", "volume"),
    [
        (None, {"emptyDir": {}}),
        ({"persistentVolumeClaimName": "cache"}, {"persistentVolumeClaim": {"claimName": "cache"}}),
    ],
)
def test_downloads_go_to_the_cache_if_there_is_one(start: Start, cache: Any, volume: dict[str, Any]) -> None:
    launch = start(source={"huggingFace": {**HUB, "file": "a.gguf"}}, model={"cache": cache})
    assert {"name": "models", **volume} in LlamaCpp().pod_template(launch)["spec"]["volumes"]
    assert variable(launch, "LLAMA_CACHE")["value"] == "/models"


def test_the_users_pod_template_is_merged_over_the_rendered_one(start: Start) -> None:
    patch = {"spec": {"nodeSelector": {"disk": "ssd"}, "containers": [{"name": "engine", "livenessProbe": None}]}}
    spec = LlamaCpp().pod_template(start(podTemplate=patch))["spec"]
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert "livenessProbe" not in spec["containers"][0]
    assert "readinessProbe" in spec["containers"][0]


@pytest.mark.parametrize(
    ("variant", "field", "cure"),
    [
        ({"source": {}}, "source", "name one place"),
        ({"source": {"huggingFace": {"repo": "gpt2", "file": "a.gguf"}}}, "source.huggingFace.repo", "owner/name"),
        ({"source": {"huggingFace": HUB}}, "source.huggingFace.file", "set the variant's `quantization`"),
        (
            {"source": {"huggingFace": {**HUB, "revision": "main"}}, "quantization": "q8_0"},
            "source.huggingFace.file",
            "file that is named",
        ),
        ({"source": {"huggingFace": {**HUB, "file": "a.safetensors"}}}, "source.huggingFace.file", "no GGUF file"),
        ({"source": {"volume": {"claimName": "a", "path": "/"}}}, "source.volume.file", "name it"),
        ({"source": {"image": {"path": "/w"}}}, "source.image.file", "name it"),
        ({"quantization": "awq"}, "quantization", ", ".join(QUANTIZATIONS)),
        ({"engine": {"type": "LlamaCpp", "args": ["--port", "1"]}}, "engine.args", "leave it out"),
        ({"engine": {"type": "LlamaCpp", "args": ["--parallel", "-1"]}}, "engine.args", "needs a number"),
        (
            {"podTemplate": {"spec": {"containers": [{"image": "a"}]}}},
            "podTemplate.spec.containers[0]",
            "has no `name`",
        ),
        ({"podTemplate": {"spec": {"containers": None}}}, "podTemplate.spec.containers", "use a list"),
        ({"podTemplate": {"spec": "text"}}, "podTemplate.spec.containers", "use a list"),
        ({"podTemplate": {"metadata": []}}, "podTemplate.metadata", "`key: value`"),
        ({"podTemplate": {"metadata": {"labels": "x"}}}, "podTemplate.metadata.labels", "`key: value`"),
        ({"podTemplate": {"metadata": {"annotations": ["a"]}}}, "podTemplate.metadata.annotations", "`key: value`"),
    ],
)
def test_a_problem_names_the_field_and_the_cure(
    specify: Specify, variant: dict[str, Any], field: str, cure: str
) -> None:
    spec = specify(**variant)
    (problem,) = LlamaCpp().problems(spec, spec.variants[0])
    assert problem.field == f"spec.variants[q8].{field}"
    assert cure in problem.message


def test_a_missing_source_is_a_problem_of_the_model(specify: Specify) -> None:
    spec = specify(model={"source": None})
    (problem,) = LlamaCpp().problems(spec, spec.variants[0])
    assert problem.field == "spec.model.source"


def test_the_precision_may_be_written_in_capitals_as_in_file_names(specify: Specify) -> None:
    spec = specify(quantization="Q4_K_M")
    assert LlamaCpp().problems(spec, spec.variants[0]) == ()


@pytest.mark.parametrize(
    ("fields", "slots"),
    [
        pytest.param({}, 4, id="nothing is said"),
        pytest.param({"expected": {"atStreams": 6}}, 6, id="the expected speed was seen at 6"),
        pytest.param({"engine": {"type": "LlamaCpp", "args": ["-np", "16"]}}, 16, id="the user says 16"),
    ],
)
def test_the_batch_limit_is_read_from_what_pods_are_launched_with(
    start: Start, fields: dict[str, Any], slots: int
) -> None:
    assert LlamaCpp().batch_limit(LlamaCpp().pod_template(start(**fields))) == slots
