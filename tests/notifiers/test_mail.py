"""Mail, to a real server: in TLS or inside, and with nothing in a header that others wrote."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from kring.errors import Refused, UserError
from kring.host.clock import SystemClock
from kring.notifiers import mail
from kring.ports.notifier import Notifier
from kring.record.running import Notify
from kring.testing.notifier import SECRET, Mood, NotifierSuite, message
from served import free_port
from targets import certificate, silent_target


class Kept:
    """Takes mail, or answers `says` to it."""

    def __init__(self, says: str = "250 OK") -> None:
        self.says = says
        self.mails: list[bytes] = []
        self.recipients: list[str] = []
        self.private: list[bool] = []

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        if self.says.startswith("250"):
            self.mails.append(envelope.content)
            self.recipients += envelope.rcpt_tos
            self.private.append(session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None)
        return self.says


@contextmanager
def server(kept: Kept, **options: Any) -> Iterator[int]:
    port = free_port()
    controller = Controller(kept, hostname="127.0.0.1", port=port, ready_timeout=30, **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def aimed(url: str, **more: Any) -> Notify:
    fields = {"sender": "kring@house.example", "recipients": ("night@house.example",), "inner": True}
    return Notify(name="desk", to="mail", url=url, **{**fields, **more})


def opened(
    url: str, *, secret: str = "", seconds: float = 20.0, context: ssl.SSLContext | None = None, **more: Any
) -> Notifier:
    target = aimed(url, **more)
    return mail.open_notifier(target, secret=secret, clock=SystemClock(), seconds=seconds, context=context)


class TestSuite(NotifierSuite):
    @pytest.fixture(autouse=True)
    def _stack(self) -> Iterator[None]:
        self.kept = Kept()
        with ExitStack() as self.stack:
            yield

    def notifier(self, mood: Mood) -> Notifier:
        if mood == "gone":
            return opened(f"smtp://127.0.0.1:{free_port()}")
        if mood in ("hangs", "drips"):
            port = self.stack.enter_context(silent_target(drip=b"" if mood == "hangs" else b"2"))
            return opened(f"smtp://127.0.0.1:{port}", seconds=1.5)
        self.kept.says = {"busy": "451 later", "no": "554 no"}.get(mood, "250 OK")
        return opened(f"smtp://127.0.0.1:{self.stack.enter_context(server(self.kept))}")

    def heard(self) -> list[str]:
        parsed = [message_from_bytes(one, policy=policy.default) for one in self.kept.mails]
        return [f"{one['subject']} {one['message-id']} {one.get_content()}" for one in parsed]  # type: ignore[attr-defined]


def test_it_is_plain_mail_with_an_id_of_its_own() -> None:
    kept = Kept()
    with server(kept) as port:
        opened(f"smtp://127.0.0.1:{port}", recipients=("a@x.example", "b@x.example")).send(message())
    (parsed,) = (message_from_bytes(one, policy=policy.default) for one in kept.mails)
    assert parsed["subject"] == "[ticket] lights, alarm: age moved"
    assert parsed["message-id"] == "<n_1@house.example>"
    assert parsed["auto-submitted"] == "auto-generated"
    assert kept.recipients == ["a@x.example", "b@x.example"]


def test_what_others_wrote_stays_out_of_the_headers() -> None:
    kept = Kept()
    subject = "age\r\nBcc: all@x.example\r\n\r\nhello"
    with server(kept) as port:
        opened(f"smtp://127.0.0.1:{port}").send(
            message(subject=subject, system="a\nTo: b", text=".\r\nRCPT TO:<x>\x1b[2J")
        )
    (parsed,) = (message_from_bytes(one, policy=policy.default) for one in kept.mails)
    assert (parsed["bcc"], parsed["to"]) == (None, "night@house.example")
    assert parsed["subject"] == "age Bcc: all@x.example hello"
    assert kept.recipients == ["night@house.example"]
    assert "\x1b" not in parsed.get_content()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x",
        "a@b\r\nBcc: c@d",
        "a@b c",
        "a b@c",
        "<a@b>",
        "a@b,c@d",
        "a@b\x00",
        "@b",
        "a@",
        "a" * 65 + "@b",
        "ü@b.example",
    ],
)
def test_what_is_no_address_of_mail(address: str) -> None:
    with pytest.raises(UserError, match="is none"):
        opened("smtps://x.example", recipients=(address,))
    with pytest.raises(UserError, match="is none"):
        opened("smtps://x.example", sender=address)


@pytest.mark.parametrize(
    "url", ["https://x.example", "smtp://", "smtp://u:p@x.example", "x.example:25", "smtp://x:port"]
)
def test_what_is_no_mail_server(url: str) -> None:
    with pytest.raises(UserError):
        opened(url)


def test_a_name_wants_a_secret_and_a_secret_a_name() -> None:
    for url, secret in (("smtps://ada@x.example", ""), ("smtps://x.example", SECRET)):
        with pytest.raises(UserError, match="one of the two"):
            opened(url, secret=secret)


@pytest.mark.parametrize("secret", ["pässwort", "pass\nword", "pass\x00word", "pass\udcff", "\n"])
def test_a_password_that_can_not_be_sent_is_found_out_before_and_not_repeated(secret: str) -> None:
    with pytest.raises(UserError, match="the secret of the target desk can't be sent") as raised:
        opened("smtps://ada@x.example", secret=secret)
    assert "pass" not in f"{raised.value}{raised.value!r}{raised.value.__cause__!r}{raised.value.__context__!r}"


@pytest.mark.parametrize("name", ["ad%C3%A4", "ada%00", "ada%0D%0AQUIT"])
def test_a_name_that_can_not_be_sent_is_found_out_before(name: str) -> None:
    with pytest.raises(UserError, match="the name of the target desk can't be sent"):
        opened(f"smtps://{name}@x.example", secret=SECRET)


def test_outside_nothing_is_said_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kring.notifiers.mail.resolved", lambda *_, **__: ["127.0.0.1"])
    kept = Kept()
    with server(kept) as port, pytest.raises(Refused, match="in clear"):
        opened(f"smtp://127.0.0.1:{port}", inner=False).send(message())
    with server(kept) as port, pytest.raises(Refused, match="in clear"):
        opened(f"smtp://ada@127.0.0.1:{port}", secret=SECRET).send(message())
    assert kept.mails == []


def test_an_inner_server_is_not_reached_unless_it_is_meant() -> None:
    with pytest.raises(Refused, match="must not be reached"):
        opened("smtps://127.0.0.1", inner=False).send(message())


@pytest.fixture
def both(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return certificate(tmp_path, "localhost")


def signing_in(said: list[tuple[bytes, bytes]]) -> Callable[..., AuthResult]:
    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        said.append((data.login, data.password))
        return AuthResult(success=data.password == SECRET.encode(), handled=False)

    return check


def test_starttls_then_sign_in(both: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    kept = Kept()
    said: list[tuple[bytes, bytes]] = []
    options: dict[str, Any] = {
        "tls_context": both[0],
        "require_starttls": True,
        "auth_required": True,
        "authenticator": signing_in(said),
    }
    with server(kept, **options) as port:
        opened(f"smtp://ada@localhost:{port}", secret=SECRET, context=both[1]).send(message())
        assert (said, kept.private) == ([(b"ada", SECRET.encode())], [True])
        with pytest.raises(Refused, match="the name or the secret") as raised:
            opened(f"smtp://ada@localhost:{port}", secret="another secret", context=both[1]).send(message())
        assert "another" not in f"{raised.value!r}{raised.value.__cause__!r}"
        with pytest.raises(Refused, match="certificate"):
            opened(f"smtp://localhost:{port}").send(message())
        mounted = SECRET + "\n"
        opened(f"smtp://ada@localhost:{port}", secret=mounted, context=both[1]).send(message())
    assert len(kept.mails) == 2


def test_tls_from_the_first_byte(both: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    kept = Kept()
    with server(kept, ssl_context=both[0]) as port:
        opened(f"smtps://localhost:{port}", context=both[1]).send(message())
        with pytest.raises(Refused, match="certificate"):
            opened(f"smtps://localhost:{port}").send(message())
    assert kept.private == [True]
