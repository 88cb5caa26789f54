"""The pages, read as text: what is on them, in which order, and that nothing is that should not be."""

import json
import re
from typing import Any

import pytest
from tests.page.scene import HOSTILE, NOW, Cluster, condition, deployment, stamp, working_at
from tests.page.test_markup import Read

from tokenpace.controller.overview import line
from tokenpace.controller.page.detail import detail_page, page_of_nothing
from tokenpace.controller.page.frame import Occasion, Standing
from tokenpace.controller.page.index import MOST_ROWS, Listed, index_page


def occasion(cluster: Cluster, *, refreshing: bool = False) -> Occasion:
    return Occasion(cluster.page._now(), cluster.page._since, cluster.standing, refreshing=refreshing)


def index(*resources: dict[str, Any], search: str = "", standing: Standing = Standing.WORKS) -> str:
    cluster = Cluster(*resources, standing=standing)
    cluster.look(NOW)
    listed = [Listed(line(one), cluster.page._history.of(one)) for one in resources]
    return index_page(listed, search, occasion(cluster))


def detail(resource: dict[str, Any], *, standing: Standing = Standing.WORKS, refreshing: bool = False) -> str:
    cluster = Cluster(resource, standing=standing)
    cluster.look(NOW)
    return detail_page(cluster.page._detailed(resource), occasion(cluster, refreshing=refreshing))


def working(**changes: Any) -> dict[str, Any]:
    return working_at(NOW, **changes)


def rows(page: str) -> list[list[str]]:
    """Return the text of every cell of every row."""
    return [
        [Read(cell).text for cell in re.findall(r"<t[dh] [^>]*>(.*?)</t[dh]>", row)]
        for row in re.findall(r"<tr role=\"row\"[^>]*>(.*?)</tr>", page)
    ]


def row(page: str, name: str) -> list[str]:
    (found,) = [cells for cells in rows(page) if cells[0] == name]
    return found[1:]


def names(page: str) -> list[str]:
    return re.findall(r'<a href="[\w-]+/([\w-]+)">', page)


def with_conditions(name: str, *conditions: dict[str, Any]) -> dict[str, Any]:
    return deployment(name, conditions=list(conditions))


ALL_IS_WELL = (condition("SLOMet", "True", "Met"), condition("Progressing", "False", "Settled"))


def test_since_when_a_model_sleeps_is_told_of_it() -> None:
    assert "Asleep since 2026-11-23 13:05:30 UTC, for 1 h." in Read(detail(working(asleepSince=stamp(NOW - 3600)))).text
    assert "Asleep since" not in Read(detail(working())).text


def test_trouble_stands_on_top() -> None:
    page = index(
        with_conditions("a-fine", *ALL_IS_WELL),
        deployment("b-unseen"),
        with_conditions("c-missed", condition("SLOMet", "False", "StreamsTooSlow"), ALL_IS_WELL[1]),
        with_conditions("d-limited", *ALL_IS_WELL, condition("ScalingLimited", "True", "BoundsReached")),
    )
    assert names(page) == ["d-limited", "c-missed", "b-unseen", "a-fine"]


def test_a_row_says_what_status_says_of_it() -> None:
    cells = row(index(working(conditions=list(ALL_IS_WELL))), "shop/chat")
    assert cells[:2] == ["Settled", "\N{HEAVY CHECK MARK}met"]
    assert cells[2:8] == ["bf16", "3/3", "575", "575", "780", "1200"]


def test_what_the_operator_has_not_seen_yet_is_unknown_and_not_zero() -> None:
    assert row(index(deployment()), "shop/chat")[1:7] == ["?unknown", "-", "-", "-", "-", "-"]


def test_what_somebody_should_look_at_comes_with_its_sentence() -> None:
    page = index(with_conditions("chat", condition("Ready", "False", "NameConflict", "chat-q8 is a stranger's.")))
    assert "chat-q8 is a stranger's." in row(page, "shop/chat")[0]


def test_the_page_counts_what_is_in_trouble() -> None:
    page = index(with_conditions("a", *ALL_IS_WELL), with_conditions("b", condition("SLOMet", "False", "NoData")))
    tiles = dict(re.findall(r"<dt>([^<]*)</dt><dd[^>]*>(\d+)", page))
    assert tiles == {"in all": "2", "to look at": "0", "missing their SLO": "1", "meeting their SLO": "1"}


