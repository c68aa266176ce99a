"""Where to listen, and the checks against borrowed browsers."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.access.hosts import (
    Authority,
    client_address,
    hosts_allowed,
    is_loopback,
    is_private,
    require_host,
    require_listening,
    require_names,
    require_origin,
)
from kring.errors import Forbidden, UserError

LOCAL = hosts_allowed("127.0.0.1")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_this_machine_only(host: str) -> None:
    assert is_loopback(host)
    require_listening(host, auth=False, tls=False, behind_proxy=False)
    assert is_private(host, behind_proxy=False)
    assert not is_private(host, behind_proxy=True), "a proxy lets others in"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "kring.example.org", "localhost.example.org"])
def test_beyond_this_machine_it_takes_authentication_and_tls(host: str) -> None:
    assert not is_loopback(host)
    assert not is_private(host, behind_proxy=False)
    for auth, tls in ((False, False), (True, False), (False, True)):
        with pytest.raises(UserError) as caught:
            require_listening(host, auth=auth, tls=tls, behind_proxy=False)
        assert ("TLS" in caught.value.got) is not tls
        assert ("authentication" in caught.value.got) is not auth
        assert "--behind-proxy" in caught.value.next
    require_listening(host, auth=True, tls=True, behind_proxy=False)
    require_listening(host, auth=True, tls=False, behind_proxy=True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("localhost", Authority("localhost", None)),
        ("localhost:8000", Authority("localhost", 8000)),
        ("LocalHost:8000", Authority("localhost", 8000)),
        ("localhost.:8000", Authority("localhost", 8000)),
        ("127.0.0.1:1", Authority("127.0.0.1", 1)),
        ("[::1]:8000", Authority("::1", 8000)),
    ],
)
def test_own_names_are_answered(text: str, found: Authority) -> None:
    assert require_host({"host": text}, hosts=LOCAL) == found


REBOUND = [
    "", "attacker.example", "attacker.example:8000", "localhost.attacker.example", "127.0.0.1.nip.io",
    "localhost:8000, attacker.example", "localhost@attacker.example", "attacker.example#localhost",
    "attacker.example/localhost", "localhost attacker.example", "localhost:", "localhost:99999", "localhost:http",
    "[::1", "::1]", "[::2]", "0.0.0.0", "192.168.1.5", "2130706433", "0x7f.1", "127.1", "*", "lоcalhost",
    "localhost\r\nx: y", "localhost\x00", "a" * 5000, "[", "]", "..",
]  # fmt: skip


@pytest.mark.parametrize("text", REBOUND)
def test_a_name_that_was_bound_to_this_machine_elsewhere_is_not_answered(text: str) -> None:
    with pytest.raises(Forbidden) as caught:
        require_host({"host": text}, hosts=LOCAL)
    assert "localhost" in caught.value.allowed
    assert len(caught.value.got) < 700
    assert caught.value.got.isprintable()


def test_no_host_is_none() -> None:
    with pytest.raises(Forbidden, match="no Host header"):
        require_host({}, hosts=LOCAL)


class Told:
    """Headers of one name, as they came."""

    def __init__(self, *values: str) -> None:
        self.values = values

    def get_all(self, name: str) -> list[str]:
        assert name == "x-forwarded-for"
        return [*self.values]


@given(st.text(max_size=40))
def test_no_text_breaks_the_checks(text: str) -> None:
    with suppress(Forbidden):
        assert require_host({"host": text}, hosts=LOCAL).host in LOCAL
    with suppress(Forbidden):
        require_origin({"origin": text}, asked=Authority("localhost", 8000))
        assert text.lower().startswith(("http://localhost", "https://localhost"))
    client_address(text, Told(text, text), behind_proxy=True)


def test_names_that_are_allowed_beyond_loopback() -> None:
    hosts = hosts_allowed("0.0.0.0", ["Kring.Example.org.", ""])
    assert require_host({"host": "kring.example.org"}, hosts=hosts).host == "kring.example.org"
    assert require_host({"host": "localhost:8000"}, hosts=hosts)
    assert "" not in hosts
    assert hosts_allowed("192.168.1.5") == {"192.168.1.5"}
    assert hosts_allowed("::1") >= {"::1", "localhost"}


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8000", "http://localhost:8000"),
        ("localhost:8000", "HTTP://LOCALHOST:8000"),
        ("localhost", "http://localhost"),
        ("localhost", "https://localhost"),
        ("localhost", "https://localhost:443"),
        ("localhost:443", "https://localhost"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("localhost:8000", "https://shop.example.org"),
    ],
)
def test_own_pages_and_those_that_are_let_in_may_ask(host: str, origin: str) -> None:
    asked = require_host({"host": host}, hosts=LOCAL)
    require_origin({"origin": origin}, asked=asked, origins=["https://shop.example.org"])
    require_origin({}, asked=asked)


@pytest.mark.parametrize(
    "origin",
    [
        "null", "", "*", "http://attacker.example", "http://localhost", "http://localhost:3000", "http://127.0.0.1:8000",
        "http://localhost.attacker.example:8000", "http://localhost:8000@attacker.example", "localhost:8000",
        "file://localhost:8000", "ftp://localhost:8000", "http://localhost:8000/", "http://localhost:8000 null",
        "http://localhost:8000,http://attacker.example", "https://shop.example.org.attacker.example",
    ],
)  # fmt: skip
def test_pages_from_elsewhere_may_not(origin: str) -> None:
    asked = require_host({"host": "localhost:8000"}, hosts=LOCAL)
    with pytest.raises(Forbidden, match="page from elsewhere"):
        require_origin({"origin": origin}, asked=asked, origins=["https://shop.example.org"])


@pytest.mark.parametrize(
    ("peer", "told", "trusted", "address"),
    [
        ("10.0.0.1", (), False, "10.0.0.1"),
        ("10.0.0.1", (), True, "10.0.0.1"),
        ("10.0.0.1", ("1.2.3.4",), False, "10.0.0.1"),
        ("10.0.0.1", ("1.2.3.4",), True, "1.2.3.4"),
        ("10.0.0.1", ("6.6.6.6, 1.2.3.4",), True, "1.2.3.4"),
        ("10.0.0.1", ("6.6.6.6", "1.2.3.4"), True, "1.2.3.4"),
        ("10.0.0.1", ("6.6.6.6, 7.7.7.7", "8.8.8.8, 1.2.3.4"), True, "1.2.3.4"),
        ("10.0.0.1", ("1.2.3.4, nonsense",), True, "10.0.0.1"),
        ("10.0.0.1", ("1.2.3.4", "nonsense"), True, "10.0.0.1"),
        ("10.0.0.1", ("",), True, "10.0.0.1"),
        ("::ffff:1.2.3.4", (), False, "1.2.3.4"),
        ("2001:db8:1:2:3::9", (), False, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", (), False, "2001:db8:1:2::/64"),
        ("a socket", (), False, "a socket"),
    ],
)
def test_who_asks(peer: str, told: tuple[str, ...], trusted: bool, address: str) -> None:
    assert client_address(peer, Told(*told), behind_proxy=trusted) == address


@pytest.mark.parametrize(
    ("names", "origins"),
    [
        (("*",), ()),
        (("",), ()),
        (("a b",), ()),
        (("example.org:443",), ()),
        (("https://example.org",), ()),
        ((), ("*",)),
        ((), ("null",)),
        ((), ("",)),
        ((), ("https://*",)),
        ((), ("https://*.example.org",)),
        ((), ("https://example.org/",)),
        ((), ("HTTPS://example.org",)),
        ((), ("file://",)),
        ((), ("https://a.example,https://b.example",)),
    ],
)
def test_names_and_origins_that_stand_for_others_are_refused(names: tuple[str, ...], origins: tuple[str, ...]) -> None:
    with pytest.raises(UserError):
        require_names(names, origins=origins)


def test_names_and_origins_one_by_one() -> None:
    require_names(("kring.example.org", "10.0.0.1"), origins=("https://app.example.org", "http://localhost:3000"))
