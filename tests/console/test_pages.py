"""The pages in a real browser and without one: what they say, and what they never do."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from kring.console import look
from kring.console.look import POLICY, milliseconds, moment, short, shown
from kring.console.signing import local
from kring.flow.serving.drawings import Drawings
from kring.flow.serving.render import draw_all
from kring.flow.viewing.decisions import DecisionView
from kring.host.files import LocalFiles
from served import Server, serving, wait_until_managed
from systems import kring, write_loans

CHROMIUM = shutil.which("chromium")
FORM = {"content-type": "application/x-www-form-urlencoded"}
EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}\"'"
HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A system whose goal and owners would like to be a script, with one decision and its outcome."""
    folder = write_loans(tmp_path_factory.mktemp("looked") / "loans")
    config = folder / "kring.toml"
    text = config.read_text()
    assert 'goal = "Lend to those who will repay"' in text
    text = text.replace('goal = "Lend to those who will repay"', f"goal = '''{EVIL}'''")
    config.write_text(f"{text}\n[slo]\navailability = 0.99\nsuccess = 0.9\n")
    told = kring("go", folder)
    assert told.code == 0, told.err
    with serving([folder]) as running:
        wait_until_managed(running)
        yield running


@pytest.fixture(scope="module")
def decision(server: Server) -> str:
    body = {"inputs": {"email": EVIL, "region": EVIL, "amount": 12.5}}
    id = server.ask("POST", "/api/decisions", body).json["id"]
    assert server.ask("POST", f"/api/decisions/{id}/outcome", {"value": True}).status == 200
    return id


def page(server: Server, path: str) -> str:
    told = server.ask("GET", path, headers=HTML)
    assert (told.status, told.media) == (200, "text/html; charset=utf-8"), told.body
    assert told.headers["content-security-policy"] == POLICY
    assert told.headers["x-content-type-options"] == "nosniff"
    assert told.headers["cache-control"] == "no-store"
    return told.body.decode()


def test_every_page_says_what_its_twin_says(server: Server, decision: str):
    for path in ("/", "/systems/loans", f"/decisions/{decision}"):
        text = page(server, path)
        twin = server.ask("GET", path, headers={"accept": "application/json"})
        assert (twin.status, twin.media) == (200, "application/json")
        assert "<html" in text
    assert server.ask("GET", "/systems/loans.json", headers=HTML).json["name"] == "loans"
    told = server.ask("GET", f"/decisions/{decision}.json", headers=HTML).json
    assert (told["id"], told["outcome"]["value"], told["inputs"]["region"]) == (decision, True, EVIL)


@pytest.mark.parametrize(("latency_us", "told"), [(1234, ["1.23 ms"]), (0, [])])
def test_only_what_was_timed_says_how_long_it_took(latency_us: int, told: list[str]):
    """A replay walks through years by a clock of its own, in which nothing takes any time."""
    view = DecisionView(
        id="d_0", system="loans", at="2026-01-01T00:00:00Z", decision="yes", outputs={}, inputs={}, version="v_0",
        arm="live", answered_by="v_0", kind="batch", latency_us=latency_us,
    )  # fmt: skip
    nothing: dict[str, object] = {"why": None, "refused": "", "may_explain": False, "lineage": None, "untraced": "-"}
    text = look.page("decision.html.jinja", decision=view, who="somebody", **nothing).body.decode()
    assert re.findall(r"<dt>Took</dt><dd[^>]*>([^<]*)", text) == told


def test_a_system_says_what_is_left_of_its_promises(server: Server, decision: str):
    twin = server.ask("GET", "/systems/loans.json", headers=HTML).json
    assert [one["level"] for one in twin["budgets"]] == ["availability", "success"]
    assert all(one["rows"] >= 1 and one["bad"] == 0 and one["left"] == 1 for one in twin["budgets"])
    assert "(all columns)" not in twin["unwatched"]
    text = page(server, "/systems/loans")
    assert "availability 0.99" in text
    assert "kept" in text


def test_nothing_that_was_sent_becomes_part_of_a_page(server: Server, decision: str):
    for path in ("/", "/systems/loans", f"/decisions/{decision}", f"/decisions/{decision}?why=shap", "/schema/docs"):
        text = page(server, path) if path != "/schema/docs" else server.ask("GET", path).body.decode()
        assert "<script" not in text
        assert "<img" not in text
        assert not re.search(r"<[^>]+\son\w+=", text)
        assert "alert(1)" in text or path == "/schema/docs"
        assert "7 * 7" in text or path == "/schema/docs"
    for path in (f"/decisions/{quote(EVIL)}", "/systems/%3Cscript%3E", "/decisions/d_%3Cscript%3E"):
        told = server.ask("GET", path, headers=HTML)
        assert told.status == 404
        assert b"<script" not in told.body
    told = server.ask("GET", "/sign-in?next=" + "%22%3E%3Cscript%3E", headers=HTML)
    assert b"<script" not in told.body


def test_a_stranger_is_asked_to_sign_in(server: Server):
    told = server.ask("GET", "/systems/loans", key="", headers=HTML)
    assert (told.status, b"loans" in told.body.replace(b'value="/systems/loans"', b"")) == (401, False)
    assert server.ask("GET", "/systems/loans", key="", headers={"accept": "application/json"}).json["error"]["code"]
    assert server.ask("GET", "/", key="", headers=HTML | {"cookie": "kring_session=x"}).status == 401
    forged = f"kring_session=abcdefgh234567ab.ffffffff.{'0' * 64}"
    assert server.ask("GET", "/", key="", headers=HTML | {"cookie": forged}).status == 401


