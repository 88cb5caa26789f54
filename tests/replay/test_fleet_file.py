"""`--fleet F`: what users say of their fleet, and what they are told when it cannot be."""

import random
import statistics
from pathlib import Path
from typing import Any

import pytest
import yaml

from tokenpace.replay.fleet_file import UNLIMITED_STREAMS, FleetFileError, read_fleet
from tokenpace.replay.speeds import LLAMA2_70B_ON_4_H100, PRECISIONS, speeds
from tokenpace.replay.truth import Prefill, Spread

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "replay" / "llama2-70b-ladder.yaml"


def manifest(**changes: Any) -> dict[str, Any]:
    """Return an LLMDeployment of one variant, with fields of that variant changed."""
    variant = {
        "name": "bf16",
        "engine": {"type": "VLLM"},
        "expected": {
            "streamTokensPerSecond": 40,
            "generationTokensPerSecond": 640,
            "atStreams": 32,
            "prefillTokensPerSecond": 8000,
            "startupSeconds": 90,
        },
    }
    spec = {
        "model": {"servedName": "chat", "contextTokens": 4096, "source": {"volume": {"claimName": "m", "path": "m"}}},
        "slo": {"stream": {"tokensPerSecond": 25}},
        "variants": [variant | changes],
        "scaling": {"minReplicas": 2},
    }
    return {"apiVersion": "tokenpace.dev/v1alpha1", "kind": "LLMDeployment", "metadata": {"name": "chat"}, "spec": spec}


def written(folder: Path, content: Any) -> Path:
    path = folder / "fleet.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_of_a_manifest_alone_the_expected_speeds_are_the_truth_and_it_is_said(tmp_path: Path) -> None:
    fleet, faults = read_fleet(written(tmp_path, manifest()))
    true = fleet.variants["bf16"].speeds
    assert 1 / true.step_seconds[0] == pytest.approx(40)
    assert len(true.step_seconds) == 32
    assert 32 / true.step_seconds[31] == pytest.approx(640)
    assert true.prompt_seconds(8000) == pytest.approx(1.0)
    assert true.source == "`expected` of the manifest, taken for the truth: declared, not measured"
    assert (fleet.name, fleet.replicas, fleet.spread) == ("chat", {"bf16": 2}, Spread.RANDOM)
    assert faults.stock == {}


def test_what_expected_leaves_open_is_guessed_and_said(tmp_path: Path) -> None:
    fleet, _ = read_fleet(written(tmp_path, manifest(expected={"streamTokensPerSecond": 40})))
    true = fleet.variants["bf16"].speeds
    assert "guessed where it lacks generationTokensPerSecond and prefillTokensPerSecond" in true.source
    assert len(true.step_seconds) == UNLIMITED_STREAMS


def test_starts_take_as_long_as_expected_by_the_median(tmp_path: Path) -> None:
    fleet, _ = read_fleet(written(tmp_path, manifest()))
    chance = random.Random(1)
    drawn = [fleet.variants["bf16"].startup_seconds(chance) for _ in range(2000)]
    assert statistics.median(drawn) == pytest.approx(90, rel=0.03)


def test_the_batch_is_limited_as_the_engine_is_told(tmp_path: Path) -> None:
    engine = {"type": "VLLM", "args": ["--max-num-seqs", "48"]}
    fleet, _ = read_fleet(written(tmp_path, manifest(engine=engine)))
    assert len(fleet.variants["bf16"].speeds.step_seconds) == 48


