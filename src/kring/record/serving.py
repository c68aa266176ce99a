"""What a data worker must know of one system: all of it in one record, so that it reads no configuration."""

from __future__ import annotations

import msgspec

from kring.record.contract import Contract
from kring.record.recipe import Repair
from kring.record.rollout import Pointer
from kring.record.system import System
from kring.record.trial import TrialRun


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """One system as it is to be served. `home` is the folder with its versions and its log, `public_key` what its
    versions are signed with, `known_later` are columns that no request can hold, `shadows` versions that are asked
    beside the live one, off the request's path. `roots` names by id the versions whose contents were looked at: a
    worker opens these bytes and no others. `repairs` are those of the recipe that can be applied to one row. `trials`
    are those that run. `waits` says in words what of kring.toml as it is now is not gone by yet."""

    home: str
    system: System
    contract: Contract
    known_later: tuple[str, ...]
    pointer: Pointer
    public_key: bytes
    shadows: tuple[str, ...] = ()
    roots: dict[str, str] = {}
    repairs: tuple[Repair, ...] = ()
    trials: tuple[TrialRun, ...] = ()
    waits: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a machine serves, as the supervisor tells it to every process. `state` is the folder in which they meet.

    `hosts` are further names under which the server is called, `origins` pages of others that may ask. A request waits
    at most `gather_s` for others to be decided with. `otel` is the URL of who is told spans, `provider` what computes
    the graphs of versions, or `auto`.
    """

    state: str
    folders: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = 8000
    grpc_port: int = 0
    workers: int = 1
    certificate: str = ""
    certificate_key: str = ""
    behind_proxy: bool = False
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    most_bytes: int = 8 << 20
    key_grace_s: float = 3600.0
    drain_s: float = 20.0
    gather_s: float = 0.003
    otel: str = ""
    provider: str = "auto"