def test_a_session_is_begun_and_ended_by_forms_of_our_own(server: Server):
    good = f"key={server.key}&next=/systems/loans".encode()
    told = server.ask("POST", "/sign-in", good, key="", headers=FORM)
    assert (told.status, told.headers["location"]) == (303, "/systems/loans")
    cookie = told.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert server.key not in cookie
    session = {"cookie": cookie.partition(";")[0]}
    assert server.ask("GET", "/", key="", headers=HTML | session).status == 200
    # a session looks at pages; it changes nothing, and is no key for programs
    assert server.ask("GET", "/api/systems", key="", headers=session).status == 401
    assert (
        server.ask(
            "POST", "/api/keys", {"label": "x", "role": "admin", "systems": ["loans"]}, key="", headers=session
        ).status
        == 401
    )
    out = server.ask("POST", "/sign-out", b"", key="", headers=FORM | session)
    assert (out.status, "Max-Age=0" in out.headers["set-cookie"]) == (303, True)
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert server.ask("POST", "/sign-in", good, key="", headers=FORM | headers).status == 403


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"key=", FORM, 401),
        (b"", FORM, 401),
        (b"key=kring_live_x", FORM, 401),
        (b"\xff\xfe=%zz&&&", FORM, 401),
        (b"key=x", {"content-type": "application/json"}, 415),
        (b"key=" + b"x" * 5000, FORM, 415),
        (b"&".join(b"a%d=1" % number for number in range(50)), FORM, 400),
    ],
)
def test_wrong_forms(server: Server, body: bytes, headers: dict[str, str], status: int):
    told = server.ask("POST", "/sign-in", body, key="", headers=headers | HTML)
    assert told.status == status, told.body
    assert "set-cookie" not in told.headers


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "", "/sign-out", "/\r\nx: y"],
)
def test_nobody_is_led_elsewhere_after_signing_in(path: str):
    assert local(path) == "/"
    assert local("/systems/loans") == "/systems/loans"


def test_charts_are_drawn_by_another_process(server: Server):
    text = when_drawn(server)
    assert "<svg" in text.partition("How far it can be believed")[2]
    assert "being drawn" not in text


def when_drawn(server: Server) -> str:
    """The page of the system, once it no longer looks again by itself."""
    end = time.monotonic() + 60
    while 'http-equiv="refresh"' in (text := page(server, "/systems/loans")):
        assert time.monotonic() < end
        time.sleep(0.2)
    return text


def test_a_chart_is_drawn_once_and_one_that_can_not_be_says_so(tmp_path: Path):
    drawings = Drawings(tmp_path, files=LocalFiles())
    spec = {"mark": "point", "data": {"values": [{"x": 1}]}, "encoding": {"x": {"field": "x", "type": "quantitative"}}}
    assert drawings.get(spec).state == "waiting"
    assert drawings.get(spec).state == "waiting"
    assert drawings.get({"mark": 5}).state == "waiting"
    (tmp_path / ("0" * 32 + ".json")).write_text("{")
    assert draw_all(drawings) == 3
    assert draw_all(drawings) == 0
    assert drawings.get(spec).svg.startswith("<svg")
    assert drawings.get({"mark": 5}).state == "failed"


def test_values_as_people_read_them():
    assert [shown(value) for value in (None, True, 0.25, 1234567.0, "x", 5)] == [
        "–",
        "true",
        "0.25",
        "1.23457e+06",
        "x",
        "5",
    ]
    assert moment("2026-01-31T12:00:00.123Z") == "2026-01-31 12:00:00 UTC"
    assert moment("x") == "x"
    assert (short("d_01M81815FXG008000080000029"), short("short")) == ("d_01M8…000029", "short")
    assert milliseconds(1234) == "1.23 ms"


BROKEN = """
[...document.querySelectorAll('.steps li > span')]
    .filter(one => one.getClientRects().length > 1)
    .map(one => one.innerText)
"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_person_signs_in_and_looks_round_without_scripts(server: Server, decision: str):
    playwright = pytest.importorskip("playwright.sync_api")
    when_drawn(server)
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for scheme, width in (("light", 1200), ("dark", 400)):
            context = browser.new_context(
                color_scheme=scheme, viewport={"width": width, "height": 900}, java_script_enabled=True
            )
            tab = context.new_page()
            said: list[str] = []
            tab.on("console", lambda message, said=said: said.append(f"{message.text} {message.location}"))
            tab.on("dialog", lambda dialog, said=said: said.append("a dialog"))
            tab.goto(f"{server.url}/systems/loans")
            tab.fill("#key", server.key)
            tab.keyboard.press("Enter")
            tab.wait_for_selector("text=Sign out")
            assert tab.url == f"{server.url}/systems/loans"
            said.clear()
            for path in ("/", "/systems/loans", f"/decisions/{decision}?why=shap", "/schema/docs"):
                tab.goto(f"{server.url}{path}")
                assert tab.evaluate("document.documentElement.scrollWidth") <= width, path
                assert tab.evaluate("document.scripts.length") == 0
                assert tab.evaluate(BROKEN) == [], "an id begins on a line of its own where it does not fit"
            assert said == []
            tab.goto(f"{server.url}/")
            tab.keyboard.press("Tab")
            assert tab.evaluate("document.activeElement.textContent") == "To the content"
            context.close()
        browser.close()
