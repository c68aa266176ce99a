"""A person's session: which key was shown and until when it counts, signed so that nobody else can write it.

`<key id>.<end in seconds, hexadecimal>.<HMAC-SHA256 of both>`. It holds no secret and no rights: what the key may do
is looked up at every request, so that a session ends with its key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

from kring.errors import Unauthenticated
from kring.ports.random import Random

SECRET_BYTES: Final = 32
LASTS_US: Final = 8 * 3_600_000_000
"""A working day."""

FORM: Final = re.compile(r"([a-z2-7]{16})\.([0-9a-f]{1,12})\.([0-9a-f]{64})")


class Sessions:
    """Begins sessions and reads them. They do not outlive the process that holds their secret."""

    __slots__ = ("_secret",)

    def __init__(self, random: Random) -> None:
        self._secret = random.bytes(SECRET_BYTES)

    def begin(self, key: str, *, now: int, lasts_us: int = LASTS_US) -> str:
        """A session of who showed the key with the id `key`, as a text for a cookie."""
        head = f"{key}.{(now + lasts_us) // 1_000_000:x}"
        return f"{head}.{self._seal(head)}"

    def key_of(self, text: str, *, now: int) -> str:
        """The id of the key that was shown; `Unauthenticated` for what we did not write, or what has ended."""
        found = FORM.fullmatch(text)
        if found is None or not hmac.compare_digest(self._seal(f"{found[1]}.{found[2]}"), found[3]):
            raise Unauthenticated("this session is not known here", next="sign in again")
        if now >= int(found[2], 16) * 1_000_000:
            raise Unauthenticated("this session has ended", next="sign in again")
        return found[1]

    def _seal(self, head: str) -> str:
        return hmac.new(self._secret, head.encode(), hashlib.sha256).hexdigest()
