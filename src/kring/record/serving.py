"""What a data worker must know of one system: all of it in one record, so that it reads no configuration."""

from __future__ import annotations

import msgspec

from kring.record.contract import Contract
from kring.record.rollout import Pointer
from kring.record.system import System


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """One system as it is to be served. `home` is the folder with its versions and its log, `public_key` what its
    versions are signed with, `known_later` are columns that no request can hold, `shadows` versions that are asked
    beside the live one, off the request's path."""

    home: str
    system: System
    contract: Contract
    known_later: tuple[str, ...]
    pointer: Pointer
    public_key: bytes
    shadows: tuple[str, ...] = ()
