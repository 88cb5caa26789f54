"""Promise: the commands of the documentation that only look do what the documentation shows, on a model that serves."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.pages import PAGES, blocks

from e2e.kubectl import ENVIRONMENT, KUBECONFIG, ROOT, Kubectl
from e2e.llmdeployment import START_SECONDS, LLMDeployment, manifest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180), pytest.mark.usefixtures("operator")]

LOOKS = re.compile(r"kubectl (get|explain|describe|wait|logs) |(kubectl )?tokenpace (status|explain|leaderboard)\b")
ELSEWHERE = re.compile(r"--namespace (?!tokenpace-system)|--watch|MetricsAvailable|job/")
"""What is about a namespace of the reader's, what does not end, and what takes load or a benchmark."""


def shown(page: Path) -> Iterator[str]:
    """Yield the commands of a page that only look, without what their output is handed to."""
    for block in blocks(page, "console"):
        for command in re.findall(r"^\$ (.*)$", block.replace("\\\n", " "), re.MULTILINE):
            if LOOKS.match(command) and not ELSEWHERE.search(command):
                yield command.partition(" | ")[0]


COMMANDS = sorted({command for page in PAGES for command in shown(page)})


@pytest.fixture(scope="module")
def desk(namespace: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder and an environment as a reader has them: the model `chat` and speed cards in the current namespace."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "cards").symlink_to(ROOT / "docs" / "cards")
    config = folder / "kubeconfig"
    config.write_bytes(KUBECONFIG.read_bytes())
    path = os.pathsep.join((str(Path(sys.executable).parent), ENVIRONMENT["PATH"]))
    environment = {**ENVIRONMENT, "KUBECONFIG": str(config), "PATH": path}
    set_namespace = ["kubectl", "config", "set-context", "--current", f"--namespace={namespace.namespace}"]
    subprocess.run(set_namespace, env=environment, check=True, capture_output=True)
    namespace("apply", "--filename", str(ROOT / "docs" / "cards"))
    namespace.apply(manifest("chat"))
    LLMDeployment(namespace, "chat").until_condition("Ready", "True", seconds=START_SECONDS)
    return folder, environment


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_shown_works(command: str, desk: tuple[Path, dict[str, str]]) -> None:
    folder, environment = desk
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
