from pathlib import Path

import pytest
import yaml

from tokenpace.api.variant import EngineType
from tokenpace.bench.errors import BenchError
from tokenpace.bench.job import MOST_TRACE_BYTES, job
from tokenpace.bench.options import SELF, Options, arguments, command, of_variant

ROOT = Path(__file__).resolve().parents[2]
LADDER = (ROOT / "examples" / "cuda-vllm-ladder.yaml").read_text(encoding="utf-8")
HERE = Options(url="http://127.0.0.1:8000")


def test_the_command_says_only_what_differs_from_the_defaults() -> None:
    options = Options(url="http://chat", rate=(1.0, 2.5), quality=True, hardware="AMD EPYC, 2 cores")
    assert command(options) == (
        "tokenpace bench --url=http://chat --rate=1 --rate=2.5 --quality '--hardware=AMD EPYC, 2 cores'"
    )


def test_a_variant_of_a_manifest_says_what_is_measured_and_what_it_costs() -> None:
    found = of_variant(LADDER, "awq")
    assert (found["url"], found["engine"]) == ("http://chat", EngineType.VLLM)
    assert found["quantization"] == "awq_marlin"
    assert found["accelerators"] == 1


@pytest.mark.parametrize("name", ["bf16", "awq"])
def test_all_rungs_of_a_ladder_are_of_one_model_wherever_their_weights_are(name: str) -> None:
    assert of_variant(LADDER, name)["model_name"] == "Qwen/Qwen2.5-7B-Instruct"


def test_a_model_without_a_repository_is_called_as_the_server_calls_it() -> None:
    manifest = yaml.safe_load(LADDER)
    manifest["spec"]["model"]["source"] = {"volume": {"claimName": "models", "path": "qwen"}}
    assert of_variant(yaml.safe_dump(manifest), "awq")["model_name"] is None


def test_a_variant_says_where_its_engine_answers() -> None:
    manifest = (ROOT / "examples" / "cpu-openvino.yaml").read_text(encoding="utf-8")
    name = yaml.safe_load(manifest)["spec"]["variants"][0]["name"]
    found = of_variant(manifest, name)
    assert (found["url"], found["engine"]) == ("http://chat/v3", EngineType.OPENVINO)


@pytest.mark.parametrize("name", [None, "int2"])
def test_one_variant_of_several_must_be_named(name: str | None) -> None:
    with pytest.raises(BenchError, match="--variant: must be one of"):
        of_variant(LADDER, name)


def test_a_job_runs_the_same_command_without_rights_or_retries() -> None:
    (made,) = job(HERE, image="tokenpace:test", variant="awq")
    pod = made["spec"]["template"]["spec"]
    assert made["metadata"]["name"] == "tokenpace-bench-awq"
    assert pod["containers"][0]["args"] == ["bench", *arguments(HERE), "--out=-"]
    assert made["spec"]["backoffLimit"] == 0
    assert pod["automountServiceAccountToken"] is False


def test_a_job_cannot_read_a_file_of_the_user() -> None:
    with pytest.raises(BenchError, match="--reference"):
        job(Options(url="http://chat", reference="f16.json"), image="tokenpace:test", variant=None)


def test_a_job_can_measure_its_own_reference() -> None:
    (made,) = job(Options(url="http://chat", reference=SELF), image="tokenpace:test", variant=None)
    assert "--reference=self" in made["spec"]["template"]["spec"]["containers"][0]["args"]


def test_a_job_finds_its_trace_where_the_config_map_is_mounted() -> None:
    asked = Options(url="http://chat", trace=Path("mine/busy.csv"))
    held, made = job(asked, image="tokenpace:test", variant="q4_0", trace="timestamp,prompt,generated")
    pod = made["spec"]["template"]["spec"]
    assert held["data"] == {"busy.csv": "timestamp,prompt,generated"}
    assert held["metadata"]["name"] == pod["volumes"][0]["configMap"]["name"] == "tokenpace-bench-q4-0"
    assert f"--trace={pod['containers'][0]['volumeMounts'][0]['mountPath']}/busy.csv" in pod["containers"][0]["args"]


def test_a_trace_that_no_config_map_holds_is_refused() -> None:
    asked = Options(url="http://chat", trace=Path("busy.csv"))
    with pytest.raises(BenchError, match="1 MiB"):
        job(asked, image="tokenpace:test", variant=None, trace="é" * (MOST_TRACE_BYTES // 2 + 1))


def test_the_key_of_a_job_comes_from_a_secret_and_stands_in_no_manifest() -> None:
    (made,) = job(Options(url="http://chat"), image="tokenpace:test", variant=None, key_from="chat-key")
    (variable,) = made["spec"]["template"]["spec"]["containers"][0]["env"]
    assert variable["valueFrom"] == {"secretKeyRef": {"name": "chat-key", "key": "TOKENPACE_BENCH_API_KEY"}}
