"""The HTML page in a real browser: what it loads, what runs in it, how it is used."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import htmlreports
import pytest
import reports
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from gwdoctor.entry import Entry
from gwdoctor.model import Report

pytestmark = pytest.mark.slow

CASES: dict[str, Callable[[], Report]] = {
    "five failures": htmlreports.five_failures,
    "nothing wrong": lambda: reports.report(entry=Entry()),
    "no map": reports.full,
    **{
        f"nasty {number}": partial(htmlreports.hostile, text)
        for number, text in enumerate(htmlreports.NASTY)
    },
}
#: Generous: the figure that counts is printed.
LONGEST = 15.0


@dataclass
class Opened:
    """A page, and all that it said and asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    contexts = []

    def open_page(text: str, *, fragment: str = "", **how: Any) -> Opened:
        file = tmp_path / "report.html"
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
        context = browser.new_context(viewport={"width": 1180, "height": 900}, **how)
        contexts.append(context)
        found = Opened(context.new_page())

        def dismissed(dialog: Any) -> None:
            found.said.append(dialog.message)
            dialog.dismiss()

        found.page.on("console", lambda message: found.said.append(message.text))
        found.page.on("pageerror", lambda error: found.said.append(str(error)))
        found.page.on("dialog", dismissed)
        found.page.on("request", lambda request: found.asked.append(request.url))
        found.page.goto(f"{file.as_uri()}{fragment}")
        return found

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("case", CASES)
def test_it_opens_without_an_error_and_asks_for_nothing(
    case: str, opened: Callable[..., Opened]
) -> None:
    found = opened(htmlreports.page(CASES[case]()))
    found.page.wait_for_load_state("networkidle")

    assert found.said == []
    assert len(found.asked) == 1, found.asked
    assert found.page.locator("script").count() == 1
    assert found.page.locator("img, iframe, form, object").count() == 0
    assert found.page.evaluate("getComputedStyle(document.body).margin") == "0px"  # our style


def test_the_policy_stops_what_would_get_through(opened: Callable[..., Opened]) -> None:
    """Were the escaping to fail one day: nothing runs, and nothing leaves."""
    asked: list[str] = []

    class Outside(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Outside) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{server.server_port}"
        smuggled = (
            "<script>document.title = 'ran'</script>"
            f"<img src='{place}/image' onerror=\"document.title = 'ran'\">"
            f"<link rel=stylesheet href='{place}/style'><iframe src='{place}/frame'></iframe>"
            "<p id=styled style='display: none'>x</p><style>h1 { display: none }</style>"
        )
        text = htmlreports.page(reports.full()).replace("<main>", f"<main>{smuggled}", 1)
        found = opened(text)
        found.page.wait_for_load_state("networkidle")
        server.shutdown()

    assert asked == []
    assert found.page.title() != "ran"
    assert found.page.locator("h1").is_visible()
    assert found.page.locator("#styled").is_visible()
    assert len(found.said) >= 4  # each of it was refused


def test_the_keyboard_reaches_and_presses_the_copy_buttons(opened: Callable[..., Opened]) -> None:
    found = opened(
        htmlreports.page(htmlreports.five_failures()),
        permissions=["clipboard-read", "clipboard-write"],
    )
    page = found.page
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('copy')"):
            break
    assert page.evaluate("document.activeElement.matches('.copy:focus-visible')")

    page.keyboard.press("Enter")

    expect(page.locator("#told")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.evaluate(
        "document.activeElement.parentElement.querySelector('pre').textContent"
    )
    assert "kubectl apply --server-side" in copied
    assert found.said == []


def test_every_problem_can_be_opened_and_closed_with_the_keyboard(
    opened: Callable[..., Opened],
) -> None:
    page = opened(htmlreports.page(htmlreports.five_failures())).page
    last = page.locator("details.problem").last
    last.locator("summary").focus()

    page.keyboard.press("Enter")
    assert last.get_attribute("open") is not None
    page.keyboard.press("Enter")
    assert last.get_attribute("open") is None


def test_it_works_without_javascript(opened: Callable[..., Opened]) -> None:
    report = htmlreports.five_failures()
    page = opened(htmlreports.page(report), java_script_enabled=False).page

    assert not page.locator(".copy, .filter").filter(visible=True).count()
    assert page.locator("svg").first.is_visible()
    last = page.locator("details.problem").last
    last.locator("summary").click()
    assert last.locator("dl").is_visible()
    page.locator("main li a[href^='#istio/']").first.click()
    assert page.url.rpartition("#")[2] in {finding.id for finding in report.findings}


def test_the_filter_shows_what_mentions_a_word(opened: Callable[..., Opened]) -> None:
    page = opened(htmlreports.page(htmlreports.five_failures())).page
    problems = page.locator("details.problem")
    everything = problems.count()

    page.get_by_label("Show only problems that mention").fill("DRAWDB")

    shown = problems.filter(visible=True)
    assert 0 < shown.count() < everything
    assert all("drawdb" in text.lower() for text in shown.all_text_contents())
    assert page.locator("output").text_content() == f"{shown.count()} of {everything}"
    page.get_by_label("Show only problems that mention").fill("")
    assert problems.filter(visible=True).count() == everything


def test_a_link_to_a_problem_opens_it(opened: Callable[..., Opened]) -> None:
    report = htmlreports.five_failures()
    finding = report.findings[-1].id
    page = opened(htmlreports.page(report), fragment=f"#{finding}").page
    wanted = page.locator(f"[id='{finding}']")

    assert wanted.locator("dl").is_visible()
    assert wanted.locator("summary").evaluate("element => element === document.activeElement")
    other = page.locator("svg a").first
    other.click()
    target = page.url.rpartition("#")[2]
    assert page.locator(f"[id='{target}'] dl").is_visible()


@pytest.mark.parametrize("case", ["five failures", "nasty 1", "nasty 8", "nasty 9"])
def test_no_name_is_wider_than_a_telephone(case: str, opened: Callable[..., Opened]) -> None:
    page = opened(htmlreports.page(CASES[case]())).page
    page.set_viewport_size({"width": 390, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")

    width = page.evaluate("document.documentElement.scrollWidth")

    assert width <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("case", ["five failures", "nothing wrong", "no map", "nasty 1"])
def test_axe_finds_nothing(case: str, scheme: str, opened: Callable[..., Opened]) -> None:
    page = opened(htmlreports.page(CASES[case]()), color_scheme=scheme).page
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"

    found = Axe().run(page)

    assert dark == (scheme == "dark")
    assert found.response["passes"], "axe did not look"
    assert found.violations_count == 0, found.generate_report()


def test_a_large_report_opens_at_once(opened: Callable[..., Opened]) -> None:
    text = htmlreports.page(htmlreports.large())
    started = time.perf_counter()
    page = opened(text).page
    page.screenshot()
    seconds = time.perf_counter() - started
    loaded, painted = page.evaluate(
        "[performance.getEntriesByType('navigation')[0].loadEventEnd,"
        " performance.getEntriesByName('first-contentful-paint')[0].startTime]"
    )

    print(
        f"{len(text.encode()) / 1e6:.2f} MB: first paint after {painted / 1000:.2f} s, "
        f"loaded after {loaded / 1000:.2f} s, on a picture after {seconds:.2f} s"
    )
    assert loaded / 1000 < LONGEST
