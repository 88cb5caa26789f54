"""What one replica of each variant is predicted to do, logged when a prediction comes from somewhere else than before.

So at the start of the operator, before any load: whether a prediction was right can be told only of one that stands.
"""

from collections.abc import Collection, Mapping
from typing import Any

import structlog

from tokenpace.controller.forgetting import keep_only
from tokenpace.planning.decision import Plan

log = structlog.get_logger(__name__)


class Predictions:
    """The sources of the predictions that were logged, by resource and variant."""

    def __init__(self) -> None:
        self._sources: dict[str, Mapping[str, str]] = {}

    def tell(self, metadata: Mapping[str, Any], made: Plan) -> None:
        """Log the capacity of one replica of each variant, unless that was logged from the same sources."""
        known = {
            name: (one, one.capacity_tokens_per_second)
            for name, one in made.speeds.items()
            if one.capacity_tokens_per_second is not None
        }
        sources = {name: one.source for name, (one, _) in known.items()}
        if not sources or self._sources.get(metadata["uid"]) == sources:
            return
        self._sources[metadata["uid"]] = sources
        log.info(
            "capacity of one replica",
            namespace=metadata["namespace"],
            name=metadata["name"],
            tokens_per_second={name: round(capacity, 2) for name, (_, capacity) in known.items()},
            lead_seconds={name: round(one.lead_seconds) for name, (one, _) in known.items()},
            source=sources,
        )

    def forget_all_but(self, uids: Collection[str]) -> None:
        """Forget the resources that are gone."""
        keep_only(uids, self._sources)
