"""Whether an object already is what it should be. Pure.

The API server fills in defaults, writes quantities its own way and drops what is empty, and other people add labels,
sidecars and annotations of their own. So an object is right when everything that we want is in it; what else it holds
is not ours to judge. The comparison only saves requests: where it errs, an apply that changes nothing is sent.
"""

from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity


def covers(live: Any, wanted: Any) -> bool:
    """Tell whether ``live`` holds everything in ``wanted``: objects by field, lists of objects by element.

    A list of plain values (a command line) must be equal. Something empty is covered by its absence.
    """
    if isinstance(wanted, dict):
        held = {} if live is None else live
        return isinstance(held, dict) and all(covers(held.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list) and any(isinstance(item, dict) for item in wanted):
        return isinstance(live, list) and all(any(covers(one, item) for one in live) for item in wanted)
    if live is None:
        return not wanted
    return bool(live == wanted) or same_amount(live, wanted)


def same_amount(live: Any, wanted: Any) -> bool:
    """Tell whether two values are the same amount: "0.3" is read back as "300m", "1.5Gi" as "1536Mi"."""
    amount = _amount(live)
    return amount is not None and amount == _amount(wanted)


def _amount(value: Any) -> Decimal | None:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    try:
        return Decimal(parse_quantity(value))  # type: ignore[no-untyped-call]
    except ValueError:
        return None
