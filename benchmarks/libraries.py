"""The library below OpenVINO Model Server beside llama.cpp: one GGUF file, one stream, as many threads.

    uv venv /tmp/openvino
    uv pip install --python /tmp/openvino/bin/python openvino-genai xllamacpp
    /tmp/openvino/bin/python benchmarks/libraries.py MODEL.gguf... --threads 1

It runs in an environment of its own, because neither library is one of the project's. Both generate the same number
of tokens from the same prompt, greedily and past the end of the text, by turns. Each has a process of its own, bound
to as many cores as it has threads. Seconds are also those of the CPU: on a machine with other work they repeat where
the clock's do not.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

TOKENS = 128
PROMPT = "1, 2, 3, 4, 5, 6, 7, 8, 9,"
Generate = Callable[[int], int]
"""Generate so many tokens, and return how many there were."""


def openvino(model: Path, threads: int) -> Generate:
    """Load the model into OpenVINO GenAI's pipeline."""
    import openvino_genai  # noqa: PLC0415 - each library is loaded into its own process alone

    pipeline = openvino_genai.LLMPipeline(str(model), "CPU", INFERENCE_NUM_THREADS=threads)

    def generate(tokens: int) -> int:
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens, config.ignore_eos, config.do_sample = tokens, True, False
        return int(pipeline.generate([PROMPT], config).perf_metrics.get_num_generated_tokens())

    return generate


def llama_cpp(model: Path, threads: int) -> Generate:
    """Load the model into llama.cpp's server, asked without HTTP."""
    import xllamacpp  # noqa: PLC0415

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model)
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.n_parallel, parameters.n_ctx = 1, 1024
    server = xllamacpp.Server(parameters)

    def generate(tokens: int) -> int:
        asked = {"prompt": PROMPT, "max_tokens": tokens, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
        answer = server.handle_completions(asked)
        usage = (json.loads(answer) if isinstance(answer, str) else answer)["usage"]
        return int(usage["completion_tokens"])

    return generate


LIBRARIES = {"llama.cpp": llama_cpp, "OpenVINO GenAI": openvino}


def serve(library: str, model: Path, threads: int, asks: Connection) -> None:
    """Generate whenever asked, and answer with tokens, seconds and seconds of the CPU; never returns by itself."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    generate = LIBRARIES[library](model, threads)
    asks.send(None)
    while tokens := asks.recv():
        clock, cpu = time.perf_counter(), time.process_time()
        generated = generate(tokens)
        asks.send((generated, time.perf_counter() - clock, time.process_time() - cpu))
    os._exit(0)  # llama.cpp's threads would keep the process


def measure(model: Path, threads: int, runs: int) -> dict[str, tuple[float, float]]:
    """Return tokens per second and per second of the CPU of each library, medians of the runs."""
    spawn = multiprocessing.get_context("spawn")
    asks = {}
    for library in LIBRARIES:
        asks[library], theirs = spawn.Pipe()
        spawn.Process(target=serve, args=(library, model, threads, theirs), daemon=True).start()
        asks[library].recv()
    answers: dict[str, list[tuple[int, float, float]]] = {library: [] for library in LIBRARIES}
    for _ in range(1 + runs):  # the first warms up
        for library, ask in asks.items():
            ask.send(TOKENS)
            answers[library].append(ask.recv())
    for ask in asks.values():
        ask.send(0)
    return {
        library: (
            statistics.median(tokens / seconds for tokens, seconds, _ in measured[1:]),
            statistics.median(tokens / cpu for tokens, _, cpu in measured[1:]),
        )
        for library, measured in answers.items()
    }


def main() -> None:
    """Print a row of a table for each model and library."""
    parser = argparse.ArgumentParser()
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL.gguf")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    flags = parser.parse_args()
    print("| model | library | tokens/s | tokens per CPU-second |\n|---|---|---|---|")
    for model in flags.models:
        for library, (by_clock, by_cpu) in measure(model, flags.threads, flags.runs).items():
            print(f"| {model.stem} | {library} | {by_clock:.1f} | {by_cpu:.1f} |", flush=True)


if __name__ == "__main__":
    main()
