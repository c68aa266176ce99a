"""Webhooks: CloudEvents, signed, to addresses that are meant, and bounded in every way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from kring.errors import KringError, Late, Refused, Unreachable, UserError
from kring.host.clock import SystemClock
from kring.notifiers import address, post, webhook
from kring.ports.notifier import Notifier
from kring.record.running import Notify
from kring.testing.notifier import BOUND_S, SECRET, Mood, NotifierSuite, message
from served import free_port
from targets import Target, certificate, http_target, silent_target

STATUSES: dict[str, int] = {"takes": 204, "busy": 503, "no": 400}


def aimed(url: str, **more: Any) -> Notify:
    return Notify(name="night", to="webhook", url=url, inner=more.pop("inner", True), **more)


def opened(url: str, *, secret: str = SECRET, seconds: float = 1.0, **more: Any) -> Notifier:
    return webhook.open_notifier(aimed(url, **more), secret=secret, clock=SystemClock(), seconds=seconds)


@pytest.fixture
def target() -> Iterator[Target]:
    with http_target() as made:
        yield made


class TestSuite(NotifierSuite):
    @pytest.fixture(autouse=True)
    def _target(self, target: Target) -> None:
        self.target = target

    def notifier(self, mood: Mood) -> Notifier:
        if mood == "gone":
            return opened(f"http://127.0.0.1:{free_port()}/")
        self.target.status = STATUSES.get(mood, 200)
        self.target.mood = mood if mood in ("hangs", "drips") else ""
        return opened(self.target.url)

    def heard(self) -> list[str]:
        return [json.dumps(json.loads(one.body), ensure_ascii=False) for one in self.target.taken]


def test_it_is_a_cloud_event_that_is_signed(target: Target) -> None:
    opened(target.url).send(message())
    (heard,) = target.asked
    event = json.loads(heard.body)
    assert heard.path == "/hook?a=b"
    assert heard.headers["content-type"].startswith("application/cloudevents+json")
    assert {name: event[name] for name in ("specversion", "id", "source", "type", "time")} == {
        "specversion": "1.0",
        "id": "n_1",
        "source": "/kring/systems/lights",
        "type": "dev.kring.alarm.opened",
        "time": "2023-11-14T22:14:20.000Z",
    }
    assert event["data"]["alarms"][0]["since"] == "2023-11-14T22:13:20.000Z"
    assert event["data"]["alarms"][0]["until"] is None
    signed = b".".join((b"n_1", heard.headers["webhook-timestamp"].encode(), heard.body))
    mac = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert heard.headers["webhook-id"] == "n_1"
    assert heard.headers["webhook-signature"] == f"v1,{mac}"
    assert abs(int(heard.headers["webhook-timestamp"]) - time.time()) < 60


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of the specification's own libraries."""
    key = webhook.key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "x")
    found = webhook.signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', at=1614265330)
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_secret_it_is_not_signed(target: Target) -> None:
    opened(target.url, secret="").send(message())
    assert "webhook-signature" not in target.asked[0].headers


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_line_end_of_a_mounted_secret_is_not_part_of_it(target: Target, end: str) -> None:
    opened(target.url, secret=SECRET + end).send(message())
    (heard,) = target.asked
    expected = webhook.signature(SECRET.encode(), "n_1", heard.body, at=int(heard.headers["webhook-timestamp"]))
    assert heard.headers["webhook-signature"] == expected["webhook-signature"]
    assert webhook.key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" + end, "x")


@pytest.mark.parametrize("secret", ["short", "\n", "whsec_", "whsec_!!!", "whsec_c2hvcnQ=", "\udcff" * 20])
def test_a_secret_that_can_not_sign(secret: str) -> None:
    with pytest.raises(UserError, match="can't sign"):
        opened("https://x.example", secret=secret)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("host", ["", "169.254.170.2", "[fd00:ec2::23]", "[64:ff9b::a9fe:a9fe]"])
