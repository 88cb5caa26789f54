"""Why a request is not served, as TGI tells it: a status, a body, and a label of `tgi_request_failure`."""

from typing import ClassVar


class RequestError(Exception):
    """One request fails and the others go on (`InferError` of TGI's `router/src/infer/mod.rs`)."""

    status: ClassVar[int]
    error_type: ClassVar[str]
    label: ClassVar[str]

    def body(self) -> dict[str, str]:
        """The JSON of an error answer, and of an error event within a stream."""
        return {"error": str(self), "error_type": self.error_type}


class OverloadedError(RequestError):
    """As many requests as `--max-concurrent-requests` are there already."""

    status, error_type, label = 429, "overloaded", "overloaded"

    def __init__(self) -> None:
        super().__init__("Model is overloaded")


class ValidationError(RequestError):
    """The request asks for what the server does not do."""

    status, error_type, label = 422, "validation", "validation"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Input validation error: {reason}")


class GenerationError(RequestError):
    """The engine gave an error instead of tokens, or went away."""

    status, error_type, label = 424, "generation", "generation"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Request failed during generation: {reason}")
