"""Speed cards from files, and from what the API server holds."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tokenpace.api.names import SPEED_CARD_KIND
from tokenpace.api.speed_card import LLMSpeedCardSpec
from tokenpace.leaderboard.board import BoardError, NamedCard

_SUFFIXES = frozenset({".yaml", ".yml", ".json"})


def cards_in_files(paths: Iterable[Path]) -> list[NamedCard]:
    """Return the cards of files, and of folders with all that is below them; other kinds of objects are passed over.

    Raises:
        BoardError: a card cannot be read; the message names the file and the field.
        OSError: a file cannot be read.
    """
    return [card for path in paths for file in _files(path) for card in _cards(file)]


def named_card(resource: Mapping[str, Any], where: str, *, with_namespace: bool = False) -> NamedCard:
    """Return the card in an object, called as the object, within its namespace or beside those of others.

    Raises:
        BoardError: it cannot be read; the message begins with ``where``.
    """
    try:
        metadata = resource["metadata"]
        name = f"{metadata['namespace']}/{metadata['name']}" if with_namespace else str(metadata["name"])
    except (KeyError, TypeError) as error:
        raise BoardError(f"{where}: a card has no metadata.name") from error
    try:
        return NamedCard(name, LLMSpeedCardSpec.model_validate(resource.get("spec", {})))
    except ValidationError as error:
        found = (f"{'.'.join(map(str, ('spec', *one['loc'])))}: {one['msg']}" for one in error.errors())
        raise BoardError(f"{where}: {name}: {'; '.join(found)}") from error


def _files(path: Path) -> list[Path]:
    return sorted(one for one in path.rglob("*") if one.suffix in _SUFFIXES) if path.is_dir() else [path]


def _cards(file: Path) -> Iterator[NamedCard]:
    try:
        documents = [*yaml.safe_load_all(file.read_text(encoding="utf-8"))]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BoardError(f"{file}: {error}") from error
    for document in documents:
        listed = document.get("items", ()) if isinstance(document, dict) else ()
        for one in (document, *listed):
            if isinstance(one, dict) and one.get("kind") == SPEED_CARD_KIND:
                yield named_card(one, str(file))
