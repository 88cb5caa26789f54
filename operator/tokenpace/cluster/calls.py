"""What a request to the API server is in the words of its roles: a verb on a resource of a group."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_VERBS = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Call:
    """A request as roles name it: a rule that holds these three allows it."""

    verb: str
    group: str
    """Empty for the core group."""
    resource: str
    """The plural, with its subresource where one is meant: ``deployments/scale``."""


def call_of(method: str, path: str, query: Mapping[str, Any]) -> Call | None:
    """Return what a request does; None where it only asks what a group serves, which everybody may.

    Args:
        method: of HTTP.
        path: as `tokenpace.cluster.kinds.Kind.path` makes it.
        query: ``watch`` tells a watch from a list.
    """
    root, *rest = path.strip("/").split("/")
    group, rest = ("", rest[1:]) if root == "api" else (rest[0], rest[2:])
    if rest[:1] == ["namespaces"]:
        rest = rest[2:]
    if not rest:
        return None
    resource, name, subresource = (*rest, "", "")[:3]
    reading = "watch" if "watch" in query else "get" if name else "list"
    return Call(_VERBS.get(method, reading), group, f"{resource}/{subresource}" if subresource else resource)
