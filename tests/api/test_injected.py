"""What somebody writes into a field, a path or a header stays text: no path, no address, no page, no code."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
from doors import Wire, ways
from faces import LOAN

from served import Server, free_port, wait_until_managed
from systems import kring, write_loans

DECIDE: Final = "/systems/loans/api/decisions"
FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
SECRET: Final = "root:x:0:0"
SCRIPT: Final = "<script>alert(1)</script>"

PATHS: Final = (
    *("../../../../etc/passwd", "..\\..\\..\\windows\\win.ini", "/etc/passwd", "file:///etc/passwd", "~/.ssh/id_rsa"),
    *("%2e%2e%2f%2e%2e%2fetc/passwd", "%252e%252e%252fetc%252fpasswd", "%25252e%25252e%25252f", "..%c0%af..%c0%afetc"),
    *("..%00/etc/passwd", "loans\0.json", "\\\\evil\\share", "//evil.example/share", "C:\\windows\\win.ini", "CON"),
    *("....//....//etc/passwd", "..;/etc/passwd", "\uff0e\uff0e\uff0fetc", ".", "..", "loans/../loans"),
    "lo\u0430ns",
)
"""Ways out of a folder. The last one looks like a name of ours, and has a letter of another alphabet."""


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    wait_until_managed(server)
    made = Wire(server)
    yield made
    made.close()


@pytest.mark.parametrize("text", PATHS, ids=ascii)
def test_no_part_of_a_path_leads_out(wire: Wire, server: Server, text: str) -> None:
    spelled = {quote(text, safe=""), quote(text, safe="%"), quote(quote(text, safe=""), safe="")}
    for way in ways():
        for part in ("system", "model", "key", "id", "version", "label"):
            if f"{{{part}}}" not in way.path:
                continue
            for one in spelled:
                parts = {name: "loans" for name in ("system", "model", "key")} | {"id": "d_x"}
                path = way.at(**parts | {part: "PART"}).replace("PART", one)
                told = wire.ask(way.method, path, headers=server.bearer)
                assert told.status in (400, 404, 405, 415), (way.method, path, told.status, told.body)
                assert SECRET.encode() not in told.body
    for one in spelled:
        for path in (f"/{one}", f"/systems/{one}/api/systems", f"/assets/{one}", f"/systems/{one}/v1/models"):
            told = wire.ask("GET", path, headers=server.bearer)
            assert told.status in (400, 404), (path, told.body)
    ascii_only = text.isascii() and text.isprintable()
    named = server.ask("GET", "/api/systems", headers={"x-kring-system": text if ascii_only else quote(text)})
    assert named.status in (400, 404), named.body
    body = {"label": text, "role": "viewer", "systems": [text], "days": 1}
    assert server.ask("POST", "/api/keys", body).status == 404
    told = server.ask("POST", "/v1/chat/completions", {"model": text, "messages": [{"role": "user", "content": "x"}]})
    assert told.status in (400, 404)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        *product(("name", "source", "contract"), ("../../etc/passwd", "/etc/passwd", "file:///etc/passwd")),
        *(("name", text) for text in ("..\\x", "a/b", "", "a\nb", "%2e%2e")),
        ("source", "http://169.254.169.254/x"),
        ("contract", "\\\\evil\\x"),
    ],
)
def test_no_line_of_the_configuration_is_taken_for_another_thing(tmp_path: Path, key: str, text: str) -> None:
    folder = write_loans(tmp_path / "loans")
    config = folder / "kring.toml"
    old = {"name": '"loans"', "source": '"feed.csv"', "contract": '"contract.odcs.yaml"'}[key]
    config.write_text(config.read_text().replace(f"{key} = {old}", f"{key} = {json.dumps(text)}", 1))
    told = kring("--json", "check", folder)
    assert told.code != 0, told
    assert key == "contract" or SECRET not in told.out + told.err
    assert "Traceback" not in told.err


@dataclass
class Trap:
    """Listens, and counts who comes."""

    port: int = 0
    met: list[str] = field(default_factory=list)

    def listen(self, socket_: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = socket_.accept()
                with connection:
                    self.met.append(str(connection.getpeername()))


@pytest.fixture
def trap() -> Iterator[Trap]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        found = Trap(listening.getsockname()[1])
        thread = threading.Thread(target=found.listen, args=(listening,), daemon=True)
        thread.start()
        with socket.create_connection(("127.0.0.1", found.port)):
            end = time.monotonic() + 20
            while not found.met:
                assert time.monotonic() < end
        found.met.clear()
        yield found


def test_no_address_is_fetched(server: Server, trap: Trap) -> None:
    """There is no field for an address; what stands in others is text. The issuer's keys are a file."""
    address = f"http://127.0.0.1:{trap.port}/x"
    turned = f"http://2130706433:{trap.port}/x"
    for url in (address, turned, f"ftp://127.0.0.1:{trap.port}/x", f"gopher://[::ffff:127.0.0.1]:{trap.port}/_x"):
        assert server.ask("POST", DECIDE, {"inputs": LOAN | {"region": url, "email": url}}).status == 200
        for name in ("referer", "x-forwarded-host", "x-original-url", "forwarded", "via", "traceparent"):
            server.ask("POST", DECIDE, {"inputs": LOAN}, headers={name: url})
            server.ask("GET", "/api/systems", headers={name: url})
        for path in ("/", "/schema", "/sign-in", "/metrics", "/api/systems"):
            for part in ("url", "next", "callback", "webhook", "image", "src"):
                assert server.ask("GET", f"{path}?{part}={quote(url)}", headers={"accept": "text/html"}).status < 500
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "input_file", "file_url": url}]
        messages = [{"role": "user", "content": content}]
        told = server.ask("POST", "/v1/chat/completions", {"model": "handbook", "messages": messages})
        assert told.status in (400, 422), told.body
        body = {"label": url, "role": "viewer", "systems": ["loans"], "webhook": url}
        assert server.ask("POST", "/api/keys", body).status == 400
        lines = (f"GET {url} HTTP/1.1", f"host: 127.0.0.1:{trap.port}", "connection: close", "", "")
        got = server.raw("\r\n".join(lines).encode(), seconds=5)
        assert int(got.split(b" ", 2)[1]) in (400, 401, 403, 404)
    assert trap.met == []


