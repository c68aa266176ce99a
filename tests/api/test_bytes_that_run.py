"""Pickles and other bytes that run when they are read: as bodies, as values, in versions; a canary says if one did."""

from __future__ import annotations

import ast
import base64
import io
import os
import pickle
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Final

import cloudpickle
import joblib
import numpy as np
import pytest
from doors import Way, ways
from faces import FACES, LOAN

from kring.cli import serve as serve_command
from served import Server, free_port, serving
from systems import kring

SOURCE: Final = Path(__file__).parents[2] / "src" / "kring"
DECIDE: Final = "/systems/loans/api/decisions"


class Canary:
    """Says so in a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


def runs(path: Path) -> dict[str, bytes]:
    """Bytes of many kinds, each of which touches `path` in the wrong hands."""
    saved, array = io.BytesIO(), io.BytesIO()
    joblib.dump(Canary(path), saved)
    np.save(array, np.array([Canary(path)], dtype=object), allow_pickle=True)
    made = {f"pickle {number}": pickle.dumps(Canary(path), protocol=number) for number in (0, 2, 5)}
    return made | {
        "cloudpickle": cloudpickle.dumps(Canary(path)),
        "joblib": saved.getvalue(),
        "numpy": array.getvalue(),
        "yaml": f"!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{path}']]".encode(),
        "python": f"__import__('pathlib').Path({str(path)!r}).touch()".encode(),
        "template": f"{{{{ cycler.__init__.__globals__.os.system('touch {path}') }}}}".encode(),
        "shell": f"$(touch {path}); `touch {path}`".encode(),
        "pickle behind JSON": b"{}" + pickle.dumps(Canary(path)),
    }


MEDIA: Final = (
    "application/json",
    "application/octet-stream",
    "application/x-pickle",
    "application/x-python-pickle",
    "application/x-npy",
    "application/x-yaml",
    "text/csv",
    "",
)
READERS: Final = [way for way in ways() if way.method == "POST"]


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    path = tmp_path / "ran"
    pickle.loads(pickle.dumps(Canary(path)))
    assert path.exists()
    path.unlink()
    return path


@pytest.mark.parametrize("way", READERS, ids=lambda way: way.path)
def test_no_route_runs_a_body(server: Server, canary: Path, way: Way) -> None:
    path = way.at(model="loans", system="loans", key="loans", id="d_00000000000000000000000000")
    for name, data in runs(canary).items():
        for media in MEDIA if name in ("pickle 5", "numpy") else MEDIA[:1]:
            prefix = "/systems/loans" * way.prefixed
            told = server.ask("POST", prefix + path, data, headers={"content-type": media})
            assert 300 <= told.status < 500, (name, media, told.status, told.body)
    assert not canary.exists()


def test_no_value_runs(server: Server, canary: Path) -> None:
    for data in runs(canary).values():
        for text in (data.decode("latin-1"), base64.b64encode(data).decode(), data.hex()):
            told = server.ask("POST", DECIDE, {"inputs": LOAN | {"region": text, "email": text}})
            assert told.status in (200, 422), told.body
            if told.status == 200:
                id = told.json["id"]
                for path in (f"/api/decisions/{id}", f"/decisions/{id}?why=shap", f"/api/decisions/{id}/explanation"):
                    assert server.ask("GET", path, headers={"accept": "text/html"}).status == 200
            for face in FACES.values():
                assert server.ask("POST", face.at(), face.amount(text)).status in (400, 422)
            quoted = base64.urlsafe_b64encode(data).decode()
            headers = {"idempotency-key": quoted, "cookie": f"kring_session={quoted}", "x-pickle": quoted}
            assert server.ask("POST", DECIDE, {"inputs": LOAN}, headers=headers).status in (200, 409)
            assert server.ask("GET", f"/api/decisions/{quoted[:200]}").status == 404
    assert not canary.exists()


@pytest.fixture
def loans(released: dict[str, Path], tmp_path: Path) -> Path:
    return Path(copytree(released["loans"], tmp_path / "loans"))


def live(folder: Path) -> Path:
    """The folder of the version that answers."""
    told = kring("--json", "status", folder)
    found = told.json["live"]
    return folder / ".kring" / "versions" / (found if isinstance(found, str) else found["id"])


def models(version: Path) -> list[Path]:
    return sorted(path for path in version.rglob("*") if path.suffix == ".onnx")


def put(name: str) -> Callable[[Path, bytes], object]:
    return lambda version, data: (version / name).write_bytes(data)


def linked(version: Path, data: bytes) -> None:
    """The same bytes by another way, which may lead to others a moment later."""
    model = models(version)[0]
    aside = version.parent.parent / "aside.onnx"
    shutil.move(model, aside)
    model.symlink_to(aside)


def grown(version: Path, data: bytes) -> None:
    model = models(version)[0]
    model.write_bytes(model.read_bytes() + data)


def trusting(version: Path, data: bytes) -> None:
    """A file of the kind that makes other servers fetch and run code."""
    (version / "config.json").write_text('{"auto_map": {"AutoModel": "evil--model.Model"}, "trust_remote_code": true}')


TAMPERED: Final[dict[str, Callable[[Path, bytes], object]]] = {
    **{f"{name} added": put(name) for name in ("model.pkl", "model.onnx", "links/model.bin", "__init__.py", ".hidden")},
    "the model is a pickle": lambda version, data: models(version)[0].write_bytes(data),
    "a pickle behind the model": grown,
    "prepare is a pickle": put("prepare.json"),
    "the manifest is a pickle": put("manifest.json"),
    "the signature is a pickle": put("model.sig"),
    "the signature is gone": lambda version, data: (version / "model.sig").unlink(),
    "the model is a link": linked,
    "remote code": trusting,
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_version_that_was_touched_is_not_served(
    name: str, loans: Path, canary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve_command, "run", lambda *_, **__: pytest.fail("it serves"))
    TAMPERED[name](live(loans), pickle.dumps(Canary(canary)))
    told = kring("--json", "serve", loans, "--port", free_port())
    assert (told.code, told.json["error"]["code"]) == (3, "integrity"), told
    assert not canary.exists()


def test_what_was_verified_is_what_answers_whatever_becomes_of_the_file(loans: Path, canary: Path) -> None:
    """Files are opened once: those that are exchanged under a running server change nothing, until it opens them anew
    and refuses them."""
    with serving([loans]) as running:
        before = running.ask("POST", DECIDE, {"inputs": LOAN}).json
        version = live(loans)
        for path in version.rglob("*"):
            if path.is_file():
                path.unlink()
                path.write_bytes(pickle.dumps(Canary(canary)))
        os.kill(running.process.pid, signal.SIGHUP)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            told = running.ask("POST", DECIDE, {"inputs": LOAN}).json
            assert (told["decision"], told["outputs"], told["version"]) == (
                before["decision"],
                before["outputs"],
                before["version"],
            )
        running.stop()
        again = kring("--json", "serve", loans, "--port", free_port())
        assert (again.code, again.json["error"]["code"]) == (3, "integrity"), again
    assert not canary.exists()


RUNS: Final = {
    *("pickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "copyreg", "runpy", "code", "codeop"),
    *("torch", "tensorflow", "keras", "h5py", "transformers", "safetensors", "jsonpickle"),
}
"""Modules that run what they read, or load models by formats that do."""

UNPACKS: Final = {"zipfile", "tarfile", "zipapp", "py7zr", "rarfile", "lzma", "bz2"}
FETCHES: Final = {
    *("urllib.request", "requests", "httpx", "aiohttp", "urllib3"),
    *("ftplib", "smtplib", "fsspec", "websockets"),
}
SENDS: Final = {"notifiers/mail.py": {"smtplib"}}
"""Who tells people something, and by what; nothing comes back that is kept."""

CALLS: Final = {"eval", "exec", "__import__", "os.system", "os.popen", "yaml.unsafe_load", "np.load"}


def imports(tree: ast.Module) -> set[str]:
    """Every module that is imported, by its whole name and by each beginning of it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name.rsplit(".", cut)[0] for name in names for cut in range(name.count(".") + 1)}


def test_nothing_of_ours_unpickles_unpacks_or_fetches() -> None:
    """There is no reader of archives, of safetensors or of addresses: what is not there can't be led astray."""
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 200
    for path in files:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        sends = SENDS.get(path.relative_to(SOURCE).as_posix(), set())
        assert not imports(tree) & (RUNS | UNPACKS | FETCHES - sends), path
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        called = {ast.unparse(node.func) for node in calls if isinstance(node.func, ast.Name | ast.Attribute)}
        assert not called & CALLS, path
        assert not {one for one in called if one.endswith((".unpack_archive", ".from_string", ".urlopen"))}, path
        assert not [word for node in calls for word in node.keywords if word.arg == "shell"], path
