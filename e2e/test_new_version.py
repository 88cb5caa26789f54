"""Promise: a new version of the operator restarts nothing, even if it would launch pods otherwise."""

import subprocess
from collections.abc import Iterator

import pytest

from e2e.images import built_image
from e2e.installation import install_operator
from e2e.kubectl import ROOT, Kubectl
from e2e.llmdeployment import START_SECONDS, LLMDeployment, manifest
from e2e.running_operator import RunningOperator
from e2e.story import Story, told

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.disruptive,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("the operator is taken away"),
]

VARIANT = "q8"
LOAD = 0.5
"""Replicas' worth: one is enough throughout."""


@pytest.fixture(scope="module")
def story(operator: RunningOperator, namespace: Kubectl) -> Iterator[Story]:
    with told(LLMDeployment(namespace, "chat"), manifest("chat"), operator) as begun:
        begun.resource.until_condition("Ready", "True", seconds=START_SECONDS)
        begun.add_load("load", LOAD * begun.recording.capacity_of_a_replica())
        yield begun


def test_a_new_version_of_the_operator_that_renders_otherwise_restarts_no_pod(
    story: Story, cluster: Kubectl, other_renderer: str
) -> None:
    before = story.resource.pods()

    install_operator(cluster, image=other_renderer)

    outdated = story.resource.until_condition("Progressing", "False", reason="TemplateOutdated", seconds=60)
    assert VARIANT in outdated["message"]
    assert story.resource.pods() == before
    assert story.broken_streams() == []


@pytest.fixture
def other_renderer(cluster: Kubectl) -> Iterator[str]:
    """Return an operator image whose pods of llama.cpp have another grace period; in the end the real one is back."""
    image = "localhost/tokenpace/operator:other-renderer"
    edit = (
        "cd /opt/tokenpace/lib/python3*/site-packages/tokenpace/engines"
        " && sed -i 's/^DRAIN_SECONDS.*/DRAIN_SECONDS = 299/' llama_cpp.py && rm __pycache__/llama_cpp.*"
    )
    dockerfile = f"FROM {built_image('operator')}\nUSER root\nRUN {edit}\nUSER 65532:65532\n"
    build = ["docker", "build", "--quiet", "--tag", image, "-"]
    subprocess.run(build, input=dockerfile, text=True, check=True, capture_output=True)
    subprocess.run([ROOT / "hack" / "load-image.sh", image], check=True, capture_output=True)
    yield image
    install_operator(cluster)
