import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenpace.engines.merge import MERGE_KEYS, merge, unnamed

FIELDS = st.sampled_from(["spec", "containers", "env", "ports", "volumes", "tolerations", "labels", "name"])
NAMES = st.sampled_from(["engine", "sidecar", 8080, 9090])
SCALARS = st.one_of(st.text(max_size=3), st.integers(), st.booleans())


def objects(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects two levels deep, with lists of scalars and lists of objects that have every name Kubernetes merges by."""
    flat = st.dictionaries(FIELDS, leaves, max_size=3)
    names = st.builds(lambda name: dict.fromkeys(MERGE_KEYS.values(), name), NAMES)
    named = st.lists(st.builds(lambda own, name: {**own, **name}, flat, names), max_size=3)
    values = st.one_of(leaves, st.lists(leaves, max_size=2), flat, named)
    return st.dictionaries(FIELDS, st.one_of(values, st.dictionaries(FIELDS, values, max_size=3)), max_size=3)


TEMPLATES = objects(SCALARS)
PATCHES = objects(st.one_of(SCALARS, st.none()))


@given(TEMPLATES)
def test_an_empty_patch_changes_nothing(base: dict[str, Any]) -> None:
    assert merge(base, {}) == base


@given(TEMPLATES, PATCHES)
def test_a_patch_applied_twice_is_a_patch_applied_once(base: dict[str, Any], patch: dict[str, Any]) -> None:
    once = merge(base, patch)
    assert merge(once, patch) == once


@given(TEMPLATES, PATCHES)
def test_neither_the_template_nor_the_patch_is_changed(base: dict[str, Any], patch: dict[str, Any]) -> None:
    before = copy.deepcopy((base, patch))
    merge(base, patch)
    assert (base, patch) == before


@given(TEMPLATES, TEMPLATES)
def test_every_field_of_a_patch_is_in_the_result(base: dict[str, Any], patch: dict[str, Any]) -> None:
    assert patch.keys() <= merge(base, patch).keys()


@pytest.mark.parametrize(
    ("patch", "merged"),
    [
        ({"spec": {"nodeSelector": {"gpu": "a100"}}}, {"spec": {"a": 1, "nodeSelector": {"gpu": "a100"}}}),
        ({"spec": {"a": 2}}, {"spec": {"a": 2}}),
        ({"spec": {"a": None}}, {"spec": {}}),
        ({"spec": {"absent": None, "new": {"deep": None}}}, {"spec": {"a": 1, "new": {}}}),
        ({"spec": {"tolerations": [{"key": "gpu"}]}}, {"spec": {"a": 1, "tolerations": [{"key": "gpu"}]}}),
    ],
)
def test_objects_are_merged_values_replaced_and_null_deletes(patch: dict[str, Any], merged: dict[str, Any]) -> None:
    assert merge({"spec": {"a": 1}}, patch) == merged


def test_the_engine_keeps_its_place_when_it_is_patched_beside_a_new_container() -> None:
    base = {"containers": [{"name": "engine", "image": "a", "ports": [{"containerPort": 8080, "name": "http"}]}]}
    patch = {"containers": [{"name": "log"}, {"name": "engine", "ports": [{"containerPort": 9000}]}]}
    assert merge(base, patch) == {
        "containers": [
            {
                "name": "engine",
                "image": "a",
                "ports": [{"containerPort": 8080, "name": "http"}, {"containerPort": 9000}],
            },
            {"name": "log"},
        ]
    }


def test_mounts_are_told_apart_by_where_they_are_mounted() -> None:
    base = {"volumeMounts": [{"name": "models", "mountPath": "/models", "readOnly": True}]}
    patch = {"volumeMounts": [{"name": "models", "mountPath": "/copy"}]}
    assert merge(base, patch)["volumeMounts"] == [*base["volumeMounts"], *patch["volumeMounts"]]


def test_an_element_without_its_name_is_found_with_its_path() -> None:
    patch = {"spec": {"containers": [{"name": "engine", "env": [{"value": "1"}]}, "text"], "tolerations": [{}]}}
    assert list(unnamed(patch)) == [(".spec.containers[0].env[0]", "name"), (".spec.containers[1]", "name")]
