"""What every page has around it: heading, style, and the policy that forbids it everything else. Pure."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from importlib.resources import files

from tokenpace.controller.page.markup import Content, Markup, element, together, verbatim
from tokenpace.controller.phrases import moment

_STYLE = files(__package__ or "").joinpath("style.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "tokenpace",
}
"""Of every answer. No script may run, nothing may be loaded, and no other page may embed this one."""

REFRESH_SECONDS = 30
"""How often a page looks again where it was asked to."""


class Standing(StrEnum):
    """What the operator that shows the page knows, and may do."""

    WORKS = "works"
    STANDS_BY = "stands by"
    IS_READING = "is still reading the cluster"
    IS_CUT_OFF = "cannot reach the API server"


_MEANING = {
    Standing.WORKS: "This operator holds the Lease: it decides.",
    Standing.STANDS_BY: "This operator stands by. It shows what the one that works reports.",
    Standing.IS_READING: "What is missing here may exist.",
    Standing.IS_CUT_OFF: "What is shown may be old.",
}


@dataclass(frozen=True, slots=True)
class Occasion:
    """When a page is drawn, and by whom."""

    now: datetime
    since: datetime
    """From when on this operator has looked: there is no history before."""
    standing: Standing
    refreshing: bool


def page(title: str, occasion: Occasion, *content: Content, up: bool = False) -> Markup:
    """Return a whole page. ``up``: it is of one LLMDeployment, below the page of all of them."""
    home = "../" if up else "./"
    doubtful = occasion.standing in (Standing.IS_READING, Standing.IS_CUT_OFF)
    return together(
        verbatim("<!doctype html>"),
        element(
            "html",
            element(
                "head",
                element("meta", charset="utf-8"),
                element("meta", name="viewport", content="width=device-width, initial-scale=1"),
                element("meta", name="color-scheme", content="light dark"),
                element("title", f"{title} - tokenpace"),
                element("link", rel="icon", href="data:,"),
                element("style", verbatim(_STYLE)),
            ),
            element(
                "body",
                element(
                    "header",
                    element("a", "tokenpace", href=home, class_="brand"),
                    element("span", f"{moment(occasion.now)}, the operator {occasion.standing}", class_="quiet"),
                    _refresh(occasion),
                ),
                element(
                    "main",
                    element(
                        "p",
                        f"The operator {occasion.standing}. {_MEANING[occasion.standing]}",
                        class_="notice",
                        role="status",
                    )
                    if doubtful
                    else None,
                    *content,
                ),
                element(
                    "footer",
                    element("p", "" if doubtful else _MEANING[occasion.standing]),
                    element(
                        "p",
                        f"History since {moment(occasion.since)}, six hours at most; it is lost with the operator. "
                        "Read-only: everything here is in ",
                        element("code", "kubectl get llmdeployments"),
                        " while it lasts.",
                    ),
                ),
            ),
            lang="en",
        ),
    )


def _refresh(occasion: Occasion) -> Markup:
    """Return the way to a page that looks again by itself, or from it. Nobody's page moves unasked."""
    if occasion.refreshing:
        return element("a", f"looks again every {REFRESH_SECONDS} s: stop", href="?", class_="refresh")
    return element("a", f"look again every {REFRESH_SECONDS} s", href="?refresh", class_="refresh")
