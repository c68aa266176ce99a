"""One level of load by one of the two clients, each in a process of its own."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from kring.errors import Unavailable, UserError
from kring.flow.benching.client import Order, Told
from kring.host.process import Completed, run_bounded
from kring.ports.files import Files
from kring.record.load import Client

SCRIPT: Final = Path(__file__).with_name("post.lua")
T = TypeVar("T")
WRK: Final = "wrk"
MOST_CONNECTIONS: Final = 256
MOST_SECONDS: Final = 60
LATE_S: Final = 30.0
MEMORY_MB: Final = 2048
OUTPUT: Final = 1 << 16


class WrkTold(msgspec.Struct, frozen=True):
    """What the script prints: times in microseconds. `requests` are those with an answer of any kind."""

    us: int
    requests: int
    refused: int
    failed: int
    p50: int
    p90: int
    p99: int


def chosen(wish: Literal["auto", "wrk", "built-in"]) -> Client:
    """The client to use: wrk where it is installed. `UserError` when it is wished for and missing."""
    there = shutil.which(WRK) is not None
    if wish == "wrk" and not there:
        raise UserError(
            "wrk is not installed",
            allowed="auto, built-in",
            next="apt-get install wrk, or leave --client out",
        )
    return "wrk" if there and wish != "built-in" else "built-in"


def ask(order: Order, *, client: Client, folder: Path, files: Files) -> Told:
    """Put `order` to the server by `client`; `folder` is private, and takes what wrk reads.

    `Unavailable` when the client itself fails.
    """
    return _by_wrk(order, folder, files) if client == "wrk" else _by_ours(order, folder)


def _by_ours(order: Order, folder: Path) -> Told:
    done = run_bounded(
        [sys.executable, "-P", "-m", "kring.flow.benching.client"],
        stdin=msgspec.json.encode(order),
        timeout_s=order.seconds + LATE_S,
        memory_mb=MEMORY_MB,
        output_limit=OUTPUT,
        cwd=folder,
        env=os.environ,
    )
    return _read(done, Told, client="the built-in client")


def _by_wrk(order: Order, folder: Path, files: Files) -> Told:
    """Headers go by a private file: a command line can be seen by everybody on the machine."""
    path = folder / "requests.txt"
    lines = [f"{name}: {value}" for name, value in order.headers.items()]
    files.write(path, "\n".join([*lines, "", *order.bodies, ""]).encode())
    host = f"[{order.host}]" if ":" in order.host else order.host
    options = ["-t1", f"-c{order.connections}", f"-d{max(1, round(order.seconds))}s", "-s", str(SCRIPT)]
    done = run_bounded(
        [WRK, *options, f"http://{host}:{order.port}{order.path}", "--", str(path)],
        timeout_s=order.seconds + LATE_S,
        memory_mb=MEMORY_MB,
        output_limit=OUTPUT,
        cwd=folder,
        env=os.environ,
    )
    told = _read(done, WrkTold, client=WRK)
    answered = max(told.requests - told.refused, 0)
    quantiles = [us / 1000 if answered else None for us in (told.p50, told.p90, told.p99)]
    return Told(
        seconds=told.us / 1e6,
        answered=answered,
        refused=told.refused,
        failed=told.failed,
        p50_ms=quantiles[0],
        p90_ms=quantiles[1],
        p99_ms=quantiles[2],
    )


def _read(done: Completed, type: type[T], *, client: str) -> T:
    """The last line of what a client wrote."""
    lines = done.output.splitlines()
    try:
        if done.code == 0 and lines:
            return msgspec.json.decode(lines[-1], type=type)
    except msgspec.MsgspecError:
        pass
    said = done.output.decode(errors="replace").strip()[-400:]
    raise Unavailable(f"{client} failed", got=said or f"exit code {done.code}", next="try the other --client")
