from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenpace.cluster.comparison import covers

_LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab1m", max_size=3)
_TREES = st.recursive(
    _LEAVES, lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text("xyz", max_size=1), part, max_size=3)
)


@pytest.mark.parametrize(
    ("live", "wanted"),
    [
        pytest.param({"a": 1, "b": 2}, {"a": 1}, id="a field that somebody else added"),
        pytest.param({"limits": {"cpu": "300m"}}, {"limits": {"cpu": "0.3"}}, id="a quantity in other words"),
        pytest.param({"memory": "1536Mi"}, {"memory": "1.5Gi"}, id="a binary quantity in other words"),
        pytest.param({"nvidia.com/gpu": "1"}, {"nvidia.com/gpu": 1}, id="a quantity as a number"),
        pytest.param({}, {"readOnly": False}, id="false is absent"),
        pytest.param({}, {"value": ""}, id="an empty string is absent"),
        pytest.param({}, {"initContainers": []}, id="an empty list is absent"),
        pytest.param({}, {"emptyDir": {}}, id="an empty object is absent"),
        pytest.param({}, {"x": None}, id="null is absent"),
        pytest.param(
            {"env": [{"name": "Z"}, {"name": "A", "value": "1"}]},
            {"env": [{"name": "A", "value": "1"}]},
            id="an element that somebody else added",
        ),
        pytest.param({"ports": [{"port": 80, "nodePort": 30000}]}, {"ports": [{"port": 80}]}, id="a default within"),
    ],
)
def test_an_object_is_right_when_it_only_holds_more(live: Any, wanted: Any) -> None:
    assert covers(live, wanted)


@pytest.mark.parametrize(
    ("live", "wanted"),
    [
        pytest.param({"a": 1}, {"a": 2}, id="another value"),
        pytest.param({}, {"a": 1}, id="a field is gone"),
        pytest.param({"args": ["--a", "--b"]}, {"args": ["--a"]}, id="an argument more"),
        pytest.param({"args": ["--b", "--a"]}, {"args": ["--a", "--b"]}, id="another order of arguments"),
        pytest.param({"env": [{"name": "A", "value": "2"}]}, {"env": [{"name": "A", "value": "1"}]}, id="an element"),
        pytest.param({"env": []}, {"env": [{"name": "A"}]}, id="an element is gone"),
        pytest.param({"readOnly": True}, {"readOnly": False}, id="true for false"),
        pytest.param({"a": "text"}, {"a": {"b": 1}}, id="another type"),
        pytest.param({"cpu": "300m"}, {"cpu": "3"}, id="another quantity"),
    ],
)
def test_an_object_is_wrong_when_something_wanted_is_not_in_it(live: Any, wanted: Any) -> None:
    assert not covers(live, wanted)


@given(_TREES)
def test_everything_covers_itself(tree: Any) -> None:
    assert covers(tree, tree)


@given(st.dictionaries(st.text("xyz", max_size=1), _TREES), st.dictionaries(st.text("abc", max_size=1), _TREES))
def test_what_others_add_never_makes_an_object_wrong(wanted: Any, added: Any) -> None:
    assert covers({**added, **wanted}, wanted)


@given(_TREES, _TREES)
def test_any_two_things_can_be_compared(live: Any, wanted: Any) -> None:
    assert covers(live, wanted) in {True, False}
