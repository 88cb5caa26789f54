"""One policy, one scenario, one seed: what comes of it."""

from collections import Counter
from collections.abc import Mapping
from functools import partial

from tokenpace.replay.agenda import Agenda, Turn
from tokenpace.replay.cluster import Cluster
from tokenpace.replay.engine import Answer
from tokenpace.replay.outcome import Change, ClientView, Moment, Outcome
from tokenpace.replay.policies.policy import Policy
from tokenpace.replay.scraping import Prometheus
from tokenpace.replay.traffic import Request
from tokenpace.replay.truth import Scenario


def simulate(scenario: Scenario, policy: Policy, *, seed: int, name: str, setting: float) -> Outcome:
    """Replay a scenario's traffic on its fleet while a policy scales it.

    Traffic, start-ups, balancing, scrapes and failures have each their own stream of chance from the seed, none of
    which the policy moves: policies are compared on the same luck (common random numbers).
    The first decision comes one interval after the beginning. At the end of the traffic the policy has no more say:
    what is in work is served to its end, by pods whose lives go on.

    Args:
        scenario: The fleet, its traffic and its faults.
        policy: Fresh: it may remember.
        seed: Of everything that is left to chance.
        name: The policy's, for the outcome.
        setting: The policy's, for the outcome.

    Raises:
        ValueError: The policy asks for a variant that the fleet does not have, or for less than nothing.
    """
    replay = _Replay(scenario, policy, seed)
    replay.run()
    return Outcome(
        scenario=scenario.name,
        seed=seed,
        policy=name,
        setting=setting,
        seconds=replay.traffic.seconds,
        requests=tuple(_client_view(answer) for answer in replay.answers),
        moments=tuple(replay.moments),
        changes=tuple(replay.changes),
        pod_seconds=replay.cluster.pod_seconds(replay.traffic.seconds),
    )


class _Replay:
    """Everything that happens in one replay, and what is written down of it."""

    def __init__(self, scenario: Scenario, policy: Policy, seed: int) -> None:
        fleet = scenario.fleet
        self.traffic = scenario.traffic(seed)
        self.policy = policy
        self.agenda = Agenda()
        self.answers: list[Answer] = []
        self.moments: list[Moment] = []
        self.changes: list[Change] = []
        self.moment_seconds = fleet.scrape_seconds
        self.prometheus = Prometheus(
            scenario.faults,
            self.agenda,
            interval_seconds=fleet.scrape_seconds,
            until_seconds=self.traffic.seconds,
            seed=seed,
        )
        self.cluster = Cluster(
            fleet,
            scenario.faults,
            self.agenda,
            seed=seed,
            on_end=self._reply,
            on_ready=self.prometheus.discover,
        )

    def run(self) -> None:
        """Replay the traffic, and serve out what is left at its end."""
        self._await_recorded(0)
        self._await_moment(1)
        self._await_decision(1)
        self.agenda.run()

    def _await_recorded(self, number: int) -> None:
        if number < len(self.traffic.requests):
            at_seconds = self.traffic.requests[number].at_seconds
            self.agenda.put(at_seconds, Turn.ARRIVAL, partial(self._arrive_recorded, number))

    def _arrive_recorded(self, number: int, now: float) -> None:
        self._arrive(self.traffic.requests[number], now)
        self._await_recorded(number + 1)

    def _arrive(self, request: Request, now: float) -> None:
        answer = Answer(request)
        self.answers.append(answer)
        self.cluster.send(answer, now)

    def _reply(self, answer: Answer, now: float) -> None:
        """Let a client that waits for its answers go on, also after a failure."""
        if self.traffic.reply is None:
            return
        following = self.traffic.reply.after(answer.request, now)
        if following is not None and following.at_seconds < self.traffic.seconds:
            self.agenda.put(following.at_seconds, Turn.ARRIVAL, partial(self._arrive, following))

    def _await_moment(self, number: int) -> None:
        at_seconds = number * self.moment_seconds
        if at_seconds <= self.traffic.seconds:
            self.agenda.put(at_seconds, Turn.MOMENT, partial(self._note_moment, number))

    def _note_moment(self, number: int, now: float) -> None:
        pods = self.cluster.pods
        self.moments.append(
            Moment(
                at_seconds=now,
                asked=dict(self.cluster.asked),
                pods=Counter(pod.variant for pod in pods if pod.on_node_since_seconds is not None),
                ready=Counter(pod.variant for pod in pods if pod.serving),
                running=sum(pod.engine.running for pod in pods),
                waiting=sum(pod.engine.waiting for pod in pods) + len(self.cluster.in_front),
            )
        )
        self._await_moment(number + 1)

    def _await_decision(self, number: int) -> None:
        at_seconds = number * self.policy.interval_seconds
        if at_seconds < self.traffic.seconds:
            self.agenda.put(at_seconds, Turn.DECISION, partial(self._decide, number))

    def _decide(self, number: int, now: float) -> None:
        asked = self._checked(self.policy.decide(self.prometheus.view(self.cluster, now)))
        anew = {variant: replicas for variant, replicas in asked.items() if replicas != self.cluster.asked[variant]}
        if anew:
            self.cluster.scale(anew, now)
            self.changes.append(Change(now, dict(self.cluster.asked)))
        self._await_decision(number + 1)

    def _checked(self, asked: Mapping[str, int]) -> Mapping[str, int]:
        for variant, replicas in asked.items():
            if variant not in self.cluster.asked:
                known = ", ".join(self.cluster.asked)
                raise ValueError(f"the policy asks for variant {variant!r}, which is none of the fleet's: {known}")
            if replicas < 0:
                raise ValueError(f"the policy asks for {replicas} replicas of {variant}; the least is 0")
        return asked


def _client_view(answer: Answer) -> ClientView:
    request = answer.request
    return ClientView(
        at_seconds=request.at_seconds,
        prompt_tokens=request.prompt_tokens,
        demanded_tokens=request.generated_tokens,
        generated_tokens=answer.generated_tokens,
        first_token_at_seconds=answer.first_token_at_seconds,
        ended_at_seconds=answer.ended_at_seconds,
        variant=None if answer.first_token_at_seconds is None else answer.variant,
    )
