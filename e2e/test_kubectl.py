"""Promise: an LLMDeployment is at home in kubectl."""

import pytest

from e2e.kubectl import Kubectl, KubectlError
from e2e.llmdeployment import START_SECONDS, LLMDeployment, manifest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300), pytest.mark.usefixtures("operator")]

MANUAL = {"mode": "Manual"}


@pytest.fixture(scope="module")
def resource(namespace: Kubectl) -> LLMDeployment:
    namespace.apply(manifest("chat", scaling=MANUAL))
    return LLMDeployment(namespace, "chat")


def test_kubectl_waits_for_ready(resource: LLMDeployment) -> None:
    resource.kubectl("wait", "--for=condition=Ready", "llmdep/chat", f"--timeout={START_SECONDS}s")


def test_kubectl_get_shows_one_line_that_says_how_it_goes(resource: LLMDeployment) -> None:
    head, line = resource.kubectl("get", "llmdep").splitlines()
    assert head.split() == ["NAME", "VARIANT", "REPLICAS", "DEMAND", "SERVED", "TARGET", "SLO", "READY", "AGE"]
    assert line.split()[:3] == ["chat", "q8", "1"]


def test_kubectl_get_wide_adds_the_reason(resource: LLMDeployment) -> None:
    head, line = resource.kubectl("get", "llmdep", "--output=wide").splitlines()
    assert head.split()[-1] == "REASON"
    assert line.split()[-1] == "Manual"


def test_kubectl_get_lists_it_by_category(resource: LLMDeployment) -> None:
    assert "llmdeployment.tokenpace.dev/chat" in resource.kubectl("get", "llm", "--output=name")


@pytest.mark.parametrize("field", ["spec", "spec.slo.stream", "spec.variants.expected", "status.conditions"])
def test_kubectl_explains_every_field(cluster: Kubectl, field: str) -> None:
    text = cluster("explain", f"llmdeployments.{field}")
    assert "<empty>" not in text
    _, _, fields = text.partition("FIELDS:")
    assert fields


def test_kubectl_scale_sets_the_replicas_in_manual_mode(resource: LLMDeployment) -> None:
    resource.kubectl("scale", "llmdep/chat", "--replicas=2")
    resource.until_replicas(2, seconds=20)
    resource.kubectl("scale", "llmdep/chat", "--replicas=1")
    resource.until_replicas(1, seconds=20)


def test_kubectl_scale_is_refused_in_auto_mode_with_a_message_that_says_what_to_do(resource: LLMDeployment) -> None:
    resource.kubectl.apply(manifest("chat"))
    with pytest.raises(KubectlError, match=r"scaling\.mode.*Manual"):
        resource.kubectl("scale", "llmdep/chat", "--replicas=2")
