"""Mail by SMTP: `smtps://` speaks TLS from the first byte, `smtp://` from STARTTLS on.

In clear only inside (`inner = true`), and then without a password. A name before the host signs in with the secret.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final
from urllib.parse import unquote

from kring.errors import KringError, Refused, Unreachable, UserError
from kring.notifiers.address import connected, encrypted, parts_of, resolved
from kring.notifiers.bounded import bounded
from kring.notifiers.secret import sendable
from kring.ports.clock import Clock
from kring.ports.notifier import Notifier
from kring.record.message import Message
from kring.record.running import Notify

SCHEMES: Final = {"smtps": 465, "smtp": 587}
ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
LONGEST: Final = 200


class _Pinned(smtplib.SMTP):
    """SMTP over a socket to addresses that were judged before."""

    def __init__(self, host: str, port: int, *, made: socket.socket, seconds: float) -> None:
        self._made = made
        super().__init__(host, port, timeout=seconds)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        del host, port, timeout
        return self._made

    def turn(self, made: list[socket.socket], context: ssl.SSLContext | None, *, host: str) -> None:
        """Speak TLS from here on, and forget all that was said in clear (RFC 3207, section 4.2)."""
        code, said = self.docmd("STARTTLS")
        if code != 220:
            raise smtplib.SMTPResponseException(code, said)
        self.sock = encrypted(made, context, host=host)
        if self.file is not None:
            self.file.close()
        self.file = self.helo_resp = self.ehlo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False
        self.ehlo_or_helo_if_needed()


class Mail:
    """One mail server, and whom it brings mail."""

    def __init__(
        self, target: Notify, *, password: str, clock: Clock, seconds: float, context: ssl.SSLContext | None
    ) -> None:
        self._target = target
        self._seconds = seconds
        self._password = password
        self._clock = clock
        self._context = context
        self._parts, self._port = parts_of(target.url, schemes=SCHEMES, target=target.name)
        self._user = sendable(unquote(self._parts.username or ""), what="name", target=target.name)

    def send(self, message: Message) -> None:
        """See `Notifier.send`."""
        name, host = self._target.name, str(self._parts.hostname)
        addresses = resolved(host, self._port, inner=self._target.inner, target=name)
        made: list[socket.socket] = []
        with bounded(lambda: made[-1] if made else None, seconds=self._seconds, target=name):
            try:
                self._deliver(message, host, addresses, made)
            except KringError:
                raise
            except smtplib.SMTPException as error:
                raise _told(error, name) from error
            except ssl.SSLCertVerificationError as error:
                raise Refused(
                    f"the certificate of the target {name} is not good for it", got=error.verify_message
                ) from error
            except OSError as error:
                if isinstance(error, TimeoutError):
                    raise
                raise Unreachable(
                    f"the target {name} broke off", got=type(error).__name__, next="it is tried again"
                ) from error
            finally:
                for one in reversed(made):
                    one.close()

    def _deliver(self, message: Message, host: str, addresses: list[str], made: list[socket.socket]) -> None:
        name = self._target.name
        made.append(connected(addresses, self._port, seconds=self._seconds, target=name))
        private = self._parts.scheme == "smtps"
        if private:
            encrypted(made, self._context, host=host)
        server = _Pinned(host, self._port, made=made[-1], seconds=self._seconds)
        try:
            self._hand_over(server, message, host, made, private=private)
        finally:
            server.close()

    def _hand_over(
        self, server: _Pinned, message: Message, host: str, made: list[socket.socket], *, private: bool
    ) -> None:
        server.ehlo_or_helo_if_needed()
        if not private and server.has_extn("starttls"):
            server.turn(made, self._context, host=host)
            private = True
        self._require_private(private)
        if self._user:
            server.login(self._user, self._password)
        refused = server.send_message(mail_of(message, self._target, at=self._clock.now()))
        server.quit()
        if refused:
            codes = sorted({f"{code}" for code, _ in refused.values()})
            raise Refused(f"{self._target.name} refuses {len(refused)} of its recipients", got=", ".join(codes))

    def _require_private(self, encrypted: bool) -> None:
        """`Refused` when others could read what is said."""
        if not encrypted and (self._user or not self._target.inner):
            raise Refused(
                f"the target {self._target.name} would be told in clear", got="a server without STARTTLS",
                allowed="smtps://, STARTTLS, or inner = true without a name to sign in", key="notify.url",
            )  # fmt: skip


def open_notifier(
    target: Notify, *, secret: str, clock: Clock, seconds: float = 20.0, context: ssl.SSLContext | None = None
) -> Notifier:
    """A mail server; `secret` is the password of the name in its address. `UserError` for addresses that are none, for
    a name without a password, and for either that can't be sent. All of it takes at most `seconds`."""
    for address in (target.sender, *target.recipients):
        require_address(address, target.name)
    password = sendable(secret, what="secret", target=target.name)
    mail = Mail(target, password=password, clock=clock, seconds=seconds, context=context)
    if bool(mail._user) != bool(secret):
        raise UserError(
            f"the target {target.name} signs in with a name and a secret", got="one of the two",
            allowed="smtp://name@host and secret, or neither", key="notify.secret",
        )  # fmt: skip
    return mail


def mail_of(message: Message, target: Notify, *, at: int) -> EmailMessage:
    """The message as mail: plain text, one line of subject, an id that is the same when it is sent again."""
    mail = EmailMessage()
    mail["Subject"] = one_line(message.subject)
    mail["From"] = target.sender
    mail["To"] = ", ".join(target.recipients)
    mail["Date"] = format_datetime(datetime.fromtimestamp(at // 1_000_000, tz=UTC))
    mail["Message-ID"] = f"<{message.id}@{target.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Kring-System"] = one_line(message.system)
    mail.set_content("".join(sign if sign.isprintable() or sign in "\n\t" else "�" for sign in message.text) + "\n")
    return mail


def one_line(text: str) -> str:
    """`text` as it may stand in a header: whatever could end the line is a blank."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())[:LONGEST]


def require_address(address: str, target: str) -> None:
    """`UserError` for what is no plain address: with a line end in it, it could say anything to the server."""
    if not ADDRESS.fullmatch(address):
        raise UserError(
            f"the target {target} has an address that is none",
            got=repr(address)[:80],
            allowed="name@host",
            key="notify",
        )


def _told(error: smtplib.SMTPException, target: str) -> KringError:
    """An answer of the server: 4xx and broken connections are tried again, 5xx are final. What it said is not
    repeated: it may hold what it was shown."""
    codes = _codes(error)
    if isinstance(error, smtplib.SMTPServerDisconnected) or any(400 <= code < 500 for code in codes):
        return Unreachable(
            f"the target {target} can't take it now", got=f"SMTP {codes or ''}", next="it is tried again"
        )
    signing = isinstance(error, smtplib.SMTPAuthenticationError)
    return Refused(
        f"the target {target} {'does not know the name or the secret' if signing else 'does not take it'}",
        got=f"SMTP {', '.join(map(str, codes)) or type(error).__name__}",
        next="mend its [[notify]]",
    )


def _codes(error: smtplib.SMTPException) -> Sequence[int]:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return [code for code, _ in error.recipients.values()]
    return [error.smtp_code] if isinstance(error, smtplib.SMTPResponseException) else []
