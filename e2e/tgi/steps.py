"""Which tokens came out of the same step of the engine."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Step:
    """What the streams say of one step, in seconds: since work on a prompt began, or since a stream's last token."""

    prefills: list[float] = field(default_factory=list)
    decodes: list[float] = field(default_factory=list)

    @property
    def method(self) -> str:
        """What TGI calls the step; one with a prompt in it is a prefill, whatever runs along."""
        return "prefill" if self.prefills else "decode"

    @property
    def seconds(self) -> float:
        """How long the engine took.

        Of a decode the least that a stream says: a stream that is new is known to have begun now or in the step before,
        and if it was before, what the others say holds a prefill, too.
        """
        return max(self.prefills) if self.prefills else min(self.decodes)


@dataclass(slots=True)
class Steps:
    """Puts the tokens of all streams together into the steps that made them, and gives away each that is whole.

    Every step gives each running stream one token, so from its first step on a stream tells its own by counting,
    however late it is heard of. llama.cpp works on prompts and on running streams in one step, as TGI does where it
    chunks prefills; prefills and decodes then add up to the time that the engine worked.
    """

    record: Callable[[Step], None]
    _at: dict[Hashable, int] = field(default_factory=dict)
    """The last step of each running stream."""
    _open: dict[int, Step] = field(default_factory=dict)
    """Steps that some running stream has not been heard of in."""
    _latest: int = 0

    def add(self, stream: Hashable, seconds: float, *, is_first: bool) -> None:
        """Take in one token of a stream, and the seconds by the engine's clock since its last, or for its prompt."""
        if not self._at:
            self._latest += 1
        number = self._latest if is_first else self._at[stream] + 1
        self._at[stream] = number
        self._latest = max(self._latest, number)
        step = self._open.setdefault(number, Step())
        (step.prefills if is_first else step.decodes).append(seconds)
        self._give_away()

    def remove(self, stream: Hashable) -> None:
        """Wait for no more tokens of a stream."""
        del self._at[stream]
        self._give_away()

    def _give_away(self) -> None:
        behind = min(self._at.values(), default=self._latest + 1)
        for number in [number for number in self._open if number < behind]:
            self.record(self._open.pop(number))
