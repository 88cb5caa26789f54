import pytest

from tokenpace.controller.advice import advised_action


@pytest.mark.parametrize(
    ("goal", "replicas", "text"),
    [
        pytest.param({"q8": 3}, {"q8": 2}, "would scale q8 from 2 to 3", id="more"),
        pytest.param({"q8": 1}, {}, "would scale q8 from 0 to 1", id="the first"),
        pytest.param({"q8": 0, "q4": 2}, {"q8": 3}, "would scale q4 from 0 to 2, q8 from 3 to 0", id="a switch"),
        pytest.param({"q8": 2, "q4": 0}, {"q8": 2}, "would change nothing", id="nothing"),
    ],
)
def test_advice_is_the_way_from_what_there_is_to_the_goal(
    goal: dict[str, int], replicas: dict[str, int], text: str
) -> None:
    assert advised_action(goal, replicas) == text
