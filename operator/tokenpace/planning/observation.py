"""What the planner sees: one immutable picture of one LLMDeployment at one moment.

Engines translate their own metrics into a `Reading`; everything engine-specific ends there.
Rates are means over the window of the queries, by pod.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tokenpace.api.speed_card import LLMSpeedCardSpec


class Unmeasured(StrEnum):
    """What some engines do not measure, though every plan needs it: `tokenpace.planning.unmeasured` estimates it."""

    PROMPT_TOKENS = "PromptTokens"
    WAITING_REQUESTS = "WaitingRequests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one pod's engine did during one window.

    ``None`` means that this engine does not measure it, which is never the same as zero.
    """

    window_seconds: float
    generated_tokens_per_second: float
    prompt_tokens_per_second: float
    """Prompt tokens computed, not those found in a prefix cache where the engine tells them apart."""
    running_streams: float
    """Requests being worked on: the mean over every scrape of the window."""
    waiting_requests: float
    """Requests accepted by the engine and not yet started, at the last scrape."""
    slots: float | None = None
    """Batch limit of the engine, where it exports one."""
    requests_per_second: float | None = None
    """Requests admitted."""
    tokens_per_completion: float | None = None
    """Mean generated tokens of the requests that ended in the window."""
    seconds_per_prompt_token: float | None = None
    """The engine's own prefill seconds divided by its prompt tokens (c of design section 4)."""
    prompts_share_steps: bool = False
    """Whether those seconds are a clock's, from a prompt's start to its first token, in which the streams that run
    take a step along: then that step is in them, too."""
    seconds_per_output_token: float | None = None
    """The engine's own time per output token of a stream (y of design section 4)."""
    unmeasured: frozenset[Unmeasured] = frozenset()
    """What of the above is 0 only because the engine does not measure it."""


@dataclass(frozen=True, slots=True)
class Live:
    """The pod's series are there and it works."""

    reading: Reading


@dataclass(frozen=True, slots=True)
class Idle:
    """The pod's series are there and it has nothing to do."""

    reading: Reading


@dataclass(frozen=True, slots=True)
class Missing:
    """The pod is ready and Prometheus has no series of it. Nothing is known: this is not zero."""


@dataclass(frozen=True, slots=True)
class Stale:
    """The pod's last sample is too old to decide on."""

    age_seconds: float


Sample = Live | Idle | Missing | Stale
"""What is known of one pod: a closed set."""


CANARY_TOKENS = 8
"""What a canary asks for: enough to see a stream's speed, and a quarter of a second of a pod's time at 32 tokens/s."""


class Canary(StrEnum):
    """What a real generation by a pod, asked for through its API, has shown."""

    UNTRIED = "Untried"
    """Nobody has asked it yet, or it could not be reached, which says nothing about it."""
    PASSED = "Passed"
    FAILED = "Failed"


class Hindrance(StrEnum):
    """What keeps a pod from serving, a closed set: how long to wait, and whether another one would do better."""

    NONE = "None"
    """Nothing is known to be wrong: it starts, or it hangs."""
    UNPREPARED = "Unprepared"
    """Its volumes or its network are not there on its node: for a moment in every start, and for as long as another
    node holds a claim."""
    BLOCKED = "Blocked"
    """Its containers cannot start: ImagePullBackOff, CrashLoopBackOff, OOMKilled ..."""
    UNSCHEDULABLE = "Unschedulable"
    """No node can take it."""
    OVER_QUOTA = "OverQuota"
    """The cluster makes no pod of this replica, because a quota is used up."""
    REFUSED = "Refused"
    """The cluster makes no pod of this replica, because a policy forbids it."""
    LOST = "Lost"
    """Nothing is heard of its node any more."""

    @property
    def is_usual(self) -> bool:
        """Whether every pod that starts shows it for a while."""
        return self in (Hindrance.NONE, Hindrance.UNPREPARED)

    @property
    def recurs(self) -> bool:
        """Whether one more replica would meet the same, where it lasts."""
        return self not in (Hindrance.NONE, Hindrance.LOST)

    @property
    def has_place(self) -> bool:
        """Whether a node has room for it, as far as is known."""
        return self in (Hindrance.NONE, Hindrance.UNPREPARED, Hindrance.BLOCKED)

    @property
    def lacks_room(self) -> bool:
        """Whether the place of another pod is what it needs."""
        return self in (Hindrance.UNSCHEDULABLE, Hindrance.OVER_QUOTA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod of one variant, or a replica that the cluster makes no pod of. Times are Unix seconds of its clock."""

    name: str
    variant: str
    template_hash: str
    """Hash of the user's inputs that this pod was rendered from: learned speeds belong to it."""
    created_at_seconds: float
    ready_since_seconds: float | None
    """When it last became Ready; None while it is not."""
    terminating: bool
    sample: Sample
    scheduled_at_seconds: float | None = None
    """When it was given a node; None where that is not known, or it has none."""
    unready_since_seconds: float | None = None
    """Since when its node says that it is not Ready; None while it is, or no node has said anything."""
    ends_by_seconds: float | None = None
    """When the last of a pod that is told to end is killed; None while it is not told."""
    hindrance: Hindrance = Hindrance.NONE
    hindrance_message: str | None = None
    """How it stands while it does not serve, in the cluster's words (Unschedulable, ImagePullBackOff ...)."""
    canary: Canary = Canary.UNTRIED
    canary_message: str | None = None
    """What a canary that has not passed has shown."""

    @property
    def generates_for_clients(self) -> bool:
        """Whether it has generated more than canaries make it: one, and another that was asked again meanwhile."""
        if not isinstance(self.sample, Live):
            return False
        reading = self.sample.reading
        return reading.generated_tokens_per_second * reading.window_seconds > 2 * CANARY_TOKENS

    @property
    def starting_since_seconds(self) -> float:
        """Since when it has been on its way to serve, on a node if it has one, and again where it had served before."""
        return max(self.created_at_seconds, self.unready_since_seconds or self.created_at_seconds)

    @property
    def serving(self) -> bool:
        """Whether the pod receives requests."""
        return self.ready_since_seconds is not None and not self.terminating


class Wake(StrEnum):
    """What the series says that is declared to wake: a closed set."""

    ASKED = "Asked"
    """Somebody has asked within the window of the queries."""
    SILENT = "Silent"
    """The series is there, and nobody has."""
    MISSING = "Missing"
    """There is no series, or no recent one. Nothing is known: this is not silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One LLMDeployment as it is.

    ``replicas`` holds the replicas that each variant's workload asks for now, of every variant whose
    workload exists, also of one that is no longer in the spec (retiring).
    """

    replicas: Mapping[str, int]
    template_hashes: Mapping[str, str]
    """Of each variant in the spec, the hash that new pods get."""
    pods: tuple[Pod, ...]
    metrics_problem: str | None
    """Why Prometheus gave no answer at all for this tick, in one sentence; None when it did."""
    tick_seconds: float
    """Interval of the loop: no reaction can be faster."""
    speed_cards: Mapping[str, LLMSpeedCardSpec] = field(default_factory=dict)
    """By variant, what was measured of it elsewhere; only cards that are of the variant's own kind."""
    wake: Wake = Wake.MISSING
