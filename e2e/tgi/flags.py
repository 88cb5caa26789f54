"""The command line of `text-generation-launcher`; flags that count are environment variables, too.

From docs/source/reference/launcher.md of TGI. Flags that mean nothing to llama.cpp are taken and ignored, so that a pod
rendered for TGI starts; what TGI does not know is refused, as TGI does.
"""

import argparse
import ipaddress
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BITS = {
    "awq": "q4_0",
    "bitsandbytes": "q8_0",
    "bitsandbytes-fp4": "q4_0",
    "bitsandbytes-nf4": "q4_0",
    "eetq": "q8_0",
    "fp8": "q8_0",
    "gptq": "q4_0",
    "marlin": "q4_0",
}
"""Methods with a fixed number of bits, and the GGUF type with as many, which stands in for them."""

QUANTIZE = (*BITS, "compressed-tensors", "exl2")

IGNORED_SWITCHES = ("--disable-custom-kernels", "--disable-grammar-support", "--json-output", "--trust-remote-code")
IGNORED_FLAGS = (
    "--cors-allow-origin",
    "--cuda-graphs",
    "--cuda-memory-fraction",
    "--dtype",
    "--huggingface-hub-cache",
    "--kv-cache-dtype",
    "--master-addr",
    "--master-port",
    "--max-batch-prefill-tokens",
    "--max-batch-total-tokens",
    "--max-top-n-tokens",
    "--max-waiting-tokens",
    "--num-shard",
    "--otlp-endpoint",
    "--otlp-service-name",
    "--payload-limit",
    "--prometheus-port",
    "--revision",
    "--rope-factor",
    "--rope-scaling",
    "--shard-uds-path",
    "--sharded",
    "--speculate",
    "--tokenizer-config-path",
    "--usage-stats",
    "--waiting-served-ratio",
    "--weights-cache-override",
)


def parse_flags(arguments: Sequence[str], environment: Mapping[str, str]) -> argparse.Namespace:
    """Read the flags; an argument outweighs its variable. Exits with status 2 and a message on a mistake."""
    parser = argparse.ArgumentParser(prog="tgi-over-llama-cpp", description=__doc__, allow_abbrev=False)

    def add(*names: str, default: object = None, **how: Any) -> None:
        flag = next(name for name in names if name.startswith("--"))
        given = environment.get(flag.removeprefix("--").replace("-", "_").upper())
        parser.add_argument(*names, default=given or default, **how)

    add("--model-id", help="GGUF file, or a directory of them named by type: q8_0.gguf, q4_0.gguf")
    add("--quantize", choices=QUANTIZE, help="chooses the file of a directory by its bits")
    add("--hostname", default="0.0.0.0", help="address to listen on")  # noqa: S104 - TGI's default
    add("-p", "--port", type=int, default=3000, help="port to listen on")
    add("--max-concurrent-requests", type=_positive, default=128, help="more are refused with 429")
    add("--max-input-tokens", "--max-input-length", type=_positive, help="default: one less than in all")
    add("--max-total-tokens", type=_positive, help="of a request, prompt included; default: the model's context")
    add("--max-batch-size", type=_positive, default=4, help="slots of llama.cpp; TGI's default is what memory holds")
    add("--max-best-of", type=_positive, default=2, help="told by /info alone")
    add("--max-stop-sequences", type=int, default=4, help="of one request")
    add("--max-client-batch-size", type=_positive, default=4, help="told by /info alone")
    add("--validation-workers", type=_positive, default=2, help="told by /info alone")
    add("--graceful-termination-timeout", type=float, default=90, metavar="SECONDS", help="longest drain")
    add("--engine-url", help="not of TGI: a llama.cpp server that runs already; --model-id is then its name alone")
    add("--engine-program", default="/app/llama-server", help="not of TGI: llama.cpp's server, a Python program")
    for flag in IGNORED_FLAGS:
        parser.add_argument(flag, help=argparse.SUPPRESS)
    for flag in IGNORED_SWITCHES:
        parser.add_argument(flag, action="store_true", help=argparse.SUPPRESS)

    flags = parser.parse_args(arguments)
    for flag, times in Counter(argument.partition("=")[0] for argument in arguments).items():
        if flag.startswith("-") and times > 1:
            parser.error(f"the argument '{flag}' cannot be used multiple times")
    if flags.model_id is None:
        parser.error("the following arguments are required: --model-id")
    if flags.dtype and flags.quantize:
        parser.error("`--dtype` cannot be combined with `--quantize`")
    if flags.max_input_tokens and flags.max_total_tokens and flags.max_input_tokens >= flags.max_total_tokens:
        parser.error("`--max-input-tokens` must be less than `--max-total-tokens`")
    flags.hostname = _address(flags.hostname)
    return flags


def weights(model_id: str, quantize: str | None) -> Path:
    """The GGUF file to run: the one that is named, or the one of a directory that has the bits of `quantize`.

    Raises:
        FileNotFoundError: there is none, or without `--quantize` no single one; the message says what there is.

    """
    place = Path(model_id)
    if place.is_file():
        return place
    files = sorted(place.glob("*.gguf"))
    kind = BITS.get(quantize or "")
    chosen = [file for file in files if kind in (None, file.stem)]
    if len(chosen) != 1:
        there = ", ".join(file.name for file in files) or "no GGUF file"
        wanted = (
            f"{kind}.gguf, which stands in for {quantize}" if kind else "a single one: pass --quantize or name a file"
        )
        raise FileNotFoundError(f"--model-id {model_id}: there is {there}; wanted is {wanted}")
    return chosen[0]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 up")
    return number


def _address(hostname: str) -> str:
    """TGI takes HOSTNAME for `--hostname`; in a pod that is the pod's name, in place of which it listens everywhere."""
    try:
        return str(ipaddress.ip_address(hostname))
    except ValueError:
        return "0.0.0.0"  # noqa: S104 - likewise
