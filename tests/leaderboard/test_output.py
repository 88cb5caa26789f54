"""The leaderboard as people get it: from files or a cluster, as a table, a page or JSON."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.api.test_speed_card import CARDS
from typer.testing import CliRunner

from tokenpace.cli import app
from tokenpace.cluster.kinds import SPEED_CARDS, Kind

RUNNER = CliRunner()
WHOLE = yaml.safe_load((CARDS / "good" / "whole.yaml").read_text())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two cards below a folder, one of them in a list, among other objects."""
    slow = {**WHOLE, "metadata": {"name": "slow<b>"}}
    slow["spec"] = {**WHOLE["spec"], "fit": {**WHOLE["spec"]["fit"], "step": {"nanoseconds": 10**8}}}
    slow["spec"]["fit"]["step"]["standardErrorNanoseconds"] = 0
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "one.yaml").write_text(yaml.safe_dump_all([{"kind": "Pod"}, WHOLE]))
    (tmp_path / "list.json").write_text(json.dumps({"kind": "List", "items": [slow]}, default=str))
    (tmp_path / "notes.txt").write_text("nothing of ours")
    return tmp_path


def run(*arguments: str, code: int = 0) -> str:
    result = RUNNER.invoke(app, ["leaderboard", *arguments])
    assert result.exit_code == code, result.stderr
    return result.stdout if code == 0 else result.stderr


def test_a_table_tells_what_dominates_what(folder: Path) -> None:
    lines = run("-f", str(folder), "--stream", "4").splitlines()
    assert [line.split()[0] for line in lines[3:5]] == ["smollm2-q8", "slow<b>"]
    assert lines[4].endswith("dominated by smollm2-q8")
    assert "at least 4 tokens/s" in lines[0]


def test_json_has_what_the_table_has(folder: Path) -> None:
    read = json.loads(run("-f", str(folder), "-o", "json"))
    assert [one["name"] for one in read["entries"]] == ["smollm2-q8", "slow<b>"]


class Page(HTMLParser):
    """Collects what a page loads from elsewhere, and its open tags."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 (the base class)
        return

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_is_whole_and_needs_nothing_from_elsewhere(folder: Path) -> None:
    text = run("-f", str(folder), "-o", "html")
    read = Page()
    read.feed(text)
    assert (read.open, read.loads) == ([], [])
    assert "<svg" in text
    assert "@import" not in text


def test_what_a_card_says_cannot_become_part_of_the_page(folder: Path) -> None:
    text = run("-f", str(folder), "-o", "html")
    assert "slow&lt;b&gt;" in text
    assert "slow<b>" not in text


def test_a_card_that_cannot_be_read_is_told_with_file_and_field(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump({**WHOLE, "spec": {**WHOLE["spec"], "fit": {}}}))
    assert "bad.yaml: smollm2-q8: spec.fit.step: " in run("-f", str(tmp_path), code=1)


@pytest.mark.parametrize("text", ["a: [", "\x00"])
def test_a_file_that_is_no_yaml_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    assert "bad.yaml" in run("-f", str(tmp_path), code=1)


def test_a_file_that_is_not_there_is_an_error_and_no_traceback() -> None:
    assert "no-such" in run("-f", "no-such.yaml", code=1)


def test_the_cluster_is_asked_where_no_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str | None, bool, Kind]] = []

    async def found(namespace: str | None, *, everywhere: bool, kind: Kind) -> list[dict[str, Any]]:
        asked.append((namespace, everywhere, kind))
        return [{**WHOLE, "metadata": {"name": "q8", "namespace": "shop"}}]

    monkeypatch.setattr("tokenpace.cli.look_up_all", found)
    assert "q8" in run("-n", "shop")
    assert "shop/q8" in run("-A")
    assert asked == [("shop", False, SPEED_CARDS), (None, True, SPEED_CARDS)]
