"""What of a comparison outlives its process."""

from pathlib import Path

import pytest
from tests.replay.test_comparison import CASES, small_scenarios

from tokenpace.replay.archive import FILE, Archive, ArchiveError
from tokenpace.replay.comparison import Replayed, replay_all


@pytest.fixture(scope="module")
def replayed() -> tuple[Replayed, ...]:
    return tuple(replay_all(CASES[:2], small_scenarios, processes=1).values())


@pytest.fixture
def traffic(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text("timestamp,prompt,generated\n0,1,1\n", encoding="utf-8")
    return path


def keep(folder: Path, replayed: tuple[Replayed, ...], trace: Path | None = None) -> None:
    archive = Archive.begin(folder, (trace, None), resume=False)
    for one in replayed:
        archive.keep(one)


def test_what_was_replayed_is_found_again_as_it_was(tmp_path: Path, replayed: tuple[Replayed, ...]) -> None:
    keep(tmp_path, replayed)
    found = Archive.begin(tmp_path, (None, None), resume=True)
    assert found.replayed == {one.case: one for one in replayed}


def test_a_line_that_was_cut_off_is_left_out_and_may_be_written_again(
    tmp_path: Path, replayed: tuple[Replayed, ...]
) -> None:
    keep(tmp_path, replayed)
    written = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(written[:-10])
    found = Archive.begin(tmp_path, (None, None), resume=True)
    assert list(found.replayed) == [replayed[0].case]
    found.keep(replayed[1])
    assert (tmp_path / FILE).read_bytes() == written


def test_a_file_that_was_cut_off_within_its_first_line_begins_anew(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b'{"tokenpace"')
    assert Archive.begin(tmp_path, (None, None), resume=True).replayed == {}


def test_without_being_told_to_go_on_everything_is_replayed(tmp_path: Path, replayed: tuple[Replayed, ...]) -> None:
    keep(tmp_path, replayed)
    assert Archive.begin(tmp_path, (None, None), resume=False).replayed == {}
    assert len((tmp_path / FILE).read_text(encoding="utf-8").splitlines()) == 1


def test_what_was_replayed_from_another_trace_does_not_count(
    tmp_path: Path, replayed: tuple[Replayed, ...], traffic: Path
) -> None:
    keep(tmp_path, replayed, traffic)
    traffic.write_text("timestamp,prompt,generated\n0,1,2\n", encoding="utf-8")
    with pytest.raises(ArchiveError, match=r"another trace or fleet, or by another version: run without --resume"):
        Archive.begin(tmp_path, (traffic, None), resume=True)


def test_a_line_that_no_version_wrote_is_refused(tmp_path: Path, replayed: tuple[Replayed, ...]) -> None:
    keep(tmp_path, replayed)
    with (tmp_path / FILE).open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(ArchiveError, match="run without --resume"):
        Archive.begin(tmp_path, (None, None), resume=True)
