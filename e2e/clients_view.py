"""What clients saw of an SLO in a stretch of time, from what their generators wrote down."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from e2e.load_pod import Line, Load, moment


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientsView:
    """Figures over all streams that ended in the stretch, of all generators together."""

    streams: int
    failed: Sequence[str]
    offered_tokens_per_second: float
    served_tokens_per_second: float
    stream_percent_in_time: float
    first_token_percent_in_time: float

    @classmethod
    def of(cls, loads: Sequence[Load], slo: dict[str, Any], begin: datetime, end: datetime) -> Self:
        """Look at the stretch between two moments.

        A stream counts as in time when it was at least as fast as the SLO says, whatever the percentile: the caller
        compares the percentage with it.
        """

        def within(lines: Sequence[Line]) -> list[Line]:
            return [line for line in lines if begin < moment(line) <= end]

        ended = within([line for one in loads for line in one.streams()])
        intervals = within([line for one in loads for line in one.intervals()])
        seconds = (end - begin).total_seconds()
        return cls(
            streams=len(ended),
            failed=[str(line["detail"]) for line in ended if line["end"] != "complete"],
            offered_tokens_per_second=_total(intervals, "offered_tokens_per_second") / seconds,
            served_tokens_per_second=_total(intervals, "served_tokens_per_second") / seconds,
            stream_percent_in_time=_percent(
                (line["tokens_per_second"] or 0.0) >= slo["stream"]["tokensPerSecond"] for line in ended
            ),
            first_token_percent_in_time=_percent(
                (line["first_token_seconds"] or math.inf) * 1000 <= slo["timeToFirstToken"]["milliseconds"]
                for line in ended
            ),
        )

    def keeps(self, slo: dict[str, Any]) -> bool:
        """Tell whether clients got what is promised, demand included; as in a slot of the SLO, 95 % is all of it."""
        return (
            not self.failed
            and self.served_tokens_per_second >= 0.95 * self.offered_tokens_per_second
            and self.is_in_time(slo)
        )

    def is_in_time(self, slo: dict[str, Any]) -> bool:
        """Tell whether first tokens and streams were as fast as promised."""
        return bool(
            self.stream_percent_in_time >= slo["stream"]["percentile"]
            and self.first_token_percent_in_time >= slo["timeToFirstToken"]["percentile"]
        )


def served_when_full(loads: Collection[Load], begin: datetime, end: datetime) -> Sequence[float]:
    """Return what all clients together were served, in tokens/s, in each report of the stretch but the first."""
    reports = zip(*([line for line in one.intervals() if begin < moment(line) <= end] for one in loads), strict=False)
    return [sum(line["served_tokens_per_second"] for line in together) for together in reports][1:]


def _total(intervals: Sequence[Line], rate: str) -> float:
    return math.fsum(line[rate] * line["seconds"] for line in intervals)


def _percent(in_time: Iterable[bool]) -> float:
    """Return the share that is true; of none it is not known, and so not enough for anything."""
    known = list(in_time)
    return 100 * sum(known) / len(known) if known else math.nan