def test_an_issuer_by_address_is_no_issuer(tmp_path: Path, trap: Trap) -> None:
    folder = write_loans(tmp_path / "loans")
    with (folder / "kring.toml").open("a") as config:
        config.write(
            f'\n[access]\noidc = {{ issuer = "http://127.0.0.1:{trap.port}", audience = "kring", '
            f'jwks = "http://127.0.0.1:{trap.port}/jwks", claim = "groups", roles = {{ it = "admin" }} }}\n'
        )
    told = kring("--json", "serve", folder, "--port", free_port())
    assert told.code != 0
    assert trap.met == []


def test_forms_of_other_sites_are_refused(server: Server) -> None:
    wait_until_managed(server)
    good = f"key={server.key}".encode()
    forms = [way.path for way in ways() if way.method == "POST" and way.public]
    assert forms == ["/sign-in", "/sign-out"]
    for path in forms:
        for headers in (
            *({"sec-fetch-site": site} for site in ("cross-site", "same-site", "", "anything")),
            *(
                {"origin": origin}
                for origin in ("null", "https://evil.example", f"https://{server.address}.evil.example")
            ),
            {"origin": f"http://127.0.0.1:{server.port + 1}"},
        ):
            told = server.ask("POST", path, good, key="", headers=FORM | headers)
            assert (told.status, "set-cookie" in told.headers) == (403, False), (path, headers)
        for media in ("text/plain", "multipart/form-data; boundary=x", "application/json"):
            told = server.ask("POST", path, good, key="", headers={"content-type": media})
            assert "kring_session=a" not in told.headers.get("set-cookie", ""), (path, media)
            assert path == "/sign-out" or told.status == 415


