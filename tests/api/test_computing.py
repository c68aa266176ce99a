"""A real server says what computes its versions, and refuses to start with what this machine does not have."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest

from kring.runtimes.providers import PROVIDERS, available
from served import READY_S, Server
from systems import kring

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
def test_a_server_does_not_start_with_what_is_not_here(released: dict[str, Path], tmp_path: Path, name: str):
    if PROVIDERS.get(name) and name in available():
        pytest.skip(f"this machine has {name}")
    folder = Path(shutil.copytree(released["loans"], tmp_path / "loans"))
    told = kring("serve", folder, "--provider", name, "--json")
    assert told.code == 2, told.err
    error = told.json["error"]
    assert (error["where"]["key"], error["allowed"]) == ("--provider", ", ".join(["auto", *available()]))
    assert not (folder / ".kring" / "serve" / "plan.json").exists()


@pytest.mark.parametrize(
    ("words", "environ"),
    [
        (["--otel", "collector"], {}),
        (["--otel", "grpc://127.0.0.1:4317"], {}),
        (["--otel", "http://user:canary@127.0.0.1"], {}),
        (["--otel", "http://127.0.0.1"], {"OTEL_TRACES_SAMPLER": "now and then"}),
        ([], {"OTEL_EXPORTER_OTLP_ENDPOINT": "nowhere"}),
    ],
)
def test_nor_to_tell_nobody(
    released: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    environ: dict[str, str],
):
    for key, text in environ.items():
        monkeypatch.setenv(key, text)
    told = kring("serve", shutil.copytree(released["loans"], tmp_path / "loans"), *words, "--json")
    assert told.code == 2, told.err
    assert told.json["error"]["where"]["key"] == (words[0] if not environ else next(iter(environ)))
    assert "canary" not in told.out + told.err
