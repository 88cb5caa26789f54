"""Canaries run beside the ticks, a few at a time, and what they show is kept for as long as the pod is there."""

import asyncio
from typing import Any

import pytest
from tests.controller.operator_in_memory import Operator

from tokenpace.api import names
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.controller.canaries import Canaries, questions
from tokenpace.engines.engine import GenerationApi
from tokenpace.probing.outcome import Failed, Outcome, Passed, Slow, Unknown
from tokenpace.probing.question import Question

PASSED = Passed(seconds_to_first_token=0.1, tokens=8, tokens_per_second=20.0)


class Pods:
    """Pods that answer what a test tells them to, once it lets them."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.answers: dict[str, Outcome | Exception] = {}
        self.asked: list[str] = []
        self.results: list[Outcome] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.canaries = Canaries(on_result=self.results.append, try_generation=self.answer, monotonic=lambda: self.now)

    async def answer(self, question: Question) -> Outcome:
        self.asked.append(question.model)
        await self.answering.wait()
        answer = self.answers.get(question.model, PASSED)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def ask(self, *uids: str, owner: str = "chat") -> None:
        """Ask pods of these UIDs, and let everything happen that can happen now."""
        asked = {uid: Question(url="http://10.0.0.7", model=uid, api=GenerationApi.COMPLETIONS) for uid in uids}
        self.canaries.ask(owner, uids, asked)
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
async def pods() -> Pods:
    return Pods()


async def test_asking_does_not_wait_for_the_answer(pods: Pods) -> None:
    pods.answering.clear()
    await pods.ask("a")
    assert (pods.asked, pods.canaries.outcomes("chat")) == (["a"], {})


async def test_what_a_pod_has_shown_is_kept_and_told(pods: Pods) -> None:
    await pods.ask("a")
    assert (pods.canaries.outcomes("chat"), pods.results) == ({"a": PASSED}, [PASSED])


async def test_at_most_four_are_asked_at_once(pods: Pods) -> None:
    pods.answering.clear()
    await pods.ask(*"abcdef")
    assert len(pods.asked) == 4
    pods.answering.set()
    await pods.ask(*"abcdef")
    assert sorted(pods.asked) == list("abcdef")


async def test_a_pod_that_is_being_asked_is_not_asked_again(pods: Pods) -> None:
    pods.answering.clear()
    await pods.ask("a")
    pods.now += 3600
    await pods.ask("a")
    assert pods.asked == ["a"]


@pytest.mark.parametrize("answer", [PASSED, Failed("CUDA error")])
async def test_a_pod_that_has_passed_or_failed_is_not_asked_again(pods: Pods, answer: Outcome) -> None:
    pods.answers["a"] = answer
    await pods.ask("a")
    pods.now += 3600
    await pods.ask("a")
    assert pods.asked == ["a"]


@pytest.mark.parametrize("answer", [Unknown("no route"), Slow("60 s"), RuntimeError("a fault of ours")])
async def test_a_pod_that_showed_nothing_for_certain_is_asked_again_after_ten_seconds(
    pods: Pods, answer: Outcome | Exception
) -> None:
    pods.answers["a"] = answer
    await pods.ask("a")
    pods.now += 9.9
    await pods.ask("a")
    assert pods.asked == ["a"]
    pods.now += 0.1
    pods.answers["a"] = PASSED
    await pods.ask("a")
    assert pods.canaries.outcomes("chat") == {"a": PASSED}


async def test_what_a_pod_showed_is_forgotten_with_it(pods: Pods) -> None:
    await pods.ask("a")
    await pods.ask("b")
    assert pods.canaries.outcomes("chat") == {"b": PASSED}


async def test_a_pod_that_goes_while_it_is_asked_is_not_waited_for(pods: Pods) -> None:
    pods.answering.clear()
    await pods.ask("a")
    await pods.ask()
    pods.answering.set()
    await pods.ask()
    assert pods.results == []


async def test_pods_of_one_resource_are_nothing_to_another(pods: Pods) -> None:
    await pods.ask("a")
    await pods.ask("b", owner="code")
    assert (pods.canaries.outcomes("chat"), pods.canaries.outcomes("code")) == ({"a": PASSED}, {"b": PASSED})


async def test_pods_of_a_resource_that_is_gone_are_forgotten(pods: Pods) -> None:
    await pods.ask("a")
    pods.canaries.forget_all_but({"code"})
    assert pods.canaries.outcomes("chat") == {}


def pod(name: str = "chat-q8-x", variant: str = "q8", address: str | None = "10.0.0.7") -> dict[str, Any]:
    status = {"podIP": address} if address else {}
    return {
        "metadata": {"name": name, "uid": f"uid-of-{name}", "labels": {names.VARIANT_LABEL: variant}},
        "status": status,
    }


def asked(resource: Any, one: dict[str, Any]) -> Question | None:
    spec = LLMDeploymentSpec.model_validate(resource["spec"])
    return questions(spec, [one], {"chat-q8-x"}).get("uid-of-chat-q8-x")


def test_a_pod_is_asked_at_its_own_address_for_the_name_that_clients_use(resource: Any) -> None:
    assert asked(resource, pod()) == Question(
        url="http://10.0.0.7:8080", model="chat", api=GenerationApi.COMPLETIONS, context_tokens=2048
    )


def test_a_server_of_the_users_own_is_asked_where_it_is_declared_to_be(resource: Any) -> None:
    (variant,) = (one for one in resource["spec"]["variants"] if one["name"] == "q8")
    metrics = {"generatedTokens": "tokens_total", "runningStreams": "streams"}
    variant["engine"] = {"type": "Custom", "image": "acme/server:1.2.3"}
    variant["custom"] = {"port": 9000, "completionsPath": "/openai/completions", "metrics": metrics}
    question = asked(resource, pod())
    assert question is not None
    assert question.url + question.completions_path == "http://10.0.0.7:9000/openai/completions"


def test_an_address_of_version_6_stands_in_brackets(resource: Any) -> None:
    question = asked(resource, pod(address="fd00::7"))
    assert question is not None
    assert question.url == "http://[fd00::7]:8080"


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(pod(name="other"), id="nobody wants to know"),
        pytest.param(pod(address=None), id="no address yet"),
        pytest.param(pod(variant="gone"), id="a variant that is retiring"),
    ],
)
def test_pods_that_cannot_or_need_not_be_asked_are_left_out(resource: Any, one: dict[str, Any]) -> None:
    assert asked(resource, one) is None


def test_a_pod_of_a_workload_that_exists_anyway_is_not_asked(resource: Any) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "today"}
    resource["spec"]["variants"] = [{"name": "q8", "scaleTargetRef": target, "metrics": "LlamaCpp"}]
    assert asked(resource, pod()) is None


def test_a_tenth_of_the_promised_speed_is_the_least(resource: Any) -> None:
    resource["spec"]["slo"]["stream"] = {"tokensPerSecond": 25}
    resource["spec"]["variants"][0]["expected"] = {"streamTokensPerSecond": 40}
    question = asked(resource, pod())
    assert question is not None
    assert question.least_tokens_per_second == 2.5


def test_a_tenth_of_the_expected_speed_is_the_least_where_none_is_promised(resource: Any) -> None:
    resource["spec"]["variants"][0]["expected"] = {"streamTokensPerSecond": 40}
    question = asked(resource, pod())
    assert question is not None
    assert question.least_tokens_per_second == 4.0


async def test_no_canary_outlives_the_loop(fake: Any) -> None:
    """The process would wait for it when it is told to end."""
    operator, asked = Operator(fake), asyncio.Event()

    async def stay_silent(_: Question) -> Outcome:
        asked.set()
        await asyncio.Event().wait()
        return PASSED

    canaries = Canaries(on_result=operator.loop._on_canary, try_generation=stay_silent)
    operator.loop._canaries = canaries
    running = asyncio.create_task(operator.loop.run())
    while not operator.metrics.registry.get_sample_value("tokenpace_last_tick_timestamp_seconds"):  # noqa: ASYNC110 - the loop tells nobody
        await asyncio.sleep(0)
    question = Question(url="http://10.0.0.7", model="chat", api=GenerationApi.COMPLETIONS)
    canaries.ask("chat", {"a"}, {"a": question})
    await asked.wait()

    running.cancel()
    await asyncio.wait({running})
    await asyncio.sleep(0)
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("canary")]
