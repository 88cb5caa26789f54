"""Numbers in sentences for people."""


def shown(number: float) -> str:
    """Return a number with three significant digits, and one from 1000 on whole: nobody reads 1.06e+03 tokens/s."""
    return f"{number:.3g}" if abs(number) < 999.5 else f"{number:.0f}"  # noqa: PLR2004 (what would be written 1e+03)
