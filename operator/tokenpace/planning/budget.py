"""The quality budget: how much may be generated below the best variant (design, section 4)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Tokens generated, and those of them generated below the best variant.

    Both fade exponentially with the objective's window: their share does not change while nothing is generated.
    """

    generated_tokens: float = 0.0
    degraded_tokens: float = 0.0

    @property
    def degraded_share(self) -> float:
        """Share of tokens below the best variant; 0 where nothing was generated."""
        return self.degraded_tokens / self.generated_tokens if self.generated_tokens > 0 else 0.0
