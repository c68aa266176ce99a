"""Rollbacks that the ledger could not be told of: one small file beside it, by which every worker goes at once.

A version that stands in it answers nothing, whatever the pointer says, until a pointer comes that was set when the
ledger had heard of the rollback. So a rollback needs no ledger, holds at every worker that lives, and nobody who
promotes meanwhile wins over it. Beside it lies the pointer that was published last, for whoever can't ask the ledger.
Imports nothing heavy.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from kring.errors import IntegrityError, KringError, NotFound
from kring.flow.switching import taking_turns
from kring.ports.files import Files
from kring.record.pulled import Pulled, PulledOut
from kring.record.rollout import Pointer

FILE: Final = "pulled.json"
PUBLISHED: Final = "published.json"
MOST: Final = 20
"""Pulled versions that are remembered after the ledger was told."""

Stamp = tuple[int, int, int]


class PullFile:
    """What was pulled of the system whose state lies in `home`; it `is_known` once the file was read or not there."""

    def __init__(self, home: Path, *, files: Files) -> None:
        self.path = home / FILE
        self._published = home / PUBLISHED
        self._files = files
        self._stamp: Stamp | None = None
        self.pulled: tuple[Pulled, ...] = ()
        self.trouble = ""
        self.is_known = False

    def has_changed(self) -> bool:
        """Look at the file's stamp, and read it when it is another: whether other versions are `pulled` than before. A
        file that can't be read changes nothing, and is tried again at the next look; until then `trouble` says why."""
        try:
            there = os.stat(self.path)
            stamp: Stamp | None = (there.st_mtime_ns, there.st_ino, there.st_size)
        except FileNotFoundError:
            stamp = None
        except OSError as error:
            self.trouble = f"{self.path.name} can't be looked at: {error.strerror or error}"
            return False
        if stamp == self._stamp:
            self.trouble, self.is_known = "", True
            return False
        try:
            now = self.read()
        except KringError as error:
            self.trouble = error.message
            return False
        before, self.pulled, self._stamp, self.trouble, self.is_known = self.pulled, now, stamp, "", True
        return now != before

    def read(self) -> tuple[Pulled, ...]:
        """What was pulled; `IntegrityError` for a file that does not hold it."""
        try:
            return msgspec.json.decode(self._files.read(self.path), type=PulledOut).pulled
        except NotFound:
            return ()
        except msgspec.MsgspecError as error:
            raise IntegrityError(
                "what was pulled out of traffic can't be read",
                got=str(error),
                next="remove this file and run kring rollback again",
                file=str(self.path),
            ) from error

    def add(self, one: Pulled) -> None:
        """Pull a version, durably; it holds from then on. `Busy`, `StorageError`."""
        with taking_turns(self.path, busy="somebody else pulls a version"):
            known = self.read()
            over, waiting = [two for two in known if two.told], [two for two in known if not two.told]
            self._write((*over[-MOST:], *waiting, one))

    def tell(self, one: Pulled, *, generation: int) -> None:
        """The ledger knows of this one now: its pointer says so from `generation` on."""
        told = msgspec.structs.replace(one, told=generation)
        with taking_turns(self.path, busy="somebody else pulls a version"):
            self._write(tuple(told if two == one else two for two in self.read()))

    def publish(self, pointer: Pointer) -> None:
        """Remember what the ledger said last."""
        self._files.write(self._published, msgspec.json.encode(pointer, order="sorted"))

    def published(self) -> Pointer | None:
        """What the ledger said last, as far as anybody here has served it."""
        try:
            return msgspec.json.decode(self._files.read(self._published), type=Pointer)
        except (NotFound, msgspec.MsgspecError):
            return None

    def _write(self, pulled: tuple[Pulled, ...]) -> None:
        self._files.write(self.path, msgspec.json.encode(PulledOut(pulled), order="sorted"))


def without(pointer: Pointer, pulled: Iterable[Pulled]) -> Pointer:
    """`pointer` as it holds while what was `pulled` may not answer. With nobody to go back to the live one stays."""
    away = {one.version for one in pulled if not one.told or pointer.generation < one.told}
    canary, previous = (name if name not in away else "" for name in (pointer.canary, pointer.previous))
    live = pointer.live
    if live in away and previous:
        live, previous, canary = previous, "", ""
    kept = msgspec.structs.replace(pointer, live=live, previous=previous, canary=canary)
    return kept if canary else alone(kept)


def alone(pointer: Pointer) -> Pointer:
    """`pointer` without a version that answers a share."""
    return msgspec.structs.replace(pointer, canary="", share=0.0, salt="", highest=False)


def as_known(pointer: Pointer, file: PullFile) -> Pointer:
    """`pointer` as it holds by what is known of the pulled versions. As long as nothing is, none is there to go to."""
    return without(pointer, file.pulled) if file.is_known else msgspec.structs.replace(alone(pointer), previous="")


def next_to_pull(pointer: Pointer) -> str:
    """The version that a rollback takes out of traffic: the one that answers a share, else the live one; empty when
    there is nobody to go back to."""
    if pointer.canary and not pointer.highest:
        return pointer.canary
    return pointer.live if pointer.previous else ""
