"""HTML that cannot be injected into: whatever is not made here is text, and is escaped. Pure."""

from html import escape

_VOID = frozenset({"input", "link", "meta"})
"""Elements that have no end tag."""


class Markup(str):
    """A piece of HTML. Only this module makes any; every other string is text."""

    __slots__ = ()


Content = str | None
"""Text, to be escaped, or a `Markup`; None is nothing."""


def element(tag: str, *content: Content, **attributes: str | float | None) -> Markup:
    """Return an element.

    Args:
        tag: its name.
        content: what is in it, one after the other.
        attributes: by name; a trailing ``_`` is dropped and others become ``-``. One that is None is left out.
    """
    said = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Markup(f"<{tag}{said}>")
    return Markup(f"<{tag}{said}>{together(*content)}</{tag}>")


def together(*content: Content) -> Markup:
    """Return contents one after the other."""
    return Markup("".join(one if isinstance(one, Markup) else escape(one) for one in content if one is not None))


def verbatim(html: str) -> Markup:
    """Return HTML of our own as it is: a style sheet, never anything that was declared or reported."""
    return Markup(html)
