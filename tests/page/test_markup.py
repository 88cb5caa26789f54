"""Whatever is not made by the markup module is text."""

import html
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from tests.page.scene import HOSTILE

from tokenpace.controller.page.markup import element, together, verbatim


class Read(HTMLParser):
    """What a browser would make of it: its elements, their attributes, and the text."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(st.characters(exclude_characters="\r\0")))
def test_any_text_is_read_back_as_that_text_and_makes_no_element(text: str) -> None:
    read = Read(element("p", text, title=text))
    assert (read.tags, read.text, read.attributes) == (["p"], text, [("title", text)])


def test_what_is_hostile_stays_text() -> None:
    assert Read(element("td", HOSTILE)).tags == ["td"]


def test_elements_are_put_into_one_another() -> None:
    assert element("p", "a < ", element("b", "b")) == "<p>a &lt; <b>b</b></p>"


def test_nothing_is_left_out_and_attributes_without_a_value_too() -> None:
    assert element("p", None, "a", class_=None, aria_hidden="true") == '<p aria-hidden="true">a</p>'


def test_an_element_that_cannot_hold_anything_is_not_closed() -> None:
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'


def test_joining_text_does_not_make_it_markup() -> None:
    """A sum of markup and text is a plain string: to be escaped again, never trusted."""
    assert together(element("b", "x") + "<i>") == html.escape("<b>x</b><i>")


def test_a_style_sheet_is_left_as_it_is() -> None:
    assert element("style", verbatim("a > b {}")) == "<style>a > b {}</style>"
