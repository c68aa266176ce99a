"""Every error that leaves a public function of Kring.

KringError                      what was got, what was allowed, what to do next
├── UserError        exit 2     wrong use or wrong input; the caller can mend it
│   ├── ConfigError             one or more faults in kring.toml or a contract
│   ├── DataError               a file or table that cannot be read as what it should be
│   ├── ExpressionError         an expression outside the safe grammar
│   ├── CandidateError          a candidate that cannot be fitted, exported or trusted
│   ├── NotFound                an id, file, name or version that does not exist
│   ├── Unsupported             a thing the design knows and this Kring does not do yet
│   └── MissingExtra            an optional package that is not installed
├── Refused          exit 1     the answer is no: contract broken, gate failed, law of the house
│   ├── Unauthenticated         nobody we know asks: no key or token, or one that is not valid
│   ├── Forbidden               known, but without the right to do this here
│   └── TooMuch                 over a limit of rate, number or size
└── Unavailable      exit 3     could not: disk, lock, newer ledger, damaged bytes
    ├── Busy                    somebody else holds it; trying again may help (retryable)
    ├── Overloaded              more is asked than can be answered in time (retryable)
    ├── Unreachable             a server of others can't be reached, or fails (retryable)
    ├── Late                    no answer by its deadline: it was stopped (retryable)
    ├── Conflict                compare-and-swap lost against a newer state (retryable)
    ├── StorageError            the disk or the database failed (final)
    │   ├── NoRoom              no space or no open file left; nothing was acknowledged (retryable)
    │   └── ReadOnly            nothing more is recorded until a restart: what the disk holds is not known (final)
    ├── IntegrityError          bytes are not what their digest or signature says (final)
    └── NewerFormat             written by a newer Kring (final)
"""

from __future__ import annotations

import traceback
from pathlib import PurePath
from typing import ClassVar, Final

EXIT_DONE: Final = 0
EXIT_NO: Final = 1
EXIT_USE: Final = 2
EXIT_COULD_NOT: Final = 3
EXIT_INTERRUPTED: Final = 130


class KringError(Exception):
    """One error with its remedy.

    `got` is what was found, `allowed` what would have been right, `next` what to do.
    `file`, `line` and `key` say where. All of them may be empty.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = EXIT_COULD_NOT
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        got: str = "",
        allowed: str = "",
        next: str = "",
        file: str = "",
        line: int = 0,
        key: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.got = got
        self.allowed = allowed
        self.next = next
        self.file = file
        self.line = line
        self.key = key

    @property
    def where(self) -> str:
        """`file:line key`, as far as known."""
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        return " ".join(part for part in (place, self.key) if part)

    @property
    def lasting(self) -> str:
        """The message and its place, for what can't be erased or is sent away: what was got may be a row's value."""
        place = PurePath(self.file).name + (f", line {self.line}" if self.line else "")
        return f"{self.message} ({place})" if self.file else self.message

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.message}" if self.where else self.message]
        for label, text in (("got", self.got), ("allowed", self.allowed), ("next", self.next)):
            if text:
                lines.append(f"  {label}: {text}")
        return "\n".join(lines)


class UserError(KringError):
    code = "use"
    exit_code = EXIT_USE


class ConfigError(UserError):
    """All the faults of one file at once; each fault is a `ConfigError` of its own."""

    code = "config"

    def __init__(
        self,
        message: str,
        *,
        faults: tuple[ConfigError, ...] = (),
        got: str = "",
        allowed: str = "",
        next: str = "",
        file: str = "",
        line: int = 0,
        key: str = "",
    ) -> None:
        super().__init__(message, got=got, allowed=allowed, next=next, file=file, line=line, key=key)
        self.faults = faults

    @property
    def lasting(self) -> str:
        """Of many faults the first, with its key, and how many more there are."""
        if not self.faults:
            return super().lasting
        first, *more = self.faults
        told = f"{first.key}: {first.lasting}" if first.key else first.lasting
        return f"{told}, and {len(more)} more" if more else told

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(str(fault) for fault in self.faults)])


class DataError(UserError):
    code = "data"


class ExpressionError(UserError):
    code = "expression"


class CandidateError(UserError):
    code = "candidate"


class NotFound(UserError):
    code = "not_found"


class Unsupported(UserError):
    code = "unsupported"


class MissingExtra(UserError):
    """An optional package is missing; the message holds the line that installs it."""

    code = "missing_extra"

    def __init__(self, package: str, *, extra: str, purpose: str, key: str = "") -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed",
            next=f"pip install 'kring[{extra}]'",
            key=key,
        )
        self.package = package
        self.extra = extra


class Refused(KringError):
    code = "refused"
    exit_code = EXIT_NO


class Unauthenticated(Refused):
    code = "unauthenticated"


class Forbidden(Refused):
    code = "forbidden"


class TooMuch(Refused):
    """`after_s` is how many seconds later it may be tried again, 0 when no waiting helps."""

    code = "too_much"

    def __init__(self, message: str, *, got: str = "", allowed: str = "", next: str = "", after_s: int = 0) -> None:
        super().__init__(message, got=got, allowed=allowed, next=next)
        self.after_s = after_s


class Unavailable(KringError):
    code = "unavailable"
    exit_code = EXIT_COULD_NOT


class Busy(Unavailable):
    code = "busy"
    retryable = True


class Overloaded(Unavailable):
    """`after_s` is how many seconds later it may be tried again: whole ones, 1 or more."""

    code = "overloaded"
    retryable = True

    def __init__(self, message: str, *, got: str = "", allowed: str = "", next: str = "", after_s: int = 1) -> None:
        super().__init__(message, got=got, allowed=allowed, next=next)
        self.after_s = after_s


class Unreachable(Unavailable):
    code = "unreachable"
    retryable = True


class Late(Unavailable):
    code = "deadline"
    retryable = True


class Conflict(Unavailable):
    code = "conflict"
    retryable = True


class StorageError(Unavailable):
    code = "storage"


class NoRoom(StorageError):
    code = "no_room"
    retryable = True


class ReadOnly(StorageError):
    code = "read_only"


class IntegrityError(Unavailable):
    code = "integrity"


class NewerFormat(Unavailable):
    code = "newer_format"


def way_of(error: BaseException) -> str:
    """The kinds of an error and of its causes, each with the lines of code on its way, for a log: not their words,
    which may hold a row's value."""
    ways, seen = [], set[int]()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        ways.append("".join([*traceback.format_tb(one.__traceback__), type(one).__name__]))
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return "\nafter this:\n".join(reversed(ways))
