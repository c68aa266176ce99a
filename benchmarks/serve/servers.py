"""Every server of the benchmark: what it needs, how it is started, where it is asked and with what.

All of them answer one row of the same 30 floats with the same logistic regression, with one worker. A peer lives in a
virtual environment of its own under a folder outside the repository.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from machine import end
from model import rows

HERE = Path(__file__).parent
PEERS = HERE / "peers"
READY_S = 120.0
ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

Row = dict[str, float | str]


@dataclass(frozen=True)
class Server:
    """`command` gets a port and a folder of its own; `body` makes one request of one row."""

    name: str
    command: Callable[[int, Path], Sequence[str]]
    path: str
    body: Callable[[Row], object]
    environ: Mapping[str, str] = field(default_factory=dict)
    needs: Sequence[str] = ()
    """What pip installs into the peer's environment; none for what runs in this one."""
    prepare: Sequence[str] = ()
    """Arguments for the peer's own Python that make its model in the folder."""
    headers: Callable[[], Mapping[str, str]] = dict
    rows: Callable[[int], list[Row]] = rows
    home: str = ""
    """Whose environment it shares; its own when left out."""


@dataclass
class Running:
    """A server that has answered: its process, its port and how long the first answer took."""

    server: Server
    process: subprocess.Popen[bytes]
    port: int
    first_s: float
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.server.path}"

    def end(self) -> None:
        end(self.process)


class NoServer(Exception):
    """A server that could not be started, and why."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def start(server: Server, folder: Path) -> Running:
    """Start `server` in `folder` and wait for its first right answer. `NoServer` with the end of its log."""
    folder.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), folder / "server.log"
    body = json.dumps(server.body(server.rows(1)[0])).encode()
    with log.open("wb") as out:
        began = time.monotonic()
        process = subprocess.Popen(
            list(server.command(port, folder)),
            cwd=folder,
            env={**ENVIRON, **ONE_THREAD, **server.environ},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    last = "nothing"
    while time.monotonic() - began < READY_S and process.poll() is None:
        try:
            status, last = asked(port, server.path, body, server.headers())
        except OSError as error:
            status, last = 0, str(error)
        if status == 200:
            return Running(server, process, port, time.monotonic() - began, log)
        time.sleep(0.01)
    end(process)
    told = log.read_text(errors="replace").strip().splitlines()[-6:]
    raise NoServer(" ".join([f"exit {process.returncode}; last answer: {last[:200]};", *told])[:800])


def asked(port: int, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
    """One request on a connection of its own: status and text."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        line.request("POST", path, body, {"Content-Type": "application/json", **headers})
        answer = line.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except http.client.HTTPException as error:
        return 0, repr(error)
    finally:
        line.close()


def flat(row: Row) -> object:
    return row


def nested(row: Row) -> object:
    return {"rows": [list(row.values())]}


def split(row: Row) -> object:
    return {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}}


def tensor(row: Row) -> object:
    values = {"name": "row", "shape": [1, len(row)], "datatype": "FP32", "data": list(row.values())}
    return {"inputs": [values], "outputs": [{"name": "predict_proba"}]}


def columns(row: Row) -> object:
    """A table of one row, as MLServer's pandas codec reads it: each named field is an input of its own."""
    inputs = [{"name": name, "shape": [1], "datatype": "FP32", "data": [value]} for name, value in row.items()]
    return {"parameters": {"content_type": "pd"}, "inputs": inputs, "outputs": [{"name": "predict_proba"}]}


def floor(model: Path) -> Server:
    """The floor over the ONNX graph in `model`."""
    granian = str(Path(sys.executable).with_name("granian"))
    options = ["--interface", "rsgi", "--loop", "uvloop", "--workers", "1", "--no-ws", "--working-dir", str(HERE)]
    return Server(
        name="floor",
        command=lambda port, _: [granian, *options, "--port", str(port), "floor:app"],
        path="/",
        body=flat,
        environ={"BENCHMARK_MODEL": str(model)},
    )


