"""The pages in a real browser: nothing is loaded, nothing complains, nothing runs over, everything can be read."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tests.page.chromium import Chromium, chromium
from tests.page.scene import HOSTILE, NOW, Cluster, cluster_at_work, condition, working_at

pytestmark = pytest.mark.browser

IN_BOTH_SCHEMES = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
AT_EVERY_WIDTH = pytest.mark.parametrize("width", [360, 768, 1280, 2560])

UNREADABLE = """
(() => {
  // WCAG 2.2, relative luminance and contrast ratio, of every text on what is painted behind it.
  const luminance = ([r, g, b]) => {
    const [R, G, B] = [r, g, b].map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  };
  const parse = colour => colour.match(/[\\d.]+/g).map(Number);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(node).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    throw new Error("the page has no ground");
  };
  const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let read = 0;
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || element.closest("title, style, .unseen")) continue;
    const style = getComputedStyle(element);
    const ink = parse(element.closest("svg") ? style.fill : style.color);
    const [light, dark] = [luminance(ink), luminance(behind(element))].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    read += 1;
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)}: ${walk.currentNode.data}`);
  }
  return {read, found};
})()
"""

RUNS_OVER = """
[...document.querySelectorAll("body *")]
  .filter(one => !one.closest("svg") && !one.closest(".unseen") && one.getBoundingClientRect().right > innerWidth + 0.5)
  .map(one => one.outerHTML.slice(0, 120))
"""


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


async def served(cluster: Cluster) -> AsyncIterator[str]:
    cluster.page._turn = asyncio.Lock()  # of this test's event loop
    port = await cluster.page.start("127.0.0.1", 0)
    yield f"http://127.0.0.1:{port}"
    await cluster.page.close()


@pytest.fixture(scope="session")
def two_hundred() -> Cluster:
    return cluster_at_work(200)


@pytest.fixture(params=["1 resource", "200 resources"])
async def site(request: pytest.FixtureRequest, two_hundred: Cluster) -> AsyncIterator[str]:
    """The address of a status page, of one LLMDeployment and of two hundred."""
    async for address in served(two_hundred if request.param == "200 resources" else cluster_at_work(1)):
        yield address


def awkward() -> dict[str, Any]:
    """An LLMDeployment whose names and sentences are as long as they may be, and some hostile."""
    long = "a" * 63
    resource = working_at(
        NOW,
        variant=long,
        outlook=["w" * 1024],
        lastDecision={"time": "2026-11-23T12:00:00Z", "action": "x" * 1024, "reason": "R" * 64, "message": HOSTILE},
        conditions=[condition("ScalingLimited", "True", "R" * 64, "m" * 2000), condition("SLOMet", "False", "NoData")],
    )
    resource["metadata"] |= {"name": "n" * 40, "namespace": long}
    return resource


@pytest.fixture
async def awkward_site() -> AsyncIterator[str]:
    cluster = Cluster(awkward())
    cluster.look(NOW)
    async for address in served(cluster):
        yield address


AWKWARD_PAGE = f"/{'a' * 63}/{'n' * 40}"


@IN_BOTH_SCHEMES
async def test_a_page_loads_by_itself_and_the_browser_complains_of_nothing(
    browser: Chromium, site: str, dark: bool
) -> None:
    for path in ("/", "/team-0/chat-000"):
        async with browser.tab() as tab:
            await tab.open(site + path, dark=dark)
            assert await tab.evaluate("document.querySelector('main h1').innerText.length") > 0
            assert (tab.requests, tab.complaints) == ([site + path], [])


@IN_BOTH_SCHEMES
async def test_the_page_is_light_or_dark_as_its_reader_is(browser: Chromium, site: str, dark: bool) -> None:
    async with browser.tab() as tab:
        await tab.open(site, dark=dark)
        ground = await tab.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (max(ground) < 64) if dark else (min(ground) > 192)


@IN_BOTH_SCHEMES
async def test_every_text_has_the_contrast_that_people_need(browser: Chromium, site: str, dark: bool) -> None:
    for path in ("/", "/team-0/chat-000"):
        async with browser.tab() as tab:
            await tab.open(site + path, dark=dark)
            seen = await tab.evaluate(UNREADABLE)
            assert seen["read"] > 20
            assert seen["found"] == []


@AT_EVERY_WIDTH
async def test_nothing_runs_over_the_edge(browser: Chromium, site: str, width: int) -> None:
    for path in ("/", "/team-0/chat-000"):
        async with browser.tab() as tab:
            await tab.open(site + path, width=width)
            assert await tab.evaluate(RUNS_OVER) == []
            assert await tab.evaluate("document.documentElement.scrollWidth") == width


@AT_EVERY_WIDTH
@pytest.mark.parametrize("path", ["/", AWKWARD_PAGE], ids=["list", "detail"])
async def test_the_longest_names_and_sentences_run_over_no_edge(
    browser: Chromium, awkward_site: str, width: int, path: str
) -> None:
    async with browser.tab() as tab:
        await tab.open(awkward_site + path, width=width)
        assert await tab.evaluate(RUNS_OVER) == []
        assert await tab.evaluate("document.documentElement.scrollWidth") == width


async def test_what_is_hostile_is_read_and_not_run(browser: Chromium, awkward_site: str) -> None:
    async with browser.tab() as tab:
        await tab.open(awkward_site + AWKWARD_PAGE)
        assert "<script>document.title='owned'</script>" in await tab.evaluate("document.body.innerText")
        assert "owned" not in await tab.evaluate("document.title")
        assert await tab.evaluate("document.querySelectorAll('script, img').length") == 0
        assert (tab.requests, tab.complaints) == ([awkward_site + AWKWARD_PAGE], [])


async def test_a_script_that_got_in_all_the_same_would_not_run(browser: Chromium, site: str) -> None:
    """The page's policy, apart from its escaping: each holds alone."""
    async with browser.tab() as tab:
        await tab.open(site)
        await tab.evaluate(
            "{const one = document.createElement('script'); one.text = 'document.title = \"owned\"';"
            "document.body.append(one)}"
        )
        assert "owned" not in await tab.evaluate("document.title")
        assert any("Content Security Policy" in one for one in tab.complaints)


async def test_the_list_leads_to_each_page_and_back(browser: Chromium, site: str) -> None:
    async with browser.tab() as tab:
        await tab.open(site)
        await tab.click("tbody tr:last-child a")
        assert await tab.evaluate("document.querySelectorAll('figure').length") == 4
        assert await tab.evaluate("location.pathname.split('/').length") == 3
        await tab.click("header a.brand")
        assert await tab.evaluate("location.pathname") == "/"


async def test_one_of_two_hundred_is_found_by_its_name(browser: Chromium, two_hundred: Cluster) -> None:
    async for address in served(two_hundred):
        async with browser.tab() as tab:
            await tab.open(address)
            assert await tab.evaluate("document.querySelectorAll('tbody tr').length") == 200
            await tab.evaluate("document.querySelector('input').value = 'CHAT-17'")
            await tab.click("button")
            assert await tab.evaluate("document.querySelectorAll('tbody tr').length") == 10


@pytest.mark.parametrize("width", [360, 1280])
async def test_on_a_narrow_screen_too_a_table_is_one_to_those_who_do_not_see_it(
    browser: Chromium, site: str, width: int
) -> None:
    """Cards are made by `display`, which takes a table's meaning away unless its roles say it again."""
    async with browser.tab() as tab:
        await tab.open(site + "/team-0/chat-000", width=width)
        nodes = (await tab.call("Accessibility.getFullAXTree"))["nodes"]
    told = [(node.get("role", {}).get("value"), node.get("name", {}).get("value")) for node in nodes]
    roles = {role for role, _ in told}
    assert {"banner", "main", "contentinfo", "table", "row", "rowheader", "cell"} <= roles
    assert any(role == "image" and "demand" in name for role, name in told)
