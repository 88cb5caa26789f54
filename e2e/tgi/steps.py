"""Which tokens came out of the same step of the engine."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

Record = Callable[[str, float], None]
"""Takes the method of a step, `prefill` or `decode`, and its seconds."""


@dataclass(slots=True)
class Step:
    """What the streams say of one step, in seconds: since work on a prompt began, and since a stream's last token."""

    prefills: list[float] = field(default_factory=list)
    decodes: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Steps:
    """Puts the tokens of all streams together into the steps that made them.

    Every step gives each running stream one token, so from its first step on a stream tells its own by counting, however
    late it is heard of. llama.cpp works on prompts and on running streams in one step, where TGI interrupts the streams
    for a prefill: a step with a prompt in it is taken as a prefill, so that prefill and decode add up to the time that
    the engine worked, as they do in TGI.
    """

    record: Record
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
        self._close()

    def remove(self, stream: Hashable) -> None:
        """Wait for no more tokens of a stream."""
        del self._at[stream]
        self._close()

    def _close(self) -> None:
        behind = min(self._at.values(), default=self._latest + 1)
        for number in [number for number in self._open if number < behind]:
            step = self._open.pop(number)
            if step.prefills:
                self.record("prefill", max(step.prefills))
            else:
                # The least: of a new stream it is not known whether its first step was the one before, and the step
                # after then holds the seconds of a prefill, too.
                self.record("decode", min(step.decodes))
