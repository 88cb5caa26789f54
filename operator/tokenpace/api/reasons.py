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
