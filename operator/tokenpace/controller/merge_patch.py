"""The difference of two JSON objects as a merge patch (RFC 7386). Pure."""

from collections.abc import Mapping
from typing import Any


def merge_patch(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the patch that turns ``current`` into ``wanted``.

    Null removes a field, objects are descended into, lists are replaced. ``wanted`` must hold no null, which a merge
    patch cannot say.
    """
    patch: dict[str, Any] = dict.fromkeys(current.keys() - wanted.keys())
    for key, value in wanted.items():
        before = current.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if inner := merge_patch(before, value):
                patch[key] = inner
        elif before != value:
            patch[key] = value
    return patch
