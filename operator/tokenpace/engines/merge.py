"""A user's `podTemplate` over the rendered one, as kubectl merges a strategic patch.

Objects are merged key by key, lists of named objects by the name of their elements, everything else is replaced, and
null deletes. The names are those of Kubernetes' own API (`patchMergeKey` in core/v1), so that a patch here means what
it means to kubectl and Kustomize.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

MERGE_KEYS: Final[Mapping[str, str]] = {
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ports": "containerPort",
    "resourceClaims": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""The field that tells the elements of a list apart, by the list's own field."""


def merge(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `patch` over it, sharing nothing with either. Total: a patch of the wrong shape replaces."""
    merged = {key: _copied(value) for key, value in base.items()}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_value(key, base.get(key), value)
    return merged


def unnamed(patch: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield where a list of named objects has an element without its name: (path, missing field).

    Such a list would replace the rendered one, the engine's container included.
    """
    for field, value in patch.items():
        here = f"{path}.{field}"
        if isinstance(value, Mapping):
            yield from unnamed(value, here)
        for index, element in enumerate(value if isinstance(value, list) else []):
            if field in MERGE_KEYS and not _is_named(element, MERGE_KEYS[field]):
                yield f"{here}[{index}]", MERGE_KEYS[field]
            elif isinstance(element, Mapping):
                yield from unnamed(element, f"{here}[{index}]")


def _merge_value(field: str, base: Any, patch: Any) -> Any:
    if isinstance(patch, Mapping):
        return merge(base if isinstance(base, Mapping) else {}, patch)
    if isinstance(patch, list) and field in MERGE_KEYS:
        name = MERGE_KEYS[field]
        rendered = base if isinstance(base, list) else []
        if all(_is_named(element, name) for element in [*rendered, *patch]):
            return _merge_named(name, rendered, patch)
    return _copied(patch)


def _merge_named(name: str, base: list[Any], patch: list[Any]) -> list[Any]:
    """Merge elements of the same name; order is the base's, then the patch's."""
    merged: dict[str | int, dict[str, Any]] = {}
    for element in [*base, *patch]:
        merged[element[name]] = merge(merged.get(element[name], {}), element)
    return list(merged.values())


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(element) for key, element in value.items()}
    return [_copied(element) for element in value] if isinstance(value, list) else value


def _is_named(element: Any, name: str) -> bool:
    return isinstance(element, Mapping) and isinstance(element.get(name), str | int)
