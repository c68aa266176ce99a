"""Work on a socket that ends in time, however slowly the other side speaks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from kring.errors import Late


@contextmanager
def bounded(connection: Callable[[], socket.socket | None], *, seconds: float, target: str) -> Iterator[None]:
    """Run the block; after `seconds` the connection is shut down under it, and it ends with `Late`. A time-out of the
    socket alone would begin anew with each byte that comes."""
    over = threading.Event()

    def shut() -> None:
        over.set()
        found = connection()
        if found is not None:
            with suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, shut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if over.is_set() or isinstance(error, TimeoutError):
            raise Late(f"the target {target} did not answer in {seconds:g} s", next="it is tried again") from error
        raise
    finally:
        timer.cancel()
