"""Promises about load, served through Text Generation Inference's API; after the others, which need as many pods."""

from e2e.demand import Demand

POD_SECURITY = "baseline"
"""Text Generation Inference runs as root, without capabilities: docs/engines.md."""


class TestDemand(Demand):
    serving = "tgi"