def test_a_redirect_is_not_followed(target: Target, status: int, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real, reached = socket.create_connection, []

    def connect(where: tuple[str, int], **more: Any) -> socket.socket:
        reached.append(where)
        return real(where, **more)

    monkeypatch.setattr(address.socket, "create_connection", connect)
    target.status = status
    target.location = f"http://{host}/" if host else f"http://127.0.0.1:{target.port}/elsewhere"
    with pytest.raises(Refused, match="not followed"):
        opened(target.url).send(message())
    assert (len(target.asked), reached) == (1, [("127.0.0.1", target.port)])


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, None), (202, None), (400, Refused), (401, Refused), (404, Refused), (410, Refused), (408, Unreachable),
     (425, Unreachable), (429, Unreachable), (500, Unreachable), (503, Unreachable), (599, Unreachable)],
)  # fmt: skip
def test_what_an_answer_means(target: Target, status: int, kind: type[KringError] | None) -> None:
    target.status = status
    if kind is None:
        opened(target.url).send(message())
        return
    with pytest.raises(kind):
        opened(target.url).send(message())


def test_an_answer_without_an_end_is_not_read_to_it(target: Target) -> None:
    target.status, target.mood = 200, "floods"
    began = time.monotonic()
    opened(target.url, seconds=10).send(message())
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("drip", [b"", b"H", b"HTTP/1.1 100 Continue\r\n\r\n"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_who_never_ends_an_answer_is_left(drip: bytes, scheme: str) -> None:
    """Also in the midst of agreeing on TLS."""
    began = time.monotonic()
    with silent_target(drip=drip) as port, pytest.raises((Late, Unreachable)) as raised:
        opened(f"{scheme}://127.0.0.1:{port}/").send(message())
    assert raised.value.retryable
    assert time.monotonic() - began < BOUND_S


def test_tls_is_checked_against_the_name_that_was_given(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server, client = certificate(tmp_path, "alarms.example")
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))
    with http_target(server) as target:
        url = f"https://alarms.example:{target.port}/x"
        post.post(url, b"{}", headers={}, inner=True, target="night", context=client)
        assert [one.headers["host"] for one in target.asked] == [f"alarms.example:{target.port}"]
        with pytest.raises(Refused, match="certificate"):
            post.post(url, b"{}", headers={}, inner=True, target="night")
        other = f"https://other.example:{target.port}/x"
        with pytest.raises(Refused, match="certificate"):
            post.post(other, b"{}", headers={}, inner=True, target="night", context=client)
        assert len(target.asked) == 1


INNER = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "localhost", "[::1]", "[::]", "0.0.0.0",
    "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "10.0.0.1", "192.168.1.1",
    "172.16.0.1", "169.254.1.1", "169.254.169.254", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "[ff02::1]", "[fec0::1]", "[64:ff9b:1::a00:1]", "[::ffff:0:7f00:1]", "[5f00::1]",
]  # fmt: skip

CREDENTIALS = [
    "169.254.169.254", "2852039166", "169.254.170.2", "169.254.170.23", "169.254.0.23", "100.100.100.200",
    "168.63.129.16", "192.0.0.192", "[fd00:ec2::254]", "[fd00:ec2::23]", "[fd20:ce::254]", "[fe80::a9fe:a9fe]",
    "[::ffff:169.254.170.2]", "[::ffff:168.63.129.16]", "[::ffff:0:a9fe:a9fe]", "[::169.254.170.23]",
    "[2002:a9fe:a9fe::1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b::a83f:8110]", "[64:ff9b:1::a9fe:a9fe]",
    "[64:ff9b:1:a9fe:a9:fe00::]", "[64:ff9b:1:ffa9:fe:a9fe::]", "[64:ff9b:1:ffff:a9:fea9:fe00:0]",
    "[64:ff9b:1:ffff::a83f:8110]",
]  # fmt: skip
"""The addresses by which clouds tell a machine, a container or an agent who it is, in the forms they may be written."""

