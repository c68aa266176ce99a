"""A system whose candidate is code, from its file to an answer on record; and what can be wrong with its files."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import msgspec
import polars as pl
import pytest

from kring.errors import CandidateError, ConfigError, IntegrityError
from kring.flow.checking import check_feed, take_snapshot
from kring.flow.deciding import open_answerers
from kring.flow.project import Project, open_project
from kring.flow.training import code as packing
from kring.flow.training.train import Trained, train
from kring.record.version import Manifest
from systems import Told, kring, write_prices

SCORE = """
import json
import numpy as np
from shapes import sigmoid

def load(files):
    return json.loads(files["data/weights.json"])

def score(columns, weights):
    return sigmoid(weights["demand"] * columns["demand"] + weights["transfer"] * columns["transfer"] - 0.5)
"""
SHAPES = "import numpy as np\n\ndef sigmoid(x):\n    return 1 / (1 + np.exp(-x))\n"
CANDIDATE = """
[[candidate]]
name = "own"
code = "score.py:score"
files = ["shapes.py", "data/weights.json"]
{more}

[gate]"""


def written(folder: Path, *, more: str = "") -> Path:
    write_prices(folder)
    (folder / "score.py").write_text(SCORE)
    (folder / "shapes.py").write_text(SHAPES)
    (folder / "data").mkdir()
    (folder / "data" / "weights.json").write_text(json.dumps({"demand": 4.0, "transfer": -3.0}))
    file = folder / "kring.toml"
    file.write_text(file.read_text().replace("\n[gate]", CANDIDATE.format(more=more)))
    return folder


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Told]]:
    folder = written(tmp_path_factory.mktemp("code") / "prices")
    told = {"check": kring("check", folder, "--json")}
    told["train"] = kring("train", folder, "--candidate", "own", "--json")
    told["release"] = kring("release", folder, "--candidate", "own", "--json")
    return folder, told


@pytest.fixture
def live(released: tuple[Path, dict[str, Told]], tmp_path: Path) -> Path:
    """A copy of the released system that a test may break."""
    return Path(shutil.copytree(released[0], tmp_path / "prices"))


def version_of(folder: Path) -> Path:
    id = kring("status", folder, "--json").json["live"]["id"]
    return folder / ".kring" / "versions" / id


def test_it_is_trained_measured_and_released(released: tuple[Path, dict[str, Told]]):
    told = released[1]
    assert {name: one.code for name, one in told.items()} == {"check": 0, "train": 0, "release": 0}, told
    (run,) = [one["run"] for one in told["train"].json["runs"] if one["run"]["candidate"] == "own"]
    assert (run["kind"], run["state"], run["parity"]["largest"]) == ("code", "done", 0.0)
    (evidence,) = [one["evidence"] for one in told["train"].json["runs"] if one["run"]["candidate"] == "own"]
    measures = {one["name"]: one for one in evidence["measures"]}
    assert measures["roc_auc"]["value"] > 0.7
    assert measures["memory_mb"]["value"] > 20, "that of its process"
    assert {"latency_p50_ms", "latency_p99_ms"} <= set(measures)


def test_a_version_pins_every_file_and_says_how_it_is_run(released: tuple[Path, dict[str, Told]]):
    folder = version_of(released[0])
    assert (folder / "links" / "code" / "score.py").read_text() == SCORE
    assert sorted(path.name for path in (folder / "links" / "code").rglob("*") if path.is_file()) == [
        "score.py",
        "shapes.py",
        "weights.json",
    ]
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
    link = manifest.chain.links[-1]
    assert link.kind == "code"
    assert link.inputs == ("demand", "transfer", "weekday")
    assert link.code is not None
    assert (link.code.function, link.code.memory_mb, link.code.timeout_us) == ("score", 512, 1_000_000)
    assert set(link.code.files) == {"links/code/shapes.py", "links/code/data/weights.json"}


def test_it_scores_and_its_decisions_are_traced_to_it(live: Path):
    (live / "score.py").write_text("raise SystemExit('changed after it was released')")
    out = live.parent / "answers.csv"
    told = kring("score", live / "feed.csv", live, "--out", out, "--json")
    assert told.code == 0, told.err
    scored = told.json["scored"]
    assert scored["decided"] == scored["rows"] > 0
    assert scored["fallback"] == 0
    answers = pl.read_csv(out)
    expected = 1 / (1 + (-(4 * answers["demand"] - 3 * answers["transfer"] - 0.5)).exp())
    assert (answers["probability"] - expected).abs().max() < 1e-5
    traced = kring("trace", scored["first_id"], live, "--json")
    (run,) = [node for node in traced.json["nodes"] if node["kind"] == "run"]
    assert run["facts"]["kind"] == "code"
    assert "process of its own" in run["facts"]["runs"]
    assert "exported equals trained" not in run["facts"]


@pytest.mark.parametrize("name", ["score.py", "shapes.py", "data/weights.json"])
@pytest.mark.parametrize("damage", ["changed", "gone", "another"])
def test_a_file_of_a_version_that_was_touched_is_not_run(live: Path, name: str, damage: str):
    place = version_of(live) / "links" / "code" / name
    if damage == "changed":
        place.write_bytes(place.read_bytes() + b"\n")
    elif damage == "gone":
        place.unlink()
    else:
        place.with_name("other.py").write_text("import os")
    with pytest.raises(IntegrityError):
        open_answerers(open_project(live), version_of(live).name)
    assert kring("score", live / "feed.csv", live, "--out", live / "answers.csv").code == 3


def test_code_may_be_the_baseline(tmp_path: Path):
    folder = written(tmp_path / "prices")
    file = folder / "kring.toml"
    text = file.read_text().replace("baseline = true\n", "")
    file.write_text(text.replace('name = "own"\n', 'name = "own"\nbaseline = true\n') + "\n[evidence]\nfolds = 3\n")
    project = open_project(folder)
    found = trained(project, "linear")
    assert {one.run.candidate: one.run.state for one in found} == {"own": "done", "linear": "done"}
    assert found[1].evidence is not None
    assert "cross_validated.roc_auc" in {one.name for one in found[1].evidence.measures}
    told = kring("release", folder, "--candidate", "linear", "--json")
    assert told.code in (0, 1), told.err
    if told.code == 0:
        assert (version_of(folder) / "baseline" / "links" / "code" / "data" / "weights.json").exists()
        assert kring("score", folder / "feed.csv", folder, "--out", tmp_path / "answers.csv").code == 0


def trained(project: Project, *only: str) -> list[Trained]:
    return train(project, take_snapshot(project, check_feed(project)), only=only, draws=20, thorough=False)


def refused(folder: Path) -> str:
    """Why the candidate was refused at its training."""
    (one,) = [found for found in trained(open_project(folder), "own") if found.run.candidate == "own"]
    assert one.run.state == "refused"
    return one.why


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("def other(columns, files): pass", "has no function score"),
        ("def score(columns, files) return 1", "SyntaxError"),
        ("import torch_of_another_world\ndef score(columns, files): pass", "ModuleNotFoundError"),
        ("def score(columns, files): pass", "NoneType"),
        ("def score(columns): return columns['demand']", "TypeError"),
        ("def score(columns, files): return 1 / 0", "ZeroDivisionError"),
        ("def score(columns, files): return columns['demand'][:1]", "row by row"),
        ("def score(columns, files): return columns['demand'] * 9", "no answer for"),
        (
            "def score(columns, files): return columns['demand'] / columns['demand'].max()",
            "answers single rows otherwise",
        ),
        ("import time\ndef score(columns, files): time.sleep(60)", "did not answer within 1000 ms"),
        ("import os\ndef score(columns, files): os._exit(1)", "ended with code 1"),
        ("def score(columns, files): return open('kring.toml')", "Error"),
        ("x = bytearray(1 << 32)\ndef score(columns, files): pass", "MemoryError"),
    ],
)
def test_code_that_does_not_answer_is_refused_with_the_reason(tmp_path: Path, source: str, why: str):
    folder = written(tmp_path / "prices")
    (folder / "score.py").write_text(source)
    reason = refused(folder)
    assert why in reason
    assert "candidate own" in reason or "candidate.own" in reason


def test_pickles_are_refused_by_content_under_any_name(tmp_path: Path):
    folder = written(tmp_path / "prices")
    pickled = (pickle.dumps({"a": 1}), b"cos\nsystem\n(S'true'\ntR.")
    for data in (*pickled, b"\x93NUMPY" + bytes(99), b"PK\x03\x04" + bytes(99)):
        (folder / "data" / "weights.json").write_bytes(data)
        assert "refused" in refused(folder)


@pytest.mark.parametrize("name", ["model.pkl", "model.bin", "model", "model.npy", "lib.so", "model.py.zip"])
def test_only_kinds_of_files_that_can_be_looked_at_belong_into_a_version(tmp_path: Path, name: str):
    folder = written(tmp_path / "prices")
    (folder / name).write_bytes(b"plain text")
    file = folder / "kring.toml"
    file.write_text(file.read_text().replace('"shapes.py"', f'"shapes.py", "{name}"'))
    assert "does not belong into a version" in refused(folder)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = written(tmp_path / "prices")
    with (folder / "data" / "weights.json").open("wb") as file:
        file.truncate(1 << 40)
    assert "too large" in refused(folder)
    (folder / "data" / "weights.json").write_text("{}" + " " * 600)
    monkeypatch.setattr(packing, "MOST_BYTES", 800)
    assert "too large" in refused(folder), "all of them together"


def test_a_file_that_goes_after_the_check_is_a_refusal(tmp_path: Path):
    folder = written(tmp_path / "prices")
    project = open_project(folder)
    (folder / "shapes.py").unlink()
    (one,) = [found for found in trained(project, "own") if found.run.candidate == "own"]
    assert "there is no file shapes.py" in one.run.reason


WRONG = [
    ('code = "score.py:score"', 'code = "nowhere.py:score"', "there is no file nowhere.py"),
    ('code = "score.py:score"', 'code = "score.py"', "not allowed here"),
    ('code = "score.py:score"', 'code = "../score.py:score"', "outside of the system's folder"),
    ('code = "score.py:score"', 'code = "/etc/score.py:score"', "outside of the system's folder"),
    ('code = "score.py:score"', 'code = "away.py:score"', "outside of the system's folder"),
    ('code = "score.py:score"', 'code = "score.py:3"', "not allowed here"),
    ('code = "score.py:score"', "code = 3", "not allowed here"),
    ('code = "score.py:score"', 'code = "score.py:score"\nrule = "demand"', "exactly one way"),
    ('code = "score.py:score"', 'code = "score.py:score"\nparams = { a = 1 }', "code takes no params"),
    ('code = "score.py:score"', 'code = "score.py:score"\nmemory_mb = 1', "not allowed here"),
    ('code = "score.py:score"', 'code = "score.py:score"\ntimeout = "0s"', "not allowed here"),
    ('code = "score.py:score"', 'code = "od d.py:score"', "can't hold a file of this name"),
    ('code = "score.py:score"', 'fit = "score.py:score"', "only code takes files"),
    ('"shapes.py"', '"nothing.py"', "there is no file nothing.py"),
    ('"shapes.py"', '"data"', "there is no file data"),
    ('"shapes.py"', '"/etc/passwd"', "outside of the system's folder"),
    ('"shapes.py"', '"../shapes.py"', "outside of the system's folder"),
    ('"shapes.py"', '"away.py"', "outside of the system's folder"),
    ('"shapes.py"', '"score.py"', "the file of the code itself"),
    ('"shapes.py"', '"./score.py"', "can't hold a file of this name"),
    ('"shapes.py"', '"shapes.py", "shapes.py"', "listed twice"),
    ('"shapes.py"', '"od d.py"', "can't hold a file of this name"),
    ('"shapes.py"', '".hidden"', "can't hold a file of this name"),
    ('"shapes.py"', '"pipe.txt"', "there is no file pipe.txt"),
    ('"shapes.py"', f'"{"x" * 300}"', "there is no file"),
    ('["shapes.py", "data/weights.json"]', '"shapes.py"', "not allowed here"),
]


@pytest.mark.parametrize(("right", "wrong", "why"), WRONG)
def test_what_kring_toml_says_of_code_is_held_against_the_folder(tmp_path: Path, right: str, wrong: str, why: str):
    folder = written(tmp_path / "prices")
    (tmp_path / "away.py").write_text(SCORE)
    (folder / "away.py").symlink_to(tmp_path / "away.py")
    for name in ("od d.py", ".hidden"):
        (folder / name).write_text(SCORE)
    os.mkfifo(folder / "pipe.txt")
    file = folder / "kring.toml"
    file.write_text(file.read_text().replace(right, wrong))
    with pytest.raises(ConfigError) as faults:
        open_project(folder)
    assert why in str(faults.value)
    assert all(fault.line and "candidate[3]" in fault.key for fault in faults.value.faults), faults.value


def test_what_cant_be_exported_is_told_of_code(tmp_path: Path):
    folder = write_prices(tmp_path / "prices")
    (folder / "models.py").write_text(
        "from sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import FunctionTransformer\n"
        "from sklearn.linear_model import LogisticRegression\nimport numpy as np\n"
        "def own(spec): return make_pipeline(FunctionTransformer(np.sin), LogisticRegression())\n"
    )
    file = folder / "kring.toml"
    own = '\n[[candidate]]\nname = "own"\nfit = "models.py:own"\n'
    file.write_text(file.read_text().replace("\n[gate]", f"{own}\n[gate]"))
    assert 'code = "file.py:function"' in refused(folder)


def test_a_run_of_code_that_fails_as_the_baseline_is_an_error(tmp_path: Path):
    folder = written(tmp_path / "prices")
    (folder / "score.py").write_text("def score(columns, files): return 1 / 0")
    file = folder / "kring.toml"
    text = file.read_text().replace("baseline = true\n", "")
    file.write_text(text.replace('name = "own"\n', 'name = "own"\nbaseline = true\n'))
    with pytest.raises(CandidateError, match="ZeroDivisionError"):
        trained(open_project(folder))
