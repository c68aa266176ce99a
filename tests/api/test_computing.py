"""A real server says what computes its versions, and refuses to start with what this machine does not have."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kring.runtimes.providers import PROVIDERS, available
from served import READY_S, Server

INFO = re.compile(r"kring_provider_info\{(.*)\} 1\.0")


def test_what_computes_a_version_is_told_in_the_metrics_and_with_the_system(server: Server):
    end = time.monotonic() + READY_S
    while True:
        view = server.ask("GET", "/api/systems/loans").json
        if view["providers"] or time.monotonic() > end:
            break
        time.sleep(0.1)
    live = view["live"]
    rows = {row["version"]: (row["provider"], row["workers"]) for row in view["providers"]}
    if live in rows:
        assert rows[live] == ("cpu", 1)
    assert set(rows) <= {live, f"{live}/baseline"}
    assert rows
    told = [
        dict(re.findall(r'(\w+)="([^"]*)"', one)) for one in INFO.findall(server.ask("GET", "/metrics").body.decode())
    ]
    mine = {one["version"]: (one["provider"], one["worker"]) for one in told if one["system"] == "loans"}
    assert mine == dict.fromkeys(rows, ("cpu", "0"))
    assert not [one for one in told if one["system"] == "handbook"]  # answers in words are no graph


@pytest.mark.parametrize("name", ["cuda", "tensorrt", "gpu", "Cpu", "AzureExecutionProvider", " ", "ä"])
def test_a_server_does_not_start_with_what_is_not_here(released: dict[str, Path], name: str):
    if PROVIDERS.get(name) and name in available():
        pytest.skip(f"this machine has {name}")
    command = [sys.executable, "-m", "kring", "serve", str(released["loans"]), "--provider", name, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    error = json.loads(done.stdout)["error"]
    assert (error["key"], error["allowed"]) == ("--provider", ", ".join(["auto", *available()]))
    assert not (released["loans"] / ".kring" / "serve" / "plan.json").exists()
