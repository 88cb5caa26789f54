"""What a client asks for, in the words of TGI's native API, and what of it is refused.

`GenerateParameters` of TGI's `router/src/lib.rs` and the checks of `router/src/validation.rs`, with its messages.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any

from e2e.tgi.failures import ValidationError

NOT_SUPPORTED = ("adapter_id", "decoder_input_details", "grammar", "top_n_tokens", "watermark")
"""Parameters that TGI honours and llama.cpp cannot, or not in the same way: refused rather than ignored."""

TYPES: Mapping[str, type | UnionType] = {
    "max_new_tokens": int,
    "do_sample": bool,
    "temperature": int | float,
    "top_k": int,
    "top_p": int | float,
    "typical_p": int | float,
    "repetition_penalty": int | float,
    "frequency_penalty": int | float,
    "seed": int,
    "stop": list,
    "truncate": int,
    "best_of": int,
    "details": bool,
    "return_full_text": bool,
}
"""Parameters of the native API, and what they are in JSON."""

POSITIVE = (lambda value: value > 0, "must be strictly positive")
SHARE = (lambda value: 0 < value < 1, "must be > 0.0 and < 1.0")
BOUNDS: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "temperature": POSITIVE,
    "repetition_penalty": POSITIVE,
    "frequency_penalty": (lambda value: -2 <= value <= 2, "must be >= -2.0 and <= 2.0"),
    "top_k": POSITIVE,
    "top_p": SHARE,
    "typical_p": SHARE,
    "max_new_tokens": POSITIVE,
    "best_of": (lambda value: value == 1, "!= 1 is not supported by this server, which is not TGI"),
}
"""What a parameter that is given must be."""

DEFAULT_NEW_TOKENS = 1024
"""Most tokens of a request that names no `max_new_tokens`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """How to generate; None where the request leaves it to the server."""

    max_new_tokens: int | None = None
    do_sample: bool = False
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    typical_p: float | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    truncate: int | None = None
    best_of: int = 1
    details: bool = False
    return_full_text: bool | None = None
    ignore_eos: bool = False
    """No parameter of TGI's: only the OpenAI API of this server has it."""

    @property
    def is_sampled(self) -> bool:
        """Whether tokens are drawn, and not the likeliest taken."""
        return self.do_sample or any(
            value is not None for value in (self.temperature, self.top_k, self.top_p, self.typical_p)
        )

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> "Parameters":
        """Read a JSON object; null is as good as absent, and what TGI does not know is ignored as it does.

        Raises:
            ValidationError: a parameter is of a wrong type, or set though it is not supported here.

        """
        for name in NOT_SUPPORTED:
            if given.get(name):
                raise ValidationError(f"`{name}` is not supported by this server, which is not TGI")
        values = {name: given[name] for name in TYPES if given.get(name) is not None}
        for name, value in values.items():
            if not isinstance(value, TYPES[name]):
                raise ValidationError(f"`{name}` is of a wrong type: {value!r}")
        return cls(**{**values, "stop": tuple(values.get("stop", ()))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A text to go on from. A chat's text has the special tokens of its template in it already."""

    inputs: str
    parameters: Parameters
    add_special_tokens: bool = True

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> "Request":
        """Read the body of /generate.

        Raises:
            ValidationError: there is no text in it, or a parameter is not supported.

        """
        inputs = body.get("inputs")
        if not isinstance(inputs, str):
            raise ValidationError("`inputs` must be a string")
        return cls(inputs=inputs, parameters=Parameters.parse(body.get("parameters") or {}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the server takes, in tokens and in requests."""

    max_concurrent_requests: int
    max_input_tokens: int
    max_total_tokens: int
    max_stop_sequences: int
    slots: int

    def check(self, request: Request) -> None:
        """Check all but lengths.

        Raises:
            ValidationError: the first parameter that is out of bounds.

        """
        parameters = request.parameters
        for name, (is_good, bound) in BOUNDS.items():
            value = getattr(parameters, name)
            if value is not None and not is_good(value):
                raise ValidationError(f"`{name}` {bound}")
        if len(parameters.stop) > self.max_stop_sequences:
            most, given = self.max_stop_sequences, len(parameters.stop)
            raise ValidationError(f"`stop` supports up to {most} stop sequences. Given: {given}")
        if not request.inputs:
            raise ValidationError("`inputs` cannot be empty")
        if parameters.truncate is not None and not 0 < parameters.truncate <= self.max_input_tokens:
            most, given = self.max_input_tokens, parameters.truncate
            raise ValidationError(f"`truncate` must be strictly positive and less than {most}. Given: {given}")

    def new_tokens(self, input_tokens: int, asked: int | None) -> int:
        """Most tokens that a request may generate after a prompt of this length.

        Raises:
            ValidationError: prompt and answer are longer than the server takes.

        """
        wanted = min(self.max_total_tokens - input_tokens, DEFAULT_NEW_TOKENS) if asked is None else asked
        if input_tokens + wanted > self.max_total_tokens or wanted <= 0:
            raise ValidationError(
                f"`inputs` tokens + `max_new_tokens` must be <= {self.max_total_tokens}. "
                f"Given: {input_tokens} `inputs` tokens and {wanted} `max_new_tokens`"
            )
        if input_tokens > self.max_input_tokens:
            raise ValidationError(f"`inputs` must have less than {self.max_input_tokens} tokens. Given: {input_tokens}")
        return wanted
