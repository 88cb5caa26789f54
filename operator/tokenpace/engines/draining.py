"""Waiting for streams to end in a container whose server would cut them: by its own metrics, with bash alone."""

from collections.abc import Sequence


def drain_script(port: int, path: str, gauges: Sequence[str]) -> str:
    """Return shell commands that return once these gauges have series and all of them are 0.

    bash, because it is in the images and curl may not be. Where it is missing, the server does not answer, or it is of
    a version without the gauges, nothing says that the streams have ended: it then waits out the grace period.

    Args:
        port: of the metrics.
        path: of the metrics.
        gauges: their names, of requests that run or wait.
    """
    return f"""\
idle() {{
  answer=$(timeout 5 bash -c \\
    'exec 3<>/dev/tcp/127.0.0.1/{port}; printf "GET {path} HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3' | tr -d '\\r')
  case $answer in HTTP/1.?" 200"*) ;; *) return 1 ;; esac
  seen=$(printf '%s\\n' "$answer" | grep -E '^({"|".join(gauges)})[{{ ]') || return 1
  ! printf '%s\\n' "$seen" | grep -qvE ' 0(\\.0+)?$'
}}
until idle; do sleep 1; done
"""
