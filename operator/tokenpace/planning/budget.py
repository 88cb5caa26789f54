"""The quality budget: how much may be generated below the best variant (design, section 4).

It is counted in tokens, of which only those count that were generated: a fleet that has just begun has earned nothing
that it could spend. It is spent only to rescue the SLO. Tokens fade with the window of the objective, all alike, so
that their share is what it is while nothing is generated.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.support import runnable_variants
from tokenpace.planning.fleet import quality_step
from tokenpace.planning.observation import Pod, Reading

ENTRY_DWELLS = 2.0
"""A rescue below the best variant begins only with so much left that it can last this many dwells."""

WAY_BACK_MARGIN = 2.0
"""What the way back will generate is reckoned with this much in hand: pods start slower than the lead time one time in
five, canaries and draining take their time. Besides there is a window, for what was generated is known that late. With
1.5 and without the window a budget of 10 % was overdrawn by 0.01 points, on pods that start within a tick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Tokens generated, and those of them generated below the best variant; both fading."""

    generated_tokens: float = 0.0
    degraded_tokens: float = 0.0

    @property
    def degraded_share(self) -> float:
        """Share of tokens below the best variant; 0 where nothing was generated."""
        return self.degraded_tokens / self.generated_tokens if self.generated_tokens > 0 else 0.0

    def after(
        self,
        known: Iterable[tuple[Pod, Reading]],
        degraded: frozenset[str],
        *,
        unseen_factor: float,
        elapsed_seconds: float,
        window_seconds: float,
    ) -> "Budget":
        """Return the tokens after pods did for ``elapsed_seconds`` what their readings say.

        Args:
            known: pods that are measured.
            degraded: the variants below the best one.
            unseen_factor: what is added for pods that are not.
            elapsed_seconds: since the last time.
            window_seconds: time constant in which tokens fade.
        """
        kept = math.exp(-elapsed_seconds / window_seconds)
        generated, below = self.generated_tokens * kept, self.degraded_tokens * kept
        for pod, reading in known:
            tokens = reading.generated_tokens_per_second * elapsed_seconds * unseen_factor
            generated += tokens
            below += tokens if pod.variant in degraded else 0.0
        return Budget(generated_tokens=generated, degraded_tokens=min(below, generated))

    def left_tokens(self, share: float) -> float:
        """Return how many more tokens, all of them below the best variant, keep their share at most ``share``.

        ``D + x ≤ s·(G + x)``; less than 0 when the budget is overdrawn.
        """
        if share >= 1.0:
            return math.inf
        return (share * self.generated_tokens - self.degraded_tokens) / (1.0 - share)


def degraded_variants(spec: LLMDeploymentSpec) -> frozenset[str]:
    """Return the variants below the best one that may serve. One that is no longer declared has no quality to judge."""
    best = max((quality_step(float(variant.quality)) for variant in runnable_variants(spec)), default=0)
    return frozenset(variant.name for variant in spec.variants if quality_step(float(variant.quality)) < best)
