"""Measure five quantizations of the test cluster's model, each by itself in a pod: `python -u -m e2e.bench --out DIR`.

Speed, quality beside f16, and a speed card of each. Right after it one replica is planned from the card, before
anything is known of it but what the card says, and then driven: the machine is still the one that the card was of.
"""

import argparse
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from e2e import planned
from e2e.images import built_image
from e2e.installation import laboratory
from e2e.kubectl import ROOT, TOOLS, Kubectl, Manifest
from e2e.waiting import until
from tokenpace.bench.card import card, card_name
from tokenpace.bench.command import against, read
from tokenpace.bench.job import job, job_name
from tokenpace.bench.options import SELF, Options
from tokenpace.bench.result import Result
from tokenpace.bench.show import show

KINDS = ("f16", "q8_0", "q4_k_m", "q4_0", "q2_k")
"""The first is what the others are compared with."""
SLOTS = 4
MEMORY = "640Mi"
"""f16 is resident with 376 MB (e2e/model/README.md)."""
BENCH_SECONDS = 600
"""Longest wait for a benchmark. By its rates and points it takes two to three minutes at half a CPU."""


@contextmanager
def server(kubectl: Kubectl, kind: str, cpu: str) -> Iterator[None]:
    """Serve one quantization as `chat` for as long as the context lasts."""
    labels = {"app.kubernetes.io/name": "chat"}
    pod: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "chat", "labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": "engine",
                    "image": "localhost/tokenpace/llama-cpp-smollm2:test",
                    "args": [
                        f"--model=/models/{kind}.gguf",
                        "--alias=chat",
                        "--host=0.0.0.0",
                        "--port=8080",
                        f"--parallel={SLOTS}",
                        f"--ctx-size={SLOTS * 1024}",
                        "--threads=1",
                        "--cache-ram=0",
                        "--metrics",
                    ],
                    "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1},
                    "resources": {
                        "requests": {"cpu": "100m", "memory": MEMORY},
                        "limits": {"cpu": cpu, "memory": MEMORY},
                    },
                }
            ],
        },
    }
    service: Manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "chat"},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    kubectl.apply(pod, service)
    try:
        kubectl("wait", "pod/chat", "--for=condition=Ready", "--timeout=120s")
        yield
    finally:
        kubectl("delete", "pod/chat", "--ignore-not-found")


def measured(kubectl: Kubectl, options: Options, kind: str, out: Path) -> Result:
    """Run the benchmark as a Job and return what its log says.

    Raises:
        RuntimeError: it failed; the message is its log.
    """
    kubectl.apply(*(dict(one) for one in job(options, image=built_image("operator"), variant=kind)))
    name = job_name(kind)
    try:
        ended = until(lambda: _ended(kubectl, name), bool, what=f"{kind} is measured", seconds=BENCH_SECONDS)
        log = kubectl("logs", f"job/{name}")
    finally:
        kubectl("delete", f"job/{name}", "--ignore-not-found")
    written = out / f"{kind}.log"
    written.write_text(log, encoding="utf-8")
    if ended != "Complete":
        raise RuntimeError(log)
    return read(written)


def _ended(kubectl: Kubectl, name: str) -> str | None:
    """Return the condition that ended the Job, None while it runs."""
    conditions: Sequence[Mapping[str, Any]] = (kubectl.get("job", name) or {}).get("status", {}).get("conditions", [])
    ends = [one["type"] for one in conditions if one["type"] in ("Complete", "Failed") and one["status"] == "True"]
    return next(iter(ends), None)


def options_of(kind: str, cpu: str, hardware: str) -> Options:
    """Return what is asked of each quantization: short requests, and few, because there are five of them."""
    return Options(
        url="http://chat",
        model="chat",
        model_name="HuggingFaceTB/SmolLM2-135M-Instruct",
        prompt_tokens=32,
        generated_tokens=16,
        completions=25,
        bisections=1,
        quality=True,
        quantization=kind,
        image="localhost/tokenpace/llama-cpp-smollm2:test",
        engine_version=version_of_the_model_server(),
        hourly_cost=float(cpu.removesuffix("m")) / (1000 if cpu.endswith("m") else 1) * 0.04,
        hardware=hardware,
        cpu=cpu,
        memory=MEMORY,
    )


def version_of_the_model_server() -> str:
    """Return what the image holds. The server does not know: its wheel is built outside llama.cpp's repository."""
    lines = (ROOT / "hack" / "versions.env").read_text(encoding="utf-8").splitlines()
    (version,) = (line.partition("=")[2] for line in lines if line.startswith("XLLAMACPP_VERSION="))
    return f"xllamacpp {version}"


def this_cpu() -> str:
    """Return the name of the CPU that kind's node runs on, which is this machine's."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(names, platform.machine())}, {os.cpu_count()} cores shared with the cluster"


def table(results: Mapping[str, Result]) -> Table:
    """Return a line each."""
    shown = Table(
        "kind", "tokens/s", "without a queue", "a ms", "b ms", "c ms", "perplexity", "quality %", "agreement %"
    )
    for kind, one in results.items():
        fit, quality = one.fit, one.quality
        costs = (fit.step_seconds, fit.token_seconds, fit.prompt_token_seconds) if fit else ()
        scores = (quality.percent, quality.agreement_percent) if quality else ()
        shown.add_row(
            kind,
            f"{one.generation_tokens_per_second or 0:.1f}",
            f"{one.sustained_tokens_per_second or 0:.1f}",
            *(f"{1000 * cost.value:.2f} ± {1000 * cost.error:.2f}" for cost in costs),
            f"{quality.perplexity.perplexity:.2f}" if quality else "",
            *(f"{score.value:.1f} ± {score.error:.1f}" if score else "" for score in scores),
        )
    return shown


def main() -> None:
    """Measure each, compare with the first, write results and cards, and see what a card predicts."""
    parser = argparse.ArgumentParser(prog="python -m e2e.bench", description=__doc__)
    parser.add_argument("--out", type=Path, default=TOOLS / "e2e" / "bench")
    parser.add_argument("--cpu", default="500m", help="limit of the server's pod (default: %(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    flags = parser.parse_args()
    flags.out.mkdir(parents=True, exist_ok=True)
    console = Console(width=160)
    results: dict[str, Result] = {}
    checks: dict[str, planned.Checked] = {}
    with laboratory("bench") as (namespace, _):
        for kind in flags.kinds:
            with server(namespace, kind, flags.cpu):
                found = measured(namespace, options_of(kind, flags.cpu, this_cpu()), kind, flags.out)
            reference = next(iter(results.values()), found)
            named = f"{next(iter(results))}.json" if results else SELF
            results[kind] = against(found, reference, named)
            console.print(show(results[kind]))
            checks[kind] = planned.check(namespace, kept(results[kind], flags.out / kind))
            console.print(planned.table({kind: checks[kind]}))
    console.print(table(results))
    console.print(planned.table(checks))
    if wrong := [kind for kind, one in checks.items() if not one.is_as_predicted]:
        raise SystemExit(f"the capacity predicted is not what was served: {', '.join(wrong)}")


def kept(result: Result, name: Path) -> Manifest:
    """Write the result and its card, and return the card."""
    name.with_suffix(".json").write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
    made: Manifest = json.loads(json.dumps(card(result, card_name(result))))
    name.with_suffix(".yaml").write_text(yaml.safe_dump(made, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return made


if __name__ == "__main__":
    main()
