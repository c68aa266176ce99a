"""The protocols that are spoken: the one list."""

from __future__ import annotations

from collections.abc import Mapping

from kring.api import (
    health,
    invocations,
    metrics,
    mlflow,
    models,
    native,
    ofrep,
    open_inference,
    openai,
    tensorflow,
    vertex,
)
from kring.api.exchange import Route
from kring.api.health import Readiness
from kring.api.metrics import Tallies


def routes_of(readiness: Readiness, *, environ: Mapping[str, str], tallies: Tallies = tuple) -> tuple[Route, ...]:
    """Every route of a data worker; some containers are told their paths by the environment."""
    return (
        *native.ROUTES,
        *openai.ROUTES,
        *ofrep.ROUTES,
        *health.routes(readiness),
        *metrics.routes(tallies),
        *open_inference.routes(readiness),
        *invocations.ROUTES,
        *mlflow.routes(readiness),
        *tensorflow.ROUTES,
        *models.ROUTES,
        *vertex.routes(readiness, environ=environ),
    )
