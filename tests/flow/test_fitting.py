from __future__ import annotations

import os
import re
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from kring.errors import CandidateError, StorageError
from kring.flow.training.fit import Fitted, fit_candidate
from kring.flow.training.fit_child import warned
from kring.frameworks import sklearn as framework
from kring.record.system import Candidate
from kring.record.version import Output, Policy
from kring.testing.framework import COLUMNS, exported, rows, truth

TRAIN, TEST = rows(300, seed=1), rows(60, seed=2)

GOOD = """
from helper_of_mine import steps

def late(spec):
    print("columns", spec.numbers, spec.categories, spec.rows)
    return steps(spec)

def unseeded(spec):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.impute import SimpleImputer
    numbers = ColumnTransformer([("numbers", SimpleImputer(), spec.numbers)])
    return make_pipeline(numbers, RandomForestClassifier(5, max_depth=3))

def values(spec):
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LinearRegression
    return make_pipeline(ColumnTransformer([("numbers", SimpleImputer(), spec.numbers)]), LinearRegression())
"""

HELPER = """
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

def steps(spec):
    columns = ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), spec.numbers),
        ("categories", OneHotEncoder(handle_unknown="ignore"), spec.categories),
    ])
    return make_pipeline(columns, LogisticRegression(C=spec.params["C"], max_iter=spec.params.get("steps", 500)))
"""

BAD = """
import os, sys, time, ctypes

class Half:
    def fit(self, x, y): return self

class Custom:
    def get_params(self, deep=True): return {}
    def set_params(self, **params): return self
    def fit(self, x, y): raise RuntimeError("inside fit")
    def predict(self, x): return None
    def __sklearn_clone__(self): return self

def raises(spec):
    print("so far so good")
    rows = {}
    return rows["missing key"]

def none(spec): pass
def kind(spec): return Half
def half(spec): return Half()
def custom(spec): return Custom()
def fitted(spec):
    from sklearn.linear_model import LogisticRegression
    return LogisticRegression().fit([[0.0], [1.0]], [0, 1])
def prints(spec):
    block = b"spam and eggs\\n" * 80_000
    for _ in range(1000): os.write(1, block)
    os.write(2, b"enough\\n")
    raise ValueError("printed a gigabyte")
def never(spec):
    print("still here", flush=True)
    while True: time.sleep(1)
def ends(spec): os._exit(3)
def ends_well(spec): os._exit(0)
def leaves(spec): sys.exit("bye")
def crashes(spec): ctypes.string_at(0)
def killed(spec): os.kill(os.getpid(), 9)
def eats(spec):
    data = []
    while True: data.append(bytearray(20_000_000))
def two(first, second): return None
def lies(spec):
    open(sys.argv[1], "wb").write(b"\\x80\\x04pickled")
    os._exit(0)
NOT_A_FUNCTION = 3
"""


