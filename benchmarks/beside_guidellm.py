"""`tokenpace bench` beside guidellm, by turns, against one server with OpenAI's API.

    uv venv /tmp/guidellm && uv pip install --python /tmp/guidellm/bin/python guidellm==0.8.1
    python -u -m benchmarks.beside_guidellm http://127.0.0.1:8000 /tmp/guidellm/bin/guidellm --rate 0.5

Run from the repository's root. Both send requests of the same lengths at the same even distances: with arrivals drawn
by each, the two would measure different traffic. By turns, beginning with the other each time, so that a machine that
gets slower is in both. The noise is what guidellm's own runs differ by.
"""

import argparse
import itertools
import json
import random
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from e2e.measured_range import is_within

from tokenpace.bench.prompts import prompt

PAIRS: Final = 5
COMPLETIONS: Final = 40
PROMPT_TOKENS: Final = 32
GENERATED_TOKENS: Final = 32
TOLERANCE: Final = 0.05

Measured = Mapping[str, float]
"""Figures of one run, by what they are of, with the unit in the name."""


def of_tokenpace(url: str, rate: float, folder: Path) -> Measured:
    """Run `tokenpace bench` at one rate."""
    trace, result = folder / "even.csv", folder / "tokenpace.json"
    rows = [f"{second},{PROMPT_TOKENS},{GENERATED_TOKENS}" for second in range(COMPLETIONS)]
    trace.write_text("\n".join(["timestamp,prompt,generated", *rows, ""]), encoding="utf-8")
    point_of = (f"--url={url}", f"--trace={trace}", f"--rate={rate}", f"--completions={COMPLETIONS}", "--lone=3")
    run("tokenpace", "bench", *point_of, f"--out={result}")
    (point,) = json.loads(result.read_text(encoding="utf-8"))["points"]
    if point["refused"]:
        raise SystemExit(f"tokenpace refused its own point: {point['refused']}")
    return {
        "first token, ms": 1000 * point["first_token_seconds"]["p50"],
        "a token, ms": 1000 * point["seconds_per_token"]["p50"],
        "a request, ms": 1000 * point["request_seconds"]["p50"],
        "a request, p95, ms": 1000 * point["request_seconds"]["p95"],
        "output, tokens/s": point["generation_tokens_per_second"],
    }


def of_guidellm(program: Path, url: str, rate: float, folder: Path) -> Measured:
    """Run guidellm at the same rate, with prompts of its own that no cache has seen."""
    randomness, prompts, result = random.Random(), folder / "prompts.jsonl", folder / "guidellm.json"
    lines = [
        json.dumps({"prompt": prompt(PROMPT_TOKENS, randomness), "output_tokens_count": GENERATED_TOKENS})
        for _ in range(COMPLETIONS)
    ]
    prompts.write_text("\n".join(lines), encoding="utf-8")
    model = json.loads(run("curl", "--silent", "--fail", f"{url}/v1/models"))["data"][0]["id"]
    asked = {
        "--backend": f"kind=openai_http,target={url},model={model},request_format=/v1/completions",
        "--profile": f"kind=constant,rate={rate}",
        "--constraint": f"kind=max_requests,count={COMPLETIONS}",
        "--data": f"kind=json_file,path={prompts}",
        "--output": f"kind=json,path={result}",
    }
    run(str(program), "run", *itertools.chain.from_iterable(asked.items()), "--disable-console")
    metrics = json.loads(result.read_text(encoding="utf-8"))["benchmarks"][0]["metrics"]
    return {
        "first token, ms": metrics["time_to_first_token_ms"]["successful"]["median"],
        "a token, ms": metrics["inter_token_latency_ms"]["successful"]["median"],
        "a request, ms": 1000 * metrics["request_latency"]["successful"]["median"],
        "a request, p95, ms": 1000 * metrics["request_latency"]["successful"]["percentiles"]["p95"],
        "output, tokens/s": metrics["output_tokens_per_second"]["successful"]["mean"],
    }


def run(*command: str) -> str:
    """Run a program and return what it printed; on failure, print what it said and end."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - named above, or by the person
    if done.returncode:
        raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def table(ours: Sequence[Measured], theirs: Sequence[Measured]) -> str:
    """Return medians over the runs side by side, with their difference and guidellm's own noise."""
    lines = ["| | tokenpace bench | guidellm | difference | guidellm's runs |", "|---|---|---|---|---|"]
    for name in ours[0]:
        mine, other = ([one[name] for one in runs] for runs in (ours, theirs))
        median = statistics.median(other)
        difference = statistics.median(mine) / median - 1
        lines.append(
            f"| {name} | {statistics.median(mine):.1f} | {median:.1f} | {difference:+.1%} "
            f"| {min(other) / median - 1:+.1%} to {max(other) / median - 1:+.1%} |"
        )
    return "\n".join(lines)


def differing(ours: Sequence[Measured], theirs: Sequence[Measured]) -> list[str]:
    """Return of what our median is further than the tolerance from all that guidellm's runs found."""
    return [
        name
        for name in ours[0]
        if not is_within(statistics.median(one[name] for one in ours), [one[name] for one in theirs], TOLERANCE)
    ]


def main() -> None:
    """Measure the pairs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("guidellm", type=Path, help="the program")
    parser.add_argument("--rate", type=float, required=True, help="requests/s; far below saturation")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    flags = parser.parse_args()
    ours: list[Measured] = []
    theirs: list[Measured] = []
    for pair in range(flags.pairs):
        turns: list[tuple[list[Measured], Callable[[Path], Measured]]] = [
            (ours, lambda folder: of_tokenpace(flags.url, flags.rate, folder)),
            (theirs, lambda folder: of_guidellm(flags.guidellm, flags.url, flags.rate, folder)),
        ]
        for runs, measure in turns[:: 1 if pair % 2 == 0 else -1]:
            with tempfile.TemporaryDirectory() as folder:
                runs.append(measure(Path(folder)))
        print(f"{pair + 1}: tokenpace {ours[-1]}; guidellm {theirs[-1]}", flush=True)
    print(table(ours, theirs))
    if wrong := differing(ours, theirs):
        raise SystemExit(f"beyond {TOLERANCE:.0%} and guidellm's own range: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