def test_a_session_changes_nothing(server: Server) -> None:
    """A cookie comes along with what any page asks: it opens pages to read, and no route that changes something."""
    signed = server.ask("POST", "/sign-in", f"key={server.key}".encode(), key="", headers=FORM)
    session = {"cookie": signed.headers["set-cookie"].partition(";")[0]}
    assert server.ask("GET", "/", key="", headers=session).status == 200
    asked = 0
    for way in ways():
        if not way.public and (way.method != "GET" or way.path.startswith(("/api", "/v1", "/v2"))):
            path = way.at(system="loans", model="loans", key="loans", id="d_00000000000000000000000000")
            told = server.ask(way.method, path, way.body(), key="", headers=session)
            assert told.status == 401, (way.method, path, told.body)
            asked += 1
    assert asked > 30
    for told in (server.ask("GET", "/", headers={"origin": server.url}), server.ask("OPTIONS", "/api/systems")):
        assert not [name for name in told.headers if name.startswith("access-control")], "no page is let in by CORS"


TEMPLATES: Final = ("{{7*1337}}", "${7*1337}", "#{7*1337}", "<%= 7*1337 %>", "{% print(7*1337) %}", "{0.__class__}")
FORMULAS: Final = ("=7*1337", "+7*1337", "-7*1337", "@SUM(7*1337)", "\t=7*1337", '=HYPERLINK("http://evil.example")')


@pytest.mark.parametrize("text", [*TEMPLATES, *FORMULAS, SCRIPT, "%s%n%x", "{amount}"], ids=ascii)
def test_a_text_is_never_computed(server: Server, text: str) -> None:
    row = LOAN | {"region": text, "email": text}
    id = server.ask("POST", DECIDE, {"inputs": row}).json["id"]
    for path in (f"/decisions/{id}", f"/decisions/{id}?why=shap", "/systems/loans", "/"):
        told = server.ask("GET", path, headers={"accept": "text/html"})
        assert (told.status, b"9359" in told.body, SCRIPT.encode() in told.body) == (200, False, False), path
    assert server.ask("GET", f"/api/decisions/{id}").json["inputs"]["region"] == text
    said = [
        server.ask("GET", f"/decisions/{quote(text)}", headers={"accept": "text/html"}),
        server.ask("GET", f"/sign-in?next={quote(text)}", headers={"accept": "text/html"}, key=""),
        server.ask("POST", "/sign-in", f"key={quote(text)}&next={quote(text)}".encode(), headers=FORM, key=""),
        server.ask("GET", f"/api/systems/loans/decisions?most={quote(text)}"),
        server.ask("POST", DECIDE, {"inputs": LOAN | {text: 1}}),
        server.ask("POST", DECIDE, {text: 1}),
    ]
    for told in said:
        assert told.status in (200, 400, 401, 404, 429), told.body
        assert b"9359" not in told.body
        assert told.media == "application/json" or SCRIPT.encode() not in told.body
        assert told.headers["x-content-type-options"] == "nosniff"


def test_what_is_sent_comes_back_as_text_or_not_at_all(server: Server) -> None:
    """Whatever an answer repeats is JSON for programs, or escaped in a page."""
    for accept in ("text/html", "application/json", "*/*", SCRIPT, ""):
        for path in (f"/api/decisions/{quote(SCRIPT)}", f"/api/systems/{quote(SCRIPT)}", f"/decisions/{quote(SCRIPT)}"):
            told = server.ask("GET", path, headers={"accept": accept})
            assert told.status == 404
            assert SCRIPT.encode() not in told.body or told.media == "application/json"
            assert told.headers["x-content-type-options"] == "nosniff"
            assert SCRIPT not in str(told.headers)


JSONS: Final[dict[str, tuple[bytes, tuple[int, ...]]]] = {
    "deep lists": (b"[" * 200_000 + b"]" * 200_000, (400,)),
    "deep objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, (400,)),
    "NaN": (b'{"label": NaN, "value": NaN, "inputs": NaN}', (400,)),
    "a huge whole number": (b'{"days": ' + b"9" * 100_000 + b', "value": ' + b"9" * 100_000 + b"}", (400, 422)),
    "a huge exponent": (b'{"value": 1e999999999, "days": 1e999999999, "inputs": 1e999999999}', (400, 422)),
    "many keys": (json.dumps({f"k{number}": 1 for number in range(100_000)}).encode(), (400,)),
    "half a surrogate": (b'{"label": "\\ud800", "value": "\\ud800", "inputs": "\\ud800"}', (400, 422)),
    "a byte order mark": (b'\xef\xbb\xbf{"value": true}', (400,)),
    "UTF-16": ('{"value": true}'.encode("utf-16"), (400,)),
    "comments": (b'{"value": true /* x */}', (400,)),
    "a long text": (json.dumps(dict.fromkeys(("value", "label"), "a" * 1_000_000 + "!")).encode(), (400, 422)),
}


