"""What is remembered of a resource goes with it."""

from collections.abc import Collection, MutableMapping
from typing import Any


def keep_only(uids: Collection[str], *memories: MutableMapping[str, Any]) -> None:
    """Drop what is remembered, by UID, of all other resources: they are gone, or another operator serves them."""
    for remembered in memories:
        for gone in remembered.keys() - uids:
            del remembered[gone]
