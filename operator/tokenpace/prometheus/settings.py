"""How to reach Prometheus, and how its series name the pods."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

_HEADER_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")


def _base_address(url: str) -> str:
    """Accept an address that a query path can follow, and nothing that would carry a secret into messages."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an address such as http://prometheus.monitoring:9090")
    if parts.username or parts.password:
        raise ValueError("must hold no password: use a token file or a header")
    if parts.query or parts.fragment:
        raise ValueError("must end before `?` and `#`: the operator adds the query")
    return url.rstrip("/")


def _sendable_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"`{name}` is no name of an HTTP header")
        if not _is_header_value(value.get_secret_value()):
            raise ValueError(f"the value of `{name}` must be printable ASCII without line breaks")
    return headers


def _is_header_value(text: str) -> bool:
    return text.isascii() and text.isprintable() and text == text.strip()


LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


class PrometheusSettings(BaseModel):
    """Where to ask, as whom, and for what range."""

    model_config = ConfigDict(frozen=True)

    url: Annotated[str, AfterValidator(_base_address)] = "http://prometheus.monitoring:9090"
    """Base address, also of anything with Prometheus' query API. Series of replicated servers must be deduplicated."""
    token_file: Path | None = None
    """File with a bearer token, read for every query, so that a rotated token is used at once."""
    ca_file: Path | None = None
    """Certificates to trust instead of the system's."""
    headers: Annotated[dict[str, SecretStr], AfterValidator(_sendable_headers)] = Field(default_factory=dict)
    """Added to every request, for example ``X-Scope-OrgID``."""
    namespace_label: LabelName = "namespace"
    """Label of the series that holds a pod's namespace."""
    pod_label: LabelName = "pod"
    """Label of the series that holds a pod's name."""
    extra_matchers: dict[LabelName, str] = Field(default_factory=dict)
    """Labels that the series must have, for example ``{"cluster": "eu-1"}``."""
    window_seconds: Annotated[int, Field(ge=5, le=3600)] = 60
    """Range of the queries: at least two scrapes must fall into it, and four make it smooth."""
    stale_after_seconds: Annotated[float, Field(ge=1, le=3600)] = 45.0
    """A pod whose last scrape is older is not decided on. Of no effect beyond `window_seconds`."""
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    """Longest time that all queries of a tick may take together."""
    max_concurrent: Annotated[int, Field(ge=1, le=64)] = 4
    """Queries under way at the same time."""
