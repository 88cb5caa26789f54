"""States as a sign, a word and a colour: nobody needs the colour. Pure."""

from tokenpace.controller.page.markup import Markup, element

_SIGNS = {"good": "\N{HEAVY CHECK MARK}", "bad": "\N{BLACK UP-POINTING TRIANGLE}", "unknown": "?", "plain": None}
_SLO = {"met": "good", "missed": "bad"}


def badge(text: str, look: str) -> Markup:
    """Return a state; ``look`` is one of good, bad, unknown and plain."""
    sign = _SIGNS[look]
    return element("span", element("span", sign, aria_hidden="true") if sign else None, text, class_=f"badge {look}")


def slo_badge(verdict: str | None) -> Markup:
    """Return whether the SLO is met."""
    return badge(verdict or "unknown", _SLO.get(verdict or "", "unknown"))
