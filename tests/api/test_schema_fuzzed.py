"""What the description says is what the server does: asked by Schemathesis, rightly and wrongly."""

from __future__ import annotations

import time
from typing import Any, Final

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup

from served import Server, wait_until_managed

EXAMPLES: Final = 6
MOST_S: Final = 60.0
LOST: Final = {"/api/keys/{id}": "it could end the key that the others are asked with"}


@pytest.fixture(scope="module")
def description(server: Server) -> Any:
    wait_until_managed(server)
    return schemathesis.openapi.from_dict(server.ask("GET", "/schema").json)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_every_operation_answers_as_it_is_described(server: Server, description: Any, mode: GenerationMode) -> None:
    """No fault of the server's, no status or body that the description does not know."""
    began, asked, wrong = time.monotonic(), 0, []
    with requests.Session() as session:
        session.headers["authorization"] = f"Bearer {server.key}"
        for result in description.get_all_operations():
            operation = result.ok()
            if operation.path in LOST or time.monotonic() - began > MOST_S:
                continue
            try:
                asked += examine(operation, mode, session=session, server=server)
            except (schemathesis.errors.SchemathesisError, FailureGroup) as error:
                wrong.append(f"{operation.label}: {[str(one) for one in getattr(error, 'exceptions', [error])]}")
    assert not wrong, "\n".join(wrong)
    assert asked > 50


def examine(operation: Any, mode: GenerationMode, *, session: requests.Session, server: Server) -> int:
    """A few requests of one operation; how many there were."""
    asked = 0

    @hypothesis.settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        nonlocal asked
        response = case.call(base_url=server.url, session=session, timeout=30)
        case.validate_response(response, checks=checks())
        asked += 1

    try:
        one()
    except hypothesis.errors.Unsatisfiable:  # of a request without anything in it there is no wrong one
        return 0
    return asked


def checks() -> list[Any]:
    """No 5xx; status, content type and body as the description declares them."""
    names = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
    return [not_a_server_error, *(getattr(schemathesis.checks, name) for name in names)]
