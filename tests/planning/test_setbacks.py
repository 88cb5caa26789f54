"""What could not take over is not tried for a while."""

from dataclasses import replace

import pytest
from tests.planning.declared import HASH, NOW, observation, pod, reading

from tokenpace.planning.observation import Canary, Hindrance, Observation, Pod
from tokenpace.planning.setbacks import FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS, Setback, setbacks
from tokenpace.planning.sight import look
from tokenpace.planning.stock import PLACES_SECONDS, Places, Shortage, places, shortages

Q8 = pod("q8-1", reading(5.0))
FAILED = replace(pod("q4-1", variant="q4"), canary=Canary.FAILED, canary_message="no tokens within 30 s")
LEADS = {"q8": 5.0, "q4": 5.0}


def seen(*pods: Pod) -> Observation:
    return observation(*pods, replicas={"q8": 1, "q4": 1}, variants=("q8", "q4"))


def after(*pods: Pod, before: Setback | None = None, at: float = NOW, established: str | None = "q8") -> Setback | None:
    known = {} if before is None else {"q4": before}
    return setbacks(known, look(seen(*pods), at), LEADS, established).get("q4")


def setback(failures: int = 1, until: float = NOW + 60, template_hash: str = HASH) -> Setback:
    return Setback(template_hash=template_hash, failures=failures, until_seconds=until, message="why")


def test_a_failed_canary_is_a_setback_in_the_words_of_the_canary() -> None:
    found = after(Q8, FAILED)
    assert found is not None
    assert (found.failures, found.until_seconds) == (1, NOW + FIRST_BACK_OFF_SECONDS)
    assert found.message == "q4-1: no tokens within 30 s"


def test_the_same_failure_is_counted_once() -> None:
    first = after(Q8, FAILED)
    assert after(Q8, FAILED, before=first) == first
    assert after(Q8, FAILED, before=first, at=NOW + 30) == first


def test_each_failure_in_a_row_is_waited_out_twice_as_long_up_to_an_hour() -> None:
    waits, known, at = [], None, NOW
    for _ in range(9):
        known = after(Q8, FAILED, before=known, at=at)
        assert known is not None
        waits.append(known.until_seconds - at)
        at = known.until_seconds
    assert waits[:4] == [60, 120, 240, 480]
    assert waits[-1] == LONGEST_BACK_OFF_SECONDS


def test_what_was_tried_again_and_has_not_failed_yet_keeps_its_count() -> None:
    starting = pod("q4-2", variant="q4", created=NOW + 55, ready=False)
    found = after(Q8, starting, before=setback(failures=2), at=NOW + 61)
    assert found is not None
    assert found.failures == 2
    assert not found.blocks(NOW + 61)


def test_a_canary_that_passes_ends_the_setback() -> None:
    passed = replace(FAILED, canary=Canary.PASSED)
    assert after(Q8, passed, before=setback(failures=2), at=NOW + 61) is None


def test_another_template_ends_the_setback() -> None:
    assert after(Q8, before=setback(template_hash="older")) is None


@pytest.mark.parametrize(("age", "fails"), [(59, False), (61, True)])
def test_pods_that_do_not_start_are_a_setback_after_three_lead_times_and_a_minute(age: float, fails: bool) -> None:
    starting = pod("q4-1", variant="q4", created=NOW - age, ready=False, trouble="CrashLoopBackOff: exit 1")
    assert (after(Q8, starting) is not None) == fails


def test_a_pod_that_only_hangs_is_a_setback_too() -> None:
    found = after(Q8, pod("q4-1", variant="q4", created=NOW - 300, ready=False))
    assert found is not None
    assert found.message == "q4-1: not ready for 300 s"


def test_where_nothing_serves_a_slow_pod_is_waited_for_and_a_broken_one_is_not() -> None:
    slow = pod("q4-1", variant="q4", created=NOW - 300, ready=False)
    assert after(slow, established=None) is None
    broken = replace(slow, hindrance=Hindrance.BLOCKED, hindrance_message="ErrImagePull: not found")
    assert after(broken, established=None) is not None


