#!/usr/bin/env python3
"""llama.cpp's HTTP server from the xllamacpp wheel, under the name and the flags of llama-server.

The published image `ghcr.io/ggml-org/llama.cpp:server` runs `/app/llama-server`. This program answers to the same
command where no image registry does, so that one rendered pod template starts either. Flags are a subset of
llama-server's; an unknown one is an error, as it is there.

Like llama-server it does not drain: SIGTERM ends it at once, streams in flight are cut, and whoever stops the pod has
to wait for them first (a preStop hook). Unlike it, it does not ignore a SIGTERM that comes while the model loads.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

import xllamacpp

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def parse_flags(arguments: Sequence[str]) -> argparse.Namespace:
    """Read llama-server's flags; exits with status 2 and a message on one that is not known here."""
    parser = argparse.ArgumentParser(prog="llama-server", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("-m", "--model", required=True, metavar="FILE", help="GGUF file")
    add("-a", "--alias", default="", help="the name of the model in the API; default: the file's name")
    add("--host", default=os.environ.get("LLAMA_ARG_HOST", "127.0.0.1"), help="address to listen on")
    add("--port", type=int, default=8080, help="port to listen on")
    add("-c", "--ctx-size", type=int, default=0, metavar="TOKENS", help="shared by the slots; 0: the model's own")
    add("-np", "--parallel", type=int, default=4, metavar="SLOTS", help="streams generated at a time")
    add("-t", "--threads", type=int, default=-1, metavar="N", help="threads for generation; -1: every core")
    add("-tb", "--threads-batch", type=int, metavar="N", help="threads for prompts; default: as --threads")
    add("--threads-http", type=int, default=-1, metavar="N", help="threads for HTTP; -1: slots + 4")
    add("-b", "--batch-size", type=int, default=2048, metavar="TOKENS", help="prompt tokens in one step")
    add("-ub", "--ubatch-size", type=int, default=512, metavar="TOKENS", help="prompt tokens computed together")
    add("-cram", "--cache-ram", type=int, default=8192, metavar="MIB", help="memory for idle prompts; 0: none")
    add("--metrics", action="store_true", help="serve /metrics")
    add("--slots", action=argparse.BooleanOptionalAction, default=True, help="serve /slots")
    add("--warmup", action=argparse.BooleanOptionalAction, default=True, help="run the model once before serving")
    return parser.parse_args(arguments)


def server_parameters(flags: argparse.Namespace) -> xllamacpp.CommonParams:
    """The same settings in the words of llama.cpp's `common_params`."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = flags.model
    if flags.alias:
        parameters.model_alias = {flags.alias}
    parameters.hostnames = [flags.host]
    parameters.port = flags.port
    parameters.n_ctx = flags.ctx_size
    parameters.n_parallel = flags.parallel
    parameters.cpuparams.n_threads = flags.threads
    parameters.cpuparams_batch.n_threads = flags.threads if flags.threads_batch is None else flags.threads_batch
    parameters.n_threads_http = flags.threads_http
    parameters.n_batch = flags.batch_size
    parameters.n_ubatch = flags.ubatch_size
    parameters.cache_ram_mib = flags.cache_ram
    parameters.endpoint_metrics = flags.metrics
    parameters.endpoint_slots = flags.slots
    parameters.warmup = flags.warmup
    parameters.ui = False
    return parameters


def main(arguments: Sequence[str]) -> None:
    """Load the model and serve it until a signal comes; a model that cannot be loaded raises."""
    flags = parse_flags(arguments)
    # PID 1 has no default action for SIGTERM. Blocked and awaited, one that comes while the model loads is kept.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    server = xllamacpp.Server(server_parameters(flags))  # noqa: F841 - serves until it is destroyed
    signal.sigwait(STOP_SIGNALS)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # not by returning: destroying the server with a request in flight hangs for ever


if __name__ == "__main__":
    main(sys.argv[1:])