def children() -> set[str]:
    """Processes whose parent this thread is, zombies among them."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "models.py").write_text(GOOD)
    (folder / "helper_of_mine.py").write_text(HELPER)
    (folder / "bad.py").write_text(BAD)
    (folder / "broken.py").write_text("def late(spec:\n    return 1\n")
    (folder / "binary.py").write_bytes(b"\x00\xff\xfe")
    before, running = sorted(folder.rglob("*")), children()
    private = tmp_path / "temporary"
    private.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    yield folder
    assert sorted(folder.rglob("*")) == before, "the project's folder is as it was"
    assert list(private.iterdir()) == [], "no temporary file is left"
    assert children() <= running, "no child and no zombie is left"


def fit(candidate: Candidate, folder: Path, *, output: Output = "probability", seed: int = 0) -> Fitted:
    return fit_candidate(
        candidate,
        framework=framework,
        folder=folder,
        policy=Policy(output=output, labels=("false", "true") if output == "probability" else ()),
        columns=COLUMNS,
        train=TRAIN,
        truth=truth(TRAIN, output, seed=3),
        test=TEST,
        seed=seed,
    )


def own(place: str, **options: object) -> Candidate:
    return Candidate(name="mine", fit=place, **options)  # type: ignore[arg-type]


def test_a_built_in_is_fitted_here(project: Path) -> None:
    fitted = fit(Candidate(name="trees", builtin="boosted", params={"max_iter": 5}), project)
    np.testing.assert_allclose(fitted.test_outputs, exported(fitted.model, TEST), atol=1e-6)
    assert fitted.seconds > 0
    assert fitted.output_tail == ""


def test_a_users_function_is_fitted_in_a_child(project: Path) -> None:
    fitted = fit(own("models.py:late", params={"C": 100.0, "steps": 1}), project)
    np.testing.assert_allclose(fitted.test_outputs, exported(fitted.model, TEST), atol=1e-6)
    assert fitted.output_tail.startswith("columns ['distance', 'hour of day', 'value'] ['carrier', 'ziel·ort'] 300")
    assert any("converge" in warning for warning in fitted.warnings)


def test_of_a_warning_of_ones_own_code_the_place_is_kept_and_not_the_words() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn("Jane Roe is no number", UserWarning, stacklevel=1)
        LogisticRegression(max_iter=1).fit(np.arange(6.0)[:, None], [0, 1, 0, 1, 1, 1])
    own_words, *others = map(warned, caught)
    assert re.fullmatch(r"UserWarning \(test_fitting\.py, line \d+\)", own_words)
    assert "converge" in others[-1]


def test_a_seed_reaches_every_part(project: Path) -> None:
    models = [fit(own("models.py:unseeded"), project, seed=5).model for _ in range(2)]
    assert models[0] == models[1]


def test_a_value_where_a_probability_is_asked_for(project: Path) -> None:
    with pytest.raises(CandidateError, match="does not answer what the system asks for") as refused:
        fit(own("models.py:values"), project)
    assert "predict_proba" in refused.value.next


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("bad.py:raises", ["raised KeyError", "'missing key'", "so far so good", "bad.py:17", "mend the function"]),
        ("bad.py:none", ["none does not return an estimator", "None"]),
        ("bad.py:kind", ["the class Half", "return Half(...)"]),
        ("bad.py:half", ["half does not return an estimator", "Half object"]),
        ("bad.py:custom", ["not a scikit-learn estimator", "BaseEstimator"]),
        ("bad.py:fitted", ["LogisticRegression is fitted already", "without calling fit"]),
        ("bad.py:ends", ["ended its process with code 3", "return an estimator"]),
        ("bad.py:ends_well", ["ended its process with code 0", "return an estimator"]),
        ("bad.py:lies", ["ended its process with code 0", "return an estimator"]),
        ("bad.py:leaves", ["raised SystemExit", "bye"]),
        ("bad.py:crashes", ["ended by SIGSEGV", "a library crashed"]),
        ("bad.py:killed", ["ended by SIGKILL", "memory_mb"]),
        ("bad.py:two", ["raised TypeError", "second"]),
        ("bad.py:NOT_A_FUNCTION", ["no function NOT_A_FUNCTION", "raises, none, kind"]),
        ("bad.py:missing", ["no function missing", "raises, none, kind"]),
        ("bad.py:Half", ["no function Half", "a class"]),
        ("broken.py:late", ["raised SyntaxError", "broken.py:1"]),
        ("binary.py:late", ["raised", "binary.py"]),
        ("nowhere.py:late", ["no file nowhere.py", "bad.py, binary.py"]),
        ("models.py", ["names no function", '"file.py:function"']),
        ("models.py:late()", ["names no function"]),
    ],
)
def test_a_bad_function_is_an_error_in_words(place: str, said: list[str], project: Path) -> None:
    with pytest.raises(CandidateError) as refused:
        fit(own(place, timeout_us=20_000_000), project)
    assert all(words in str(refused.value) for words in said), str(refused.value)
    assert refused.value.key == "candidate.mine.fit"


def test_a_function_that_never_returns(project: Path) -> None:
    began = time.monotonic()
    with pytest.raises(CandidateError, match="did not end within 2 s") as refused:
        fit(own("bad.py:never", timeout_us=2_000_000), project)
    assert time.monotonic() - began < 6
    assert "still here" in refused.value.got
    assert "timeout" in refused.value.next


def test_a_function_that_eats_all_memory(project: Path) -> None:
    with pytest.raises(CandidateError, match="MemoryError") as refused:
        fit(own("bad.py:eats", memory_mb=600), project)
    assert "memory_mb" in refused.value.next


def test_a_function_that_prints_a_gigabyte(project: Path) -> None:
    with pytest.raises(CandidateError, match="raised ValueError") as refused:
        fit(own("bad.py:prints"), project)
    assert "enough" in refused.value.got
    assert "bytes before that were dropped" in refused.value.got
    assert len(str(refused.value)) < 6000


def test_no_room_for_temporary_files(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setattr(tempfile, "tempdir", str(project / "missing"))
        with pytest.raises(StorageError, match="temporary folder"):
            fit(own("models.py:late"), project)