def test_one_is_found_by_a_part_of_its_namespace_or_name() -> None:
    three = (deployment("one", "red"), deployment("two", "red"), deployment("three", "blue"))
    assert names(index(*three, search="RED/")) == ["one", "two"]
    assert names(index(*three, search="thr")) == ["three"]
    assert "None has such a namespace or name." in index(*three, search="four")


def test_a_page_does_not_grow_without_end_and_says_so() -> None:
    page = index(*(deployment(f"chat-{number}") for number in range(MOST_ROWS + 1)))
    assert len(names(page)) == MOST_ROWS
    assert f"The first {MOST_ROWS} of {MOST_ROWS + 1} are shown" in page


def test_an_empty_cluster_is_told_as_such() -> None:
    assert "There is no LLMDeployment that this operator serves." in index()


@pytest.mark.parametrize("standing", list(Standing))
def test_every_page_says_who_draws_it(standing: Standing) -> None:
    for page in (index(deployment(), standing=standing), detail(deployment(), standing=standing)):
        assert f"the operator {standing}" in page
        assert ('role="status"' in page) == (standing in (Standing.IS_READING, Standing.IS_CUT_OFF))


def test_the_decision_stands_with_its_reason_its_sentence_and_its_time() -> None:
    decided = {
        "time": stamp(NOW - 120),
        "action": "bf16: 3",
        "reason": "DemandAboveCapacity",
        "message": "Demand 700 tokens/s needs 3 replicas of bf16 at 260 tokens/s each.",
    }
    text = Read(detail(working(lastDecision=decided))).text
    assert "bf16: 3 DemandAboveCapacity since 2026-11-23 14:03:30 UTC, 2 min" in text
    assert decided["message"] in text


def test_every_decision_is_listed_the_latest_first() -> None:
    resource = working()
    cluster = Cluster(resource)
    for number in range(3):
        resource["status"]["lastDecision"] = {
            "time": stamp(NOW + 60 * number),
            "action": f"bf16: {number}",
            "reason": "AtTarget",
            "message": f"Sentence {number}.",
        }
        cluster.look(NOW + 60 * number)
    page = detail_page(cluster.page._detailed(resource), occasion(cluster))
    listed = [cells for cells in rows(page) if len(cells) == 4 and cells[2] == "AtTarget"]
    assert [cells[3] for cells in listed] == ["Sentence 2.", "Sentence 1.", "Sentence 0."]
    assert listed[1][:2] == ["2026-11-23 14:06:30 1 min ago", "bf16: 1"]


def test_the_ladder_tells_quality_cost_replicas_and_where_capacity_is_known_from() -> None:
    page = detail(working())
    assert row(page, "bf16") == ["100", "2.5", "3/3", "260", "learned", "95 s", ""]
    assert row(page, "awq") == ["97.4", "1.25", "0/0", "490", "declared", "80 s", ""]


def test_a_variant_that_is_held_back_says_why() -> None:
    setback = {"templateHash": "h", "failures": 2, "until": stamp(NOW + 600), "message": "it does not load"}
    standing = {"name": "awq", "replicas": 0, "ready": 0, "setback": setback}
    assert row(detail(working(variants=[standing])), "awq")[-1] == "failed 2x, not before 14:15:30: it does not load"


def test_a_variant_that_is_no_longer_declared_is_retiring() -> None:
    page = detail(working(variants=[{"name": "old", "replicas": 1, "ready": 1}]))
    assert ["old retiring", "-", "-", "1/1", "-", "-", "-", ""] in rows(page)


def test_what_is_promised_stands_beside_what_is_measured() -> None:
    page = detail(working(slo={"goodPercent": "99.9", "budgetRemainingPercent": "80"}))
    assert row(page, "Generation")[:2] == ["1200", "575"]
    assert row(page, "Stream") == ["25", "28.4", "tokens/s that 50 % of requests see at least"]
    assert row(page, "First token")[:2] == ["1500 ms", "-"]
    meaning = "of minutes are good over 24 h; 80 % of the error budget is left"
    assert row(page, "Objective") == ["99.5 %", "99.9 %", meaning]
    assert row(page, "Quality")[:2] == ["95 %", "100 %"]


def test_every_condition_is_told() -> None:
    page = detail(working(conditions=[condition("Degraded", "True", "SLONeedsSpeed", "awq serves.")]))
    assert row(page, "Degraded") == ["True", "SLONeedsSpeed", "awq serves.", "1 h"]


