"""Clients that others made, closed when they are no longer needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider

from served import Server


@contextmanager
def flag_client(server: Server) -> Iterator[OpenFeatureClient]:
    """Reads flags over OFREP with the server's key."""
    provider = OFREPProvider(server.url, headers_factory=lambda: {"x-api-key": server.key})
    api.set_provider(provider)
    try:
        yield api.get_client()
    finally:
        api.clear_providers()
        provider.session.close()