def test_the_truth_may_differ_from_what_is_declared(tmp_path: Path) -> None:
    truth = {
        "variants": {
            "bf16": {
                "costs": {"stepSeconds": 0.03, "tokenSeconds": 0.001, "promptTokenSeconds": 0.0001},
                "batchLimit": 16,
                "kvTokens": 50000,
                "prefill": "Separate",
                "startup": {"medianSeconds": 300, "deviation": 0},
                "countsTokensLive": False,
            }
        },
        "spread": "Sticky",
        "connectionsPerClient": 2,
        "replicas": {"bf16": 3},
        "stock": {"bf16": 4},
        "scrapeSeconds": 30,
    }
    fleet, faults = read_fleet(written(tmp_path, {"deployment": manifest(), "truth": truth}))
    true = fleet.variants["bf16"]
    assert true.speeds.step_seconds == pytest.approx([0.03 + 0.001 * streams for streams in range(1, 17)])
    assert true.speeds.prompt_seconds(1) == pytest.approx(0.031)
    assert (true.speeds.kv_tokens, true.speeds.prefill) == (50000, Prefill.SEPARATE)
    assert true.startup_seconds(random.Random(1)) == 300
    assert not true.counts_tokens_live
    assert (fleet.spread, fleet.connections_per_client, fleet.scrape_seconds) == (Spread.STICKY, 2, 30)
    assert fleet.replicas == {"bf16": 3}
    assert faults.stock == {"bf16": ((0.0, float("inf"), 4),)}
    assert fleet.spec.variants[0].expected.stream_tokens_per_second == 40


