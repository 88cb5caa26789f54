"""Back from Prometheus: which one-minute slots of each LLMDeployment were good, and which were bad. Pure.

The operator exports its verdict, Prometheus keeps it. A subquery takes the last one of every minute and packs 25 of
them into one number, two bits a slot: 10 good, 01 bad, 00 without a verdict. A day of 2,000 resources is then 5 MB of
JSON instead of 60.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tokenpace.api.names import SLO_MET_METRIC
from tokenpace.planning.slo_accounting import SLOSlots
from tokenpace.prometheus.queries import equal
from tokenpace.prometheus.settings import PrometheusSettings

SLOTS_A_NUMBER: Final = 25
"""Prometheus' numbers hold integers exactly up to 53 bits."""

BLOCK_SECONDS: Final = 60 * SLOTS_A_NUMBER


def first_minute_of(after_minute: int, until_minute: int) -> int:
    """Return the first slot of the whole blocks that end with ``until_minute`` and hold all slots after another."""
    blocks = -(-(until_minute - after_minute) // SLOTS_A_NUMBER)
    return until_minute + 1 - blocks * SLOTS_A_NUMBER


def slots_query(first_minute: int, settings: PrometheusSettings) -> str:
    """Return the query for the slots, to be evaluated at the end of every block.

    Of two operators that judged the same minute the worse verdict counts. The range is a second short of a block
    because Prometheus 2 takes a range's first moment in, and Prometheus 3 does not.
    """
    matchers = ",".join(['uid!=""', *equal(settings.extra_matchers)])
    met = f"min by (uid) (last_over_time({SLO_MET_METRIC}{{{matchers}}}[1m]))"
    place = f"4 ^ ((time() / 60 - {first_minute}) % {SLOTS_A_NUMBER})"
    return f"sum_over_time((({met} + 1) * {place})[{BLOCK_SECONDS - 1}s:1m])"


def read_slots(result: Iterable[Mapping[str, Any]], *, first_minute: int, until_minute: int) -> dict[str, SLOSlots]:
    """Return the answer, by UID of the resource.

    Raises:
        MALFORMED: it is not shaped like Prometheus', or its numbers hold no slots.
    """
    minutes = range(first_minute, until_minute + 1)
    return {series["metric"]["uid"]: _unpacked(series["values"], minutes) for series in result}


def _unpacked(values: Iterable[tuple[Any, Any]], minutes: range) -> SLOSlots:
    good = bad = 0
    for at, text in values:
        number, place = float(text), minutes.index(int(at) // 60) // SLOTS_A_NUMBER * SLOTS_A_NUMBER
        if not 0 <= number < 4**SLOTS_A_NUMBER or not number.is_integer():
            raise ValueError(f"{text} does not hold {SLOTS_A_NUMBER} slots")
        bits = f"{int(number):0{2 * SLOTS_A_NUMBER}b}"
        good |= int(bits[0::2], 2) << place
        bad |= int(bits[1::2], 2) << place
    return SLOSlots(minutes.start, good, bad)