def test_what_would_change_the_fleet_is_told() -> None:
    assert "Demand above 9 tokens/s." in detail(working(outlook=["Demand above 9 tokens/s."]))


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({"observedGeneration": None}, "The operator has not reported on it yet."),
        ({"observedGeneration": 0}, "The operator has not reported on the latest change of its spec yet."),
    ],
)
def test_a_status_that_is_not_of_this_spec_is_told_as_such(status: dict[str, Any], told: str) -> None:
    assert told in detail(deployment(**status))


def test_a_resource_of_another_version_is_shown_as_far_as_it_can_be_read() -> None:
    resource = working(conditions=[condition("Ready", "False", "InvalidSpec", "spec.slo is wrong.")])
    resource["spec"]["slo"] = {"speed": "fast", "stream": 3}
    page = detail(resource)
    assert "<code>tokenpace explain</code> names the field." in page
    assert row(page, "Ready")[2] == "spec.slo is wrong."


def test_no_page_moves_unless_it_was_asked_to() -> None:
    assert "look again every 30 s</a>" in detail(deployment())
    assert "looks again every 30 s: stop</a>" in detail(deployment(), refreshing=True)


def test_what_is_not_there_is_told_as_such() -> None:
    assert "<h1>Not found</h1>" in page_of_nothing(occasion(Cluster()))


def hostile(value: Any, depth: int = 0) -> Any:
    """Return a value whose every string is hostile, but for what the pages look for by name."""
    if isinstance(value, dict):
        return {key: one if key in {"uid", "time"} else hostile(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list):
        return [hostile(one, depth + 1) for one in value]
    return HOSTILE if isinstance(value, str) else value


def test_nothing_that_anybody_declares_or_reports_becomes_markup() -> None:
    """Admission would refuse most of it; a page that trusts that would be one bug away."""
    clean = working()
    harmless = {"html", "head", "meta", "title", "link", "style", "body", "header", "main", "footer", "section"}
    known = set(Read(index(clean, deployment("b"))).tags) | set(Read(detail(clean)).tags) | harmless | {"form", "input"}
    known |= {"label", "button"}
    text = working(
        variant=HOSTILE,
        outlook=[HOSTILE],
        lastDecision={"time": stamp(NOW), "action": HOSTILE, "reason": HOSTILE[:64], "message": HOSTILE},
        conditions=[condition(kind, "True", HOSTILE[:64], HOSTILE) for kind in (HOSTILE, "Ready", "ScalingLimited")],
    )
    for resource in (text, hostile(clean)):
        for page in (index(resource), index(resource, search=HOSTILE), detail(resource)):
            read = Read(page)
            assert set(read.tags) <= known - {"script", "img"}
            assert not [name for name, _ in read.attributes if name.startswith("on")]
            assert not [value for name, value in read.attributes if name == "href" and (value or "").startswith("java")]
            assert "<script" not in page


def test_no_arguments_no_environment_and_no_annotations_are_shown() -> None:
    """`kubectl get -o yaml` has them; whoever looks at the page may not be allowed that."""
    resource = working()
    resource["metadata"] |= {"annotations": {"note": "s3cret"}, "labels": {"a": "s3cret"}}
    resource["spec"]["model"]["source"] = {"huggingFace": {"repo": "s3cret/s3cret"}}
    resource["spec"]["variants"][0] |= {
        "engine": {"type": "VLLM", "args": ["s3cret"], "env": [{"name": "A", "value": "s3cret"}], "image": "s3cret"},
        "podTemplate": {"spec": {"nodeName": "s3cret"}},
    }
    assert "s3cret" not in index(resource) + detail(resource)


def test_every_table_says_what_it_is_and_every_heading_what_it_heads() -> None:
    page = detail(working())
    assert page.count("<table") == page.count("<caption") == 4
    heads = re.findall(r"<th ([^>]*)>", page)
    assert heads
    assert all('scope="col"' in one or 'scope="row"' in one for one in heads)


def test_a_page_is_not_only_read_by_its_colours() -> None:
    """A state is a word and a sign beside its colour; each curve has dashes of its own."""
    assert json.dumps(rows(detail(working()))).isprintable()
    assert Read(index(with_conditions("a", condition("SLOMet", "False", "NoData")))).text.count("missed") == 1
