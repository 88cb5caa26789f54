"""Numbers and moments as people read them, the same in the terminal and on the status page. Pure."""

from datetime import datetime
from decimal import Decimal

UNKNOWN = "-"
"""What is not known, which is not 0."""


def number(value: Decimal | float | None) -> str:
    """Return a number without trailing zeros; one that is not known is a dash."""
    return UNKNOWN if value is None else f"{Decimal(value).normalize():f}"


def moment(moment: datetime) -> str:
    """Return a moment of UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago a moment was, in its largest unit."""
    seconds = max(0, round((now - moment).total_seconds()))
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
