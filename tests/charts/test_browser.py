"""The page in a real browser: it shows itself, runs nothing, asks nobody, fits on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from kring.charts.candidates import comparison
from kring.charts.page import Chart, Code, Page, Section, Table, Text, html
from kring.record.evidence import Measure

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")
MEASURE = Measure(name="roc_auc", value=0.6, low=0.5, high=0.7, rows=9, groups=3, better=1, method="by day")
EVIL = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("needs Debian's chromium at /usr/bin/chromium; make test installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def page_file(tmp_path: Path) -> Path:
    table = Table(columns=("name", "n"), rows=(("x" * 90, "1"),), caption="Rows")
    chart = Chart(spec=comparison({"boosted": MEASURE, EVIL: MEASURE}), caption=EVIL, alt="Two dots", table=table)
    blocks = (Text(words=EVIL), chart, table, Code(text="$ kring trace d_" + "0" * 200))
    file = tmp_path / "page.html"
    file.write_text(html(Page(title="Flights", lead=EVIL, sections=(Section(title=EVIL, blocks=blocks),))))
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_shows_itself_and_runs_nothing(browser: Browser, page_file: Path, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]  # parametrised over its two literals
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page_file.as_uri())
    assert page.title() == "Flights"
    assert page.locator("figure svg text", has_text="boosted").count() == 1
    paper = page.locator("section").evaluate("section => getComputedStyle(section).backgroundColor")
    ink = page.locator("figure svg text", has_text="boosted").evaluate("text => getComputedStyle(text).fill")
    assert (paper, ink) == {
        "light": ("rgb(255, 255, 255)", "rgb(29, 41, 57)"),
        "dark": ("rgb(20, 27, 38)", "rgb(232, 236, 242)"),
    }[scheme]
    assert said == []
    assert asked == [page_file.as_uri()]
    page.close()


def test_the_page_fits_on_a_phone(browser: Browser, page_file: Path) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 700})
    page.goto(page_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.close()


def test_a_folded_table_opens_by_keyboard_without_a_script(browser: Browser, page_file: Path) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(page_file.as_uri())
    assert not page.locator("details table").is_visible()
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("details table").is_visible()
    page.context.close()
