"""Command line: `python -m loadgen --url http://chat:8080 --model chat --profile 20:60,20-80:120`."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from loadgen import __doc__ as description
from loadgen.profile import Profile
from loadgen.run import ProfileRun, Settings
from tokenpace.bench.stream import ENDPOINTS


def _profile(text: str) -> Profile:
    try:
        return Profile.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 up")
    return number


def parse(arguments: Sequence[str]) -> Settings:
    """Settings from the command line; exits with status 2 and a message on a mistake."""
    parser = argparse.ArgumentParser(
        prog="loadgen", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--url", required=True, help="base URL of the model's API")
    add("--model", required=True, help="the name that the API knows the model by")
    add("--profile", required=True, type=_profile, help="tokens/s : seconds, ...; a ramp is FROM-TO:SECONDS")
    add("--api", choices=ENDPOINTS, default="chat", help="endpoint to ask (default: %(default)s)")
    add("--max-tokens", type=_positive, default=64, help="tokens of every stream (default: %(default)s)")
    add("--prompt-tokens", type=_positive, default=32, help="about so many in every prompt (default: %(default)s)")
    add("--keep-alive", type=_positive, metavar="CONNECTIONS", help="keep so many; default: a fresh one a stream")
    add("--seed", type=int, default=1, help="of arrivals and prompts (default: %(default)s)")
    add("--timeout-seconds", type=float, default=120, help="for a whole stream (default: %(default)s)")
    add("--report-seconds", type=float, default=5, help="between two interval lines (default: %(default)s)")
    add("--log-streams", action="store_true", help="a line for every stream that ends, too")
    flags = parser.parse_args(arguments)
    return Settings(
        url=flags.url,
        endpoint=ENDPOINTS[flags.api](flags.model),
        profile=flags.profile,
        prompt_tokens=flags.prompt_tokens,
        max_tokens=flags.max_tokens,
        timeout_seconds=flags.timeout_seconds,
        keep_alive_connections=flags.keep_alive,
        seed=flags.seed,
        report_seconds=flags.report_seconds,
        log_streams=flags.log_streams,
    )


async def main(settings: Settings) -> None:
    """Run a profile; SIGTERM and SIGINT end its arrivals early."""
    run = ProfileRun(settings)
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, run.stop)
    await run.run()


if __name__ == "__main__":
    asyncio.run(main(parse(sys.argv[1:])))
