"""Every reason code that tokenpace writes: conditions, Events, decisions, logs and metrics share them."""

from enum import StrEnum


class DecisionReason(StrEnum):
    """Why the fleet is what it is after a tick."""

    MANUAL = "Manual"
    STARTING = "Starting"
    AT_TARGET = "AtTarget"
    DEMAND_ABOVE_CAPACITY = "DemandAboveCapacity"
    DEMAND_BELOW_CAPACITY = "DemandBelowCapacity"
    STABILIZING = "Stabilizing"
    SATURATED = "Saturated"
    METRICS_MISSING = "MetricsMissing"
    METRICS_MISSING_SAFE_FLEET = "MetricsMissingSafeFleet"
    TRAFFIC_UNBALANCED = "TrafficUnbalanced"
    LIMITED = "Limited"
    INFEASIBLE = "Infeasible"
    BOUNDS_CHANGED = "BoundsChanged"
    RETIRING = "Retiring"
    SWITCHING = "Switching"
    SWITCHING_BACK = "SwitchingBack"
    ROLLED_BACK = "RolledBack"
    BUDGET_SPENT = "BudgetSpent"
    ASLEEP = "Asleep"
    WOKEN = "Woken"


class MetricsReason(StrEnum):
    """Whether the pods can be seen."""

    EVERY_POD_MEASURED = "EveryPodMeasured"
    NOTHING_SERVES = "NothingServes"
    SOME_PODS_MISSING = "SomePodsMissing"
    ALL_PODS_MISSING = "AllPodsMissing"
    PROMETHEUS_UNAVAILABLE = "PrometheusUnavailable"
    WAKE_SERIES_SEEN = "WakeSeriesSeen"
    WAKE_SERIES_MISSING = "WakeSeriesMissing"


class SLOMetReason(StrEnum):
    """Whether what is promised holds now."""

    MET = "Met"
    NO_DEMAND = "NoDemand"
    NO_DATA = "NoData"
    NOT_MEASURABLE = "NotMeasurable"
    DEMAND_NOT_SERVED = "DemandNotServed"
    STREAMS_TOO_SLOW = "StreamsTooSlow"
    FIRST_TOKEN_TOO_LATE = "FirstTokenTooLate"


class SLOFeasibleReason(StrEnum):
    """Whether some fleet within the bounds could keep what is promised."""

    FEASIBLE = "Feasible"
    CAPACITY_UNKNOWN = "CapacityUnknown"
    STREAM_SPEED_UNATTAINABLE = "StreamSpeedUnattainable"
    FIRST_TOKEN_UNATTAINABLE = "FirstTokenUnattainable"
    BOUNDS_TOO_LOW = "BoundsTooLow"
    NO_VARIANT = "NoVariant"


class ScalingLimitedReason(StrEnum):
    """What keeps the fleet from what is needed."""

    NOT_LIMITED = "NotLimited"
    BOUNDS_REACHED = "BoundsReached"
    PODS_DO_NOT_START = "PodsDoNotStart"
    NO_VARIANT = "NoVariant"
    TRAFFIC_UNBALANCED = "TrafficUnbalanced"
    CONFLICTING_WRITER = "ConflictingWriter"


class TrafficReason(StrEnum):
    """Whether requests are spread over the pods."""

    BALANCED = "Balanced"
    TOO_LITTLE_TRAFFIC = "TooLittleTraffic"
    SOME_PODS_PREFERRED = "SomePodsPreferred"


class ReadyReason(StrEnum):
    """Why an LLMDeployment is Ready or not."""

    SERVING = "Serving"
    ASLEEP = "Asleep"
    TOO_FEW_REPLICAS = "TooFewReplicas"
    NAME_CONFLICT = "NameConflict"
    INVALID_SPEC = "InvalidSpec"
    INTERNAL_ERROR = "InternalError"
    WRITE_REFUSED = "WriteRefused"
    SCALE_TARGET_NOT_FOUND = "ScaleTargetNotFound"
    SCALE_TARGET_NOT_SCALABLE = "ScaleTargetNotScalable"
    SCALE_TARGET_FORBIDDEN = "ScaleTargetForbidden"
    SCALE_TARGET_UNREADABLE = "ScaleTargetUnreadable"
    SCALE_TARGET_TAKEN = "ScaleTargetTaken"


class ProgressingReason(StrEnum):
    """Whether the cluster is on its way to the fleet that was decided on."""

    SETTLED = "Settled"
    REPLICAS_STARTING = "ReplicasStarting"
    REPLICAS_STOPPING = "ReplicasStopping"
    PODS_IN_TROUBLE = "PodsInTrouble"
    PAUSED = "Paused"
    ADVISORY = "Advisory"
    TEMPLATE_OUTDATED = "TemplateOutdated"
    SWITCHING = "Switching"
    ROLLED_BACK = "RolledBack"


class DegradedReason(StrEnum):
    """Whether something below the best variant serves."""

    BEST_VARIANT = "BestVariant"
    BELOW_BEST_VARIANT = "BelowBestVariant"
    NOTHING_SERVES = "NothingServes"
    SLO_NEEDS_SPEED = "SLONeedsSpeed"
    CHEAPER = "Cheaper"
    BEST_VARIANT_BLOCKED = "BestVariantBlocked"
    BUDGET_SPENT = "BudgetSpent"
    MANUAL = "Manual"


class SpeedCardReason(StrEnum):
    """Whether speed cards are there, of the variants that name them, and what live traffic shows."""

    NO_SPEED_CARDS = "NoSpeedCards"
    NOT_COMPARED = "NotComparedYet"
    AGREE = "SpeedCardsAgree"
    DISAGREES = "SpeedCardDisagrees"
    NOT_FOUND = "SpeedCardNotFound"
    INVALID = "SpeedCardInvalid"
    OF_ANOTHER = "SpeedCardOfAnother"


class SupportReason(StrEnum):
    """Whether everything declared has an effect in this version."""

    EVERYTHING_SUPPORTED = "EverythingSupported"
    FIELDS_WITHOUT_EFFECT = "FieldsWithoutEffect"
    VARIANT_CANNOT_RUN = "VariantCannotRun"


class EventReason(StrEnum):
    """Reasons of Events that are not a decision's or a condition's own."""

    SCALED = "Scaled"
    SWITCH_BEGUN = "SwitchBegun"
    SWITCH_DONE = "SwitchDone"
    SWITCH_ROLLED_BACK = "SwitchRolledBack"
    FELL_ASLEEP = "FellAsleep"
    WOKEN = "Woken"