MEANT_INSIDE = [
    "127.0.0.1", "10.0.0.1", "100.64.0.1", "[::1]", "[fd12:3456::1]", "[fec0::1]", "[64:ff9b::a00:1]",
    "[64:ff9b:1::a00:1]",
]  # fmt: skip


@pytest.mark.parametrize("host", INNER)
def test_an_inner_address_is_not_reached_in_whatever_form(host: str) -> None:
    with pytest.raises(Refused, match="must not be reached") as raised:
        opened(f"https://{host}/", inner=False).send(message())
    assert not raised.value.retryable


@pytest.mark.parametrize("host", CREDENTIALS)
@pytest.mark.parametrize("inner", [True, False])
def test_where_clouds_hand_out_credentials_is_never_reached(host: str, inner: bool) -> None:
    with pytest.raises(Refused, match="must not be reached") as raised:
        opened(f"https://{host}/", inner=inner).send(message())
    assert "inner = true" not in raised.value.next


@pytest.mark.parametrize("host", MEANT_INSIDE)
def test_an_inner_address_is_reached_when_it_is_meant(host: str) -> None:
    address.require_reachable(host.strip("[]"), inner=True, target="night")


@pytest.mark.parametrize("host", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_a_public_address_is_reached(host: str) -> None:
    address.require_reachable(host, inner=False, target="night")


def test_a_name_that_changes_its_meaning_gains_nothing(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is resolved once: to what it meant then is connected, or not at all."""
    real, asked = socket.getaddrinfo, []

    def rebinding(host: str, *rest: Any, **more: Any) -> Any:
        asked.append(host)
        return real("93.184.216.34" if len(asked) == 1 else "127.0.0.1", *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    reached: list[Any] = []

    def connect(where: tuple[str, int], **_: Any) -> socket.socket:
        reached.append(where[0])
        raise OSError("not today")

    monkeypatch.setattr(address.socket, "create_connection", connect)
    with pytest.raises(Unreachable):
        opened(f"https://rebinds.example:{target.port}/", inner=False).send(message())
    assert (reached, asked) == (["93.184.216.34"], ["rebinds.example"])


@pytest.mark.parametrize("other", ["10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "fe80::1%1", "168.63.129.16"])
@pytest.mark.parametrize("last", [True, False])
def test_one_such_address_among_others_is_enough_to_refuse(
    other: str, last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are, and wherever it stands among them: before any of them is connected to."""
    public = [f"93.184.216.{number}" for number in range(1, 9)]
    found = [*public, other] if last else [other, *public]
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    monkeypatch.setattr(address.socket, "create_connection", lambda *_, **__: pytest.fail("connected"))
    with pytest.raises(Refused, match="must not be reached"):
        opened("https://both.example/", inner=False).send(message())


@pytest.mark.parametrize(
    "url",
    ["ftp://x.example", "file:///etc/passwd", "gopher://x", "x.example", "https://", "https://u:p@x.example",
     "https://u@x.example", "https://x.example:99999", "https://[::1", "https://x.example/\r\nx: y",
     "https://x .example", "", "javascript:alert(1)", "https://x.example/secret-ü", "https://x.example/?secret=ü"],
)  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    """Found out before there is anything to tell."""
    with pytest.raises(UserError) as raised:
        opened(url)
    assert "u:p" not in str(raised.value)
    assert "secret-" not in str(raised.value)


def test_in_clear_only_inside() -> None:
    with pytest.raises(Refused, match="in clear"):
        opened("http://x.example/", inner=False).send(message())


def test_a_host_that_is_not_known_may_be_known_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unreachable):
        opened("https://nobody.example/").send(message())


def test_no_proxy_of_the_environment_is_asked(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    opened(target.url).send(message())
    assert len(target.asked) == 1


def test_two_targets_do_not_share_a_thread_that_hangs() -> None:
    with ExitStack() as stack:
        port = stack.enter_context(silent_target())
        other = stack.enter_context(http_target())
        with pytest.raises((Late, Unreachable)):
            opened(f"http://127.0.0.1:{port}/").send(message())
        opened(other.url).send(message())
        assert len(other.taken) == 1
