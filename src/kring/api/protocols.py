"""The protocols that are spoken: the one list."""

from __future__ import annotations

from collections.abc import Mapping

from kring.api import health, native
from kring.api.exchange import Route
from kring.api.health import Readiness


def routes_of(readiness: Readiness, *, environ: Mapping[str, str]) -> tuple[Route, ...]:
    """Every route of a data worker; some containers are told their paths by the environment."""
    del environ
    return (*native.ROUTES, *health.routes(readiness))