def test_what_serves_and_has_nothing_to_go_back_to_is_never_set_back() -> None:
    assert after(FAILED, established="q4") is None


def test_a_time_that_cannot_be_blocks_nothing() -> None:
    assert not setback(until=NOW + 10 * LONGEST_BACK_OFF_SECONDS).blocks(NOW)


def test_a_pod_that_cannot_start_says_nothing_of_a_variant_of_which_another_serves() -> None:
    stuck = pod("q4-2", variant="q4", created=NOW - 300, ready=False, trouble="Unschedulable")
    assert after(Q8, pod("q4-1", reading(5.0), variant="q4"), stuck) is None
    assert after(Q8, stuck) is not None


def test_what_there_is_room_for_is_remembered_and_more_is_tried_ever_later() -> None:
    def short(known: dict[str, Shortage], at: float, serving: int = 1) -> dict[str, Shortage]:
        pods = [pod(f"q4-{number}", reading(5.0), variant="q4") for number in range(serving)]
        stuck = pod("q4-stuck", variant="q4", created=NOW - 300, ready=False, trouble="Unschedulable")
        return shortages(known, look(seen(Q8, *pods, stuck), at), LEADS)

    first = short({}, NOW)
    assert (first["q4"].replicas, first["q4"].setback.until_seconds) == (1, NOW + FIRST_BACK_OFF_SECONDS)
    assert short(first, NOW + 30) == first
    assert short(first, NOW + 60)["q4"].setback.until_seconds == NOW + 60 + 2 * FIRST_BACK_OFF_SECONDS
    assert short(first, NOW + 60, serving=2)["q4"].replicas == 2


# --- Places


def held(before: Places | None, *pods: Pod, at: float = NOW) -> Places | None:
    return places(before, look(seen(*pods), at), LEADS)


STUCK = pod("q4-1", variant="q4", created=NOW - 300, ready=False, trouble="Unschedulable: 0/3 nodes")
THREE = tuple(pod(f"q8-{number}", reading(5.0)) for number in range(3))


def test_a_variant_that_finds_no_room_beside_the_others_shows_how_many_places_there_are() -> None:
    found = held(None, *THREE, STUCK)
    assert found == Places(pods=3, until_seconds=NOW + PLACES_SECONDS)
    assert held(found, *THREE, at=NOW + 60) == found


def test_a_replica_more_of_what_serves_that_finds_no_room_shows_nothing_of_the_others() -> None:
    assert held(None, *THREE, pod("q8-4", created=NOW - 300, ready=False, trouble="Unschedulable")) is None


@pytest.mark.parametrize("trouble", ["ImagePullBackOff: x", "OOMKilled, exit code 137"])
def test_what_is_no_lack_of_room_frees_no_place(trouble: str) -> None:
    assert held(None, *THREE, pod("q4-1", variant="q4", created=NOW - 300, ready=False, trouble=trouble)) is None


def test_a_pod_more_that_finds_room_ends_what_was_known_of_places() -> None:
    assert held(Places(pods=2, until_seconds=NOW + 60), *THREE) is None


def test_places_are_forgotten_after_their_time() -> None:
    assert held(Places(pods=3, until_seconds=NOW), *THREE) is None


def test_where_a_freed_place_does_not_help_no_other_is_freed_for_an_hour() -> None:
    found = held(Places(pods=3, until_seconds=NOW + 60), *THREE[:2], STUCK)
    assert found == Places(pods=None, until_seconds=NOW + LONGEST_BACK_OFF_SECONDS)
    assert held(found, *THREE, STUCK, at=NOW + 1800) == found


def test_a_pod_whose_node_is_gone_says_nothing_of_its_variant() -> None:
    lost = replace(pod("q4-1", variant="q4", created=NOW - 300, ready=False), hindrance=Hindrance.LOST)
    assert after(Q8, lost) is None
