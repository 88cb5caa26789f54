"""The recordings that some tests read: they lie beside the repository where this project is developed, nowhere else."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared"
AZURE_HOUR = SHARED / "traces" / "azure-llm-2023-conv.csv"
SPLITWISE_SPEEDS = SHARED / "perf" / "llama2-70b-bloom-176b-a100-h100.csv"

needs_azure_hour = pytest.mark.skipif(not AZURE_HOUR.exists(), reason="the Azure LLM trace of 2023 is not here")
needs_splitwise_speeds = pytest.mark.skipif(not SPLITWISE_SPEEDS.exists(), reason="Splitwise's table is not here")