def peers(cache: Path) -> list[Server]:
    """The servers people use today, each in its environment under `cache`."""

    def tool(name: str, word: str) -> str:
        return str(cache / name / "bin" / word)

    model = str(HERE / "model.py")
    path = {"PYTHONPATH": f"{PEERS}{os.pathsep}{HERE}"}
    pickled = [model, "joblib", "model.joblib"]
    uvicorn = [tool("fastapi", "uvicorn"), "fastapi_app:app", "--no-access-log", "--log-level", "warning", "--port"]
    fastapi = Server(
        name="fastapi",
        needs=["fastapi", "uvicorn[standard]", "scikit-learn"],
        prepare=pickled,
        command=lambda port, _: [*uvicorn, str(port)],
        environ=path,
        path="/predict",
        body=flat,
    )
    litserve = Server(
        name="litserve",
        needs=["litserve", "scikit-learn"],
        prepare=pickled,
        command=lambda port, _: [tool("litserve", "python"), str(PEERS / "litserve_app.py"), str(port)],
        environ=path,
        path="/predict",
        body=nested,
    )
    settings = str(PEERS / "mlserver_settings.py")
    mlserver = Server(
        name="mlserver",
        needs=["mlserver>=1.7", "mlserver-sklearn"],
        prepare=[settings, "."],
        command=lambda port, folder: [tool("mlserver", "python"), settings, str(folder), str(port)],
        environ=path,
        path="/v2/models/regression/infer",
        body=tensor,
    )
    bento = [tool("bentoml", "bentoml"), "serve", "bentoml_app:Regression", "--working-dir", str(PEERS)]
    bentoml = Server(
        name="bentoml",
        needs=["bentoml", "scikit-learn"],
        prepare=pickled,
        command=lambda port, folder: [
            *("env", f"BENCHMARK_MODEL={folder / 'model.joblib'}"),
            *(*bento, "--host", "127.0.0.1", "--port", str(port)),
        ],
        environ={**path, "BENTOML_DO_NOT_TRACK": "true"},
        path="/predict",
        body=nested,
    )
    serve = [tool("mlflow", "mlflow"), "models", "serve", "--model-uri", "model", "--env-manager", "local"]
    mlflow = Server(
        name="mlflow",
        needs=["mlflow", "scikit-learn"],
        prepare=[model, "mlflow", "model"],
        command=lambda port, _: [*serve, "--workers", "1", "--host", "127.0.0.1", "--port", str(port)],
        environ={
            **path,
            "PATH": f"{cache / 'mlflow' / 'bin'}{os.pathsep}{ENVIRON['PATH']}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
        path="/invocations",
        body=split,
    )
    coroutine = replace(fastapi, name="fastapi-async", home="fastapi", path="/predict_async")
    named = replace(mlserver, name="mlserver-named", home="mlserver", body=columns)
    return [fastapi, coroutine, litserve, mlserver, named, bentoml, mlflow]


def install(server: Server, cache: Path) -> None:
    """Make the peer's environment under `cache` from PyPI. `NoServer` with what pip said."""
    place = cache / (server.home or server.name)
    done = place / ".done"
    wanted = "\n".join(server.needs)
    if done.exists() and done.read_text() == wanted:
        return
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", str(place)], [*pip, *server.needs]):
        ran = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        if ran.returncode:
            raise NoServer(f"{' '.join(command)}: {ran.stderr.strip()[-500:]}")
    done.write_text(wanted)


def make_model(server: Server, cache: Path, folder: Path) -> None:
    """Let the peer's own Python fit and keep the model in `folder`. `NoServer` with what it said."""
    python = cache / (server.home or server.name) / "bin" / "python"
    if not python.exists():
        raise NoServer(f"there is no {python}; --install makes it")
    folder.mkdir(parents=True, exist_ok=True)
    ran = subprocess.run(
        [str(python), *server.prepare],
        cwd=folder,
        env={**ENVIRON, **ONE_THREAD, **server.environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if ran.returncode:
        raise NoServer(f"its model: {ran.stderr.strip()[-500:]}")
