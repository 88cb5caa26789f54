"""What hack/engine.sh does to a machine whose Docker engine is somebody else's. `docker` and `iptables` are fakes."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULE = "DOCKER-USER --destination 10.96.0.0/16 --jump REJECT"
FAKE_IPTABLES = """\
#!/bin/sh
case $1 in
  --check) test -e "$STATE/rule" ;;
  --insert) touch "$STATE/rule"; echo "$*" >> "$STATE/calls" ;;
  --delete) rm "$STATE/rule" && echo "$*" >> "$STATE/calls" ;;
esac
"""


@pytest.fixture
def engine(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that runs the script and returns what it says."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {"docker": "#!/bin/sh\n", "iptables": FAKE_IPTABLES}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    clone = tmp_path / "clone"  # one without .tools, which would come first in the PATH
    clone.mkdir()
    (clone / "hack").symlink_to(ROOT / "hack")
    environment = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "STATE": str(tmp_path),
        "TOKENPACE_CACHE": str(tmp_path / "cache"),
        "SETUP": "yes",
    }

    def run(command: str) -> str:
        script = [str(clone / "hack" / "engine.sh"), command]
        return subprocess.run(script, env=environment, check=True, capture_output=True, text=True).stderr

    return run


def test_what_up_left_in_the_firewall_goes_although_the_engine_is_not_ours(
    engine: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "rule").touch()
    engine("down")
    assert (tmp_path / "calls").read_text() == f"--delete {RULE}\n"


def test_nothing_in_the_firewall_is_nothing_to_take_back(engine: Callable[[str], str]) -> None:
    assert not engine("down")


@pytest.mark.skipif(os.geteuid() != 0, reason="the script touches the firewall only as root")
def test_a_rule_is_announced_once_and_inserted_once(engine: Callable[[str], str], tmp_path: Path) -> None:
    said = [engine("up"), engine("up")]
    assert ["iptables" in one for one in said] == [True, False]
    assert (tmp_path / "calls").read_text() == f"--insert {RULE}\n"
