"""Whether a server can listen where it is to listen, found out before any of its processes starts."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
import time
from pathlib import Path
from typing import Final

import msgspec

from kring.access.hosts import require_listening
from kring.errors import Busy, Unavailable, UserError
from kring.record.serving import Plan

PATIENCE_S: Final = 2.0
"""How long workers of a server that was killed may take to let go of its port."""

PAUSE_S: Final = 0.05


def listenable(plan: Plan) -> Plan:
    """The plan with an address for its host and whole paths for its certificate.

    `UserError` for an address that needs more protection or is none of this machine, and for a certificate that can't
    be used; `Busy` when somebody else has a port: workers share theirs, so two servers on one
    port would answer each other's callers.
    """
    host = address_of(plan.host)
    certificate, key = pair_of(plan.certificate, plan.certificate_key)
    require_listening(host, auth=True, tls=bool(certificate), behind_proxy=plan.behind_proxy)
    if plan.port == plan.grpc_port:
        raise UserError("gRPC has a port of its own", got=f"{plan.port} for both", next="choose another --grpc-port")
    for port, option in ((plan.port, "--port"), (plan.grpc_port, "--grpc-port")):
        if port:
            require_free(host, port, option=option)
    return msgspec.structs.replace(plan, host=host, certificate=certificate, certificate_key=key)


def address_of(host: str) -> str:
    """The IP address that `host` stands for. `UserError` for a name: it may mean another machine."""
    if host.lower().rstrip(".") == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        raise UserError(
            "this is no address to listen on",
            got=repr(host)[:80],
            allowed="an IP address of this machine, or localhost",
            next="a name by which the server is called goes into --name",
        ) from None


def pair_of(certificate: str, key: str) -> tuple[str, str]:
    """Paths of a certificate and its key, once they were read and fit; two empty ones without TLS."""
    if not certificate and not key:
        return "", ""
    if not certificate or not key:
        raise UserError(
            "a certificate and its key belong together",
            got="--tls-cert alone" if certificate else "--tls-key alone",
            next=f"give {'--tls-key' if certificate else '--tls-cert'} too",
        )
    paths = Path(certificate).resolve(), Path(key).resolve()
    for path in paths:
        if not path.is_file():
            raise UserError("there is no such file", got=str(path), allowed="a file in PEM", file=str(path))
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*paths, password=lambda: "")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise UserError(
            "the certificate can't be used",
            got=fault_of(error),
            allowed="a certificate and its key, both in PEM, the key without a password",
            next="look at the two files",
            file=str(paths[0]),
        ) from error
    return str(paths[0]), str(paths[1])


def fault_of(error: Exception) -> str:
    """In words; OpenSSL has none for what is no PEM, and for a password that is not right."""
    if isinstance(error, ssl.SSLError):
        return error.reason.replace("_", " ").lower() if error.reason else "no PEM, or a key with a password"
    return getattr(error, "strerror", None) or str(error)


def require_free(host: str, port: int, *, option: str) -> None:
    """Return when nobody listens there. What a killed server leaves behind gets a moment to go."""
    until = time.monotonic() + PATIENCE_S
    while (error := refusal(host, port)) is not None:
        if error.errno == errno.EADDRINUSE and time.monotonic() < until:
            time.sleep(PAUSE_S)
            continue
        raise told(error, host, port, option=option)


def refusal(host: str, port: int) -> OSError | None:
    """Why nobody can listen there now, if so."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error
    return None


def told(error: OSError, host: str, port: int, *, option: str) -> Busy | UserError | Unavailable:
    """The same in words."""
    if error.errno == errno.EADDRINUSE:
        return Busy(
            f"port {port} is taken",
            got=f"somebody listens on {host}",
            next=f"choose another {option}, or stop who has it",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return UserError(
            "this machine has no such address", got=host, next="ask it by `ip address` for those that it has"
        )
    next = "ports below 1024 are for the machine's administrator: choose another, or put a proxy in front"
    return Unavailable(
        f"it can't be listened on {host}, port {port}",
        got=error.strerror or str(error),
        next=next if error.errno == errno.EACCES else f"choose another {option}",
    )
