from typing import Any

import pytest
from tests.controller.operator_in_memory import Operator


@pytest.fixture
def operator(fake: Any) -> Operator:
    return Operator(fake)
