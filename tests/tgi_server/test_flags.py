from pathlib import Path

import pytest
from e2e.tgi.flags import BITS, parse_flags, weights

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import EngineType
from tokenpace.engines.engine import Launch
from tokenpace.engines.registry import ADAPTERS

MODEL = ("--model-id", "/models")
EVERYWHERE = "0.0.0.0"  # noqa: S104 - where a pod listens


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for kind in ("q4_0", "q8_0"):
        (tmp_path / f"{kind}.gguf").touch()
    return tmp_path


@pytest.mark.parametrize("method", BITS)
def test_a_method_runs_the_file_with_its_bits(models: Path, method: str) -> None:
    eight_bits = method in ("bitsandbytes", "eetq", "fp8")
    assert weights(str(models), method).name == ("q8_0.gguf" if eight_bits else "q4_0.gguf")


def test_a_file_is_run_whatever_its_name(models: Path) -> None:
    assert weights(str(models / "q4_0.gguf"), "eetq").name == "q4_0.gguf"


def test_without_a_method_the_only_file_is_run(models: Path) -> None:
    (models / "q8_0.gguf").unlink()
    assert weights(str(models), None).name == "q4_0.gguf"


@pytest.mark.parametrize("method", [None, "exl2"])
def test_of_several_files_one_must_be_chosen(models: Path, method: str | None) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is q4_0.gguf, q8_0.gguf; wanted is a single one"):
        weights(str(models), method)


def test_a_missing_file_is_named(models: Path) -> None:
    (models / "q8_0.gguf").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is q4_0.gguf; wanted is q8_0.gguf, which stands in for eetq"):
        weights(str(models), "eetq")


def test_flags_of_tgi_that_mean_nothing_here_are_taken() -> None:
    parse_flags([*MODEL, "--num-shard", "1", "--cuda-graphs=0", "--trust-remote-code", "--json-output"], {})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required: --model-id"),
        ([*MODEL, "--parallel", "4"], "unrecognized arguments: --parallel 4"),
        ([*MODEL, "--quantize", "q4_0"], "invalid choice: 'q4_0'"),
        ([*MODEL, "--quantize", "awq", "--dtype", "float16"], "`--dtype` cannot be combined with `--quantize`"),
        ([*MODEL, "--port", "80", "--port=81"], "the argument '--port' cannot be used multiple times"),
        ([*MODEL, "--max-batch-size", "0"], "0 is not a number from 1 up"),
        ([*MODEL, "--max-input-tokens", "9", "--max-total-tokens", "9"], "must be less than `--max-total-tokens`"),
    ],
)
def test_what_tgi_refuses_is_refused(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_flags(arguments, {})
    assert words in capsys.readouterr().err


def test_a_flag_is_a_variable_too_and_outweighs_it() -> None:
    environment = {"MODEL_ID": "/models", "PORT": "80", "MAX_TOTAL_TOKENS": "256", "QUANTIZE": "awq"}
    flags = parse_flags(["--port", "8080"], environment)
    assert (flags.model_id, flags.port, flags.max_total_tokens, flags.quantize) == ("/models", 8080, 256, "awq")


@pytest.mark.parametrize(
    ("given", "address"), [("127.0.0.1", "127.0.0.1"), ("chat-7d4b9-x2x", EVERYWHERE), ("::", "::")]
)
def test_the_name_of_a_pod_in_hostname_is_no_address(given: str, address: str) -> None:
    assert parse_flags(MODEL, {"HOSTNAME": given}).hostname == address


def test_a_pod_that_tokenpace_renders_for_tgi_starts_it() -> None:
    spec = LLMDeploymentSpec.model_validate(
        {
            "model": {"servedName": "chat", "contextTokens": 256, "source": {"image": {"path": "/models"}}},
            "slo": {"generationTokensPerSecond": 60},
            "variants": [
                {
                    "name": "eight-bits",
                    "engine": {"type": "TGI", "image": "localhost/tokenpace/tgi-over-llama-cpp:test"},
                    "quantization": "eetq",
                    "expected": {"atStreams": 6},
                    "resources": {"limits": {"cpu": "0.2", "memory": "512Mi"}},
                }
            ],
        }
    )
    (variant,) = spec.variants
    assert spec.model.source is not None
    launch = Launch(spec=spec, variant=variant, source=spec.model.source, image=variant.engine.image)
    (container,) = ADAPTERS[EngineType.TGI].pod_template(launch)["spec"]["containers"]
    environment = {one["name"]: one["value"] for one in container["env"] if "value" in one}
    flags = parse_flags(container["args"], environment)
    assert (flags.model_id, flags.quantize, flags.port) == ("/models", "eetq", 8080)
    assert (flags.max_total_tokens, flags.max_input_tokens, flags.max_batch_size) == (256, 255, 6)