@pytest.mark.parametrize("name", JSONS)
def test_hard_json_is_refused_soon(server: Server, name: str) -> None:
    body, statuses = JSONS[name]
    id = server.ask("POST", DECIDE, {"inputs": LOAN}).json["id"]
    for path in (DECIDE, "/api/keys", "/api/outcomes", f"/api/decisions/{id}/outcome", "/v2/models/loans/infer"):
        told = server.ask("POST", path, body, seconds=30)
        assert told.status in statuses, (path, told.status, told.body[:300])
        assert len(told.body) < 3000
    assert server.ask("POST", DECIDE, {"inputs": LOAN}).status == 200


def test_of_two_equal_keys_the_last_one_counts_everywhere(server: Server) -> None:
    """As most readers of JSON do; whoever checks a body on its way has to read it alike."""
    low, high = ({"inputs": LOAN | {"amount": amount}} for amount in (5.0, 900.0))
    expected = server.ask("POST", DECIDE, high).json["outputs"]
    assert server.ask("POST", DECIDE, low).json["outputs"] != expected
    row = json.dumps(LOAN).replace('"amount": 120.0', '"amount": 5.0, "amount": 900.0')
    bodies = (
        f'{{"inputs": {row}}}',
        f'{{"inputs": {json.dumps(low["inputs"])}, "inputs": {json.dumps(high["inputs"])}}}',
        f'{{"inputs": [{row}]}}',
    )
    for body in bodies:
        told = server.ask("POST", DECIDE, body.encode()).json
        assert told.get("decisions", [told])[0]["outputs"] == expected
    body = b'{"label": "x", "role": "admin", "role": "viewer", "systems": ["fruit"], "systems": ["loans"], "days": 1}'
    made = server.ask("POST", "/api/keys", body).json["key"]
    assert (made["role"], made["systems"]) == ("viewer", ["loans"])


TEXTS: Final = ("a" * 50_000 + "!", "1" * 50_000, "-" * 50_000, " " * 50_000 + "x", "2026-01-01T" * 5000, "+" * 50_000)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:11])
def test_no_text_takes_long_to_read(server: Server, text: str) -> None:
    """Patterns are tried on what strangers write: in a path, a header, a query, a field."""
    id = server.ask("POST", DECIDE, {"inputs": LOAN}).json["id"]
    began = time.monotonic()
    server.ask("POST", DECIDE, {"inputs": LOAN | {"region": text, "email": text}})
    server.ask("POST", DECIDE, {"inputs": LOAN | {"asked_at": text}})
    server.ask("POST", DECIDE, {"inputs": LOAN | {"amount": text}})
    server.ask("POST", f"/api/decisions/{id}/outcome", {"value": True, "at": text})
    server.ask("POST", "/v1/chat/completions", {"model": text, "messages": []})
    short = quote(text[:8000])[:20_000]
    for path in (f"/{short}", f"/systems/{short}/api/systems", f"/api/decisions/{short}", f"/?next={short}"):
        with suppress(http.client.HTTPException):
            server.ask("GET", path, headers={"cookie": f"kring_session={short[:8000]}", "accept": short[:8000]})
    assert time.monotonic() - began < 20, "that is no more than a machine under load takes"


INSIDE: Final = ("Traceback", ".py", "site-packages", "granian", "sqlite", "0x7f")


def every_text(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from every_text(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from every_text(inner)
    else:
        yield str(value)


def test_an_error_tells_nothing_of_this_machine(server: Server) -> None:
    home = str(server.folders[0].parent)
    for way in ways():
        path = way.at(system="loans", model="loans", key="loans", id="d_00000000000000000000000000")
        for body in (b"{", b"\xff", b'{"inputs": 5}'):
            told = server.ask(way.method, path, body if way.method == "POST" else None)
            if told.status < 400 or told.media != "application/json":
                continue
            for text in every_text(told.json):
                assert home not in text
                assert not any(word in text for word in INSIDE), text
