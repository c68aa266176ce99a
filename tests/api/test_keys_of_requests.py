"""What an idempotency key leaves on the machine: enough to know the request again, too little to guess who asked."""

from __future__ import annotations

import hashlib
import json
import uuid
from base64 import urlsafe_b64encode

from faces import LOAN

from served import Server


def test_nobody_can_try_bodies_against_what_is_kept_of_them(server: Server) -> None:
    key, body = str(uuid.uuid4()), json.dumps({"inputs": {**LOAN, "email": "grace@example.org"}}).encode()
    asked = {"headers": {"idempotency-key": key, "x-kring-system": "loans"}}
    first = server.ask("POST", "/api/decisions", body, **asked)
    assert (first.status, server.ask("POST", "/api/decisions", body, **asked).json) == (200, first.json)
    assert server.ask("POST", "/api/decisions", {"inputs": LOAN}, **asked).status == 409

    digest = hashlib.sha256(body).digest()[:16]
    traces = (key.encode(), b"grace@example.org", digest, digest.hex().encode(), urlsafe_b64encode(digest)[:22])
    (folder,) = (one for one in server.folders if one.name == "loans")
    files = [path for path in (folder / ".kring").rglob("*") if path.is_file()]
    found = {path.name: path.read_bytes() for path in files}
    assert {name: trace for name, data in found.items() for trace in traces if trace in data} == {}