def test_a_table_of_measured_speeds_lies_beside_the_fleet_file(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(
        "model,hardware,prompt_size,batch_size,prompt_time,token_time,tensor_parallel\n"
        "m,gpu,512,1,50,20,1\nm,gpu,512,4,200,26,1\n"
    )
    table = {"file": "mine.csv", "model": "m", "hardware": "gpu", "gpus": 1}
    content = {"deployment": manifest(), "truth": {"variants": {"bf16": {"table": table}}}}
    fleet, _ = read_fleet(written(tmp_path, content))
    assert fleet.variants["bf16"].speeds.step_seconds[:4] == pytest.approx([0.020, 0.022, 0.024, 0.026])


def test_a_table_without_a_file_is_that_of_llama_2_70b(tmp_path: Path) -> None:
    content = {"deployment": manifest(), "truth": {"variants": {"bf16": {"table": {"precision": "fp8"}}}}}
    fleet, _ = read_fleet(written(tmp_path, content))
    kept = speeds(LLAMA2_70B_ON_4_H100, PRECISIONS["fp8"], batch_limit=32)
    assert fleet.variants["bf16"].speeds.step_seconds == kept.step_seconds


def test_variants_that_the_operator_would_not_run_are_left_out(tmp_path: Path) -> None:
    content = manifest()
    content["spec"]["slo"]["minQuality"] = "97"
    content["spec"]["variants"].append({"name": "q3", "engine": {"type": "VLLM"}, "quality": "80"})
    fleet, _ = read_fleet(written(tmp_path, content))
    assert [variant.name for variant in fleet.spec.variants] == ["bf16"]
    assert set(fleet.variants) == {"bf16"}


def scheduled(start: str) -> dict[str, Any]:
    content = manifest()
    content["spec"]["scaling"]["schedules"] = [
        {"name": "noon", "start": start, "end": "0 13 * * *", "minReplicas": 2},
    ]
    return content


def with_truth(**truth: Any) -> dict[str, Any]:
    return {"deployment": manifest(), "truth": truth}


BOTH = {"table": {}, "costs": {"stepSeconds": 1, "tokenSeconds": 1, "promptTokenSeconds": 1}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("", "must be an LLMDeployment, or have `deployment`", id="empty"),
        pytest.param("a: [", "is not one YAML document", id="not YAML"),
        pytest.param("a: 1\n---\nb: 1\n", "is not one YAML document", id="two documents"),
        pytest.param({"kind": "Pod"}, "must be an LLMDeployment", id="another kind"),
        pytest.param({"deployment": {"kind": "Pod"}}, "deployment: must be an LLMDeployment", id="a pod deployed"),
        pytest.param(with_truth() | {"turth": {}}, "turth: is unknown", id="misspelt beside it"),
        pytest.param({"kind": "LLMDeployment"}, "spec: Field required", id="no spec"),
        pytest.param(manifest(expected={}), "declare `streamTokensPerSecond`, or state `costs`", id="no speed"),
        pytest.param(manifest(expected={"streamTokensPerSecond": "40"}), "streamTokensPerSecond: ", id="a string"),
        pytest.param(manifest(maxReplicas=0), "spec.variants: none has `maxReplicas` above 0", id="none in use"),
        pytest.param(
            manifest(engine={"type": "OpenVINO"}),
            "spec.variants[bf16].engine.type: metrics of OpenVINO are not replayed yet: replay it as one of VLLM",
            id="engine",
        ),
        pytest.param(scheduled("99 * * * *"), "spec.scaling.schedules[noon].start: `99 * * * *` is no cron", id="cron"),
        pytest.param(manifest(quantization="q8"), "spec.variants[bf16].quantization: ", id="quantization"),
        pytest.param(with_truth(scrapeSecs=1), "truth.scrapeSecs: is unknown: correct its spelling", id="misspelt"),
        pytest.param(with_truth(scrapeSeconds=0), "truth.scrapeSeconds: Input should be greater than 0", id="zero"),
        pytest.param(with_truth(spread="Even"), "truth.spread: Input should be 'Random', 'Sticky'", id="spread"),
        pytest.param(
            with_truth(variants={"awq": {}}), "truth.variants.awq: is no variant; there are bf16", id="variant"
        ),
        pytest.param(with_truth(replicas={"bf16": 0}), "truth.replicas: at least one must serve", id="no replicas"),
        pytest.param(with_truth(stock={"awq": 1}), "truth.stock.awq: is no variant", id="stock of no variant"),
        pytest.param(with_truth(replicas={"awq": 1}), "truth.replicas.awq: is no variant", id="replicas of no variant"),
        pytest.param(with_truth(variants={"bf16": BOTH}), "at most one of `table` and `costs`", id="two sources"),
        pytest.param(
            with_truth(variants={"bf16": {"costs": {"stepSeconds": 0.1}}}),
            "truth.variants.bf16.costs.tokenSeconds: Field required",
            id="a cost missing",
        ),
        pytest.param(
            with_truth(variants={"bf16": {"table": {"precision": "int3"}}}),
            "truth.variants.bf16.table.precision: Input should be 'bf16', 'fp8' or 'awq-int4'",
            id="precision",
        ),
    ],
)
def test_a_bad_fleet_is_refused_with_the_field_and_the_cure(tmp_path: Path, content: Any, words: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(FleetFileError) as refusal:
        read_fleet(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert words in str(refusal.value)


def test_weighted_balancing_has_to_be_replaced_by_what_comes_nearest(tmp_path: Path) -> None:
    content = manifest()
    content["spec"]["scaling"]["balancing"] = "Weighted"
    with pytest.raises(FleetFileError, match=r"truth\.spread"):
        read_fleet(written(tmp_path, content))
    fleet, _ = read_fleet(written(tmp_path, {"deployment": content, "truth": {"spread": "LeastRequest"}}))
    assert fleet.spread is Spread.LEAST_REQUEST


def test_the_example_is_a_ladder_of_three_that_gets_faster_downwards() -> None:
    fleet, faults = read_fleet(EXAMPLE)
    lone = [fleet.variants[variant.name].speeds.step_seconds[0] for variant in fleet.spec.ladder]
    assert lone == sorted(lone, reverse=True)
    assert faults.stock["bf16"] == ((0.0, float("inf"), 7),)


@pytest.mark.parametrize("example", ["cuda-vllm-ladder.yaml", "cuda-tgi-ladder.yaml"])
def test_the_manifests_for_gpus_can_be_replayed_as_they_are(example: str) -> None:
    fleet, _ = read_fleet(ROOT / "examples" / example)
    assert set(fleet.variants) == {variant.name for variant in fleet.spec.variants}
