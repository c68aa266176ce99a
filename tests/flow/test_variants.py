"""Smaller variants: made from what was exported, measured and served as they are, beside what they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kring.flow.checking import check_feed, take_snapshot
from kring.flow.project import Project, open_project
from kring.flow.training.train import Trained, train
from kring.flow.training.variants import in_order
from kring.record.run import Run
from systems import kring, write_prices

FUNCTIONS = """
import warnings
from sklearn.compose import ColumnTransformer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

def network(spec):
    warnings.simplefilter("ignore")
    numbers = ColumnTransformer([("numbers", StandardScaler(), spec.numbers)])
    return make_pipeline(numbers, MLPClassifier(hidden_layer_sizes=(64, 64), max_iter=40))
"""


def variant(name: str, of: str, precision: str) -> str:
    return f'\n[[candidate]]\nname = "{name}"\nof = "{of}"\nprecision = "{precision}"\n'


def fitted(name: str, function: str, more: str = "") -> str:
    return f'\n[[candidate]]\nname = "{name}"\nfit = "models.py:{function}"\n{more}\n'


def asking(folder: Path, candidates: str) -> Project:
    write_prices(folder)
    (folder / "models.py").write_text(FUNCTIONS)
    file = folder / "kring.toml"
    file.write_text(file.read_text().replace("\n[gate]", f"{candidates}\n[gate]"))
    return open_project(folder)


def trained(project: Project, *only: str) -> dict[str, Trained]:
    found = train(project, take_snapshot(project, check_feed(project)), only=only, draws=20)
    return {one.run.candidate: one for one in found}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, Trained]]:
    """Variants stand before what they come from, which sees two of the three columns."""
    columns = 'columns = ["demand", "transfer"]'
    candidates = variant("small", "network", "int8") + variant("half", "network", "fp16")
    candidates += fitted("network", "network", columns) + variant("small-boosted", "boosted", "int8")
    project = asking(tmp_path_factory.mktemp("variants") / "prices", candidates)
    return project, trained(project)


def test_variants_come_after_what_they_are_made_from(made: tuple[Project, dict[str, Trained]]) -> None:
    assert list(made[1]) == ["prior", "linear", "boosted", "network", "small", "half", "small-boosted"]


def test_a_variant_has_evidence_of_its_own_and_its_difference_on_record(
    made: tuple[Project, dict[str, Trained]],
) -> None:
    project, found = made
    base = found["network"]
    for name, precision, close in (("small", "int8", 0.05), ("half", "fp16", 1e-3)):
        one = found[name]
        assert one.evidence is not None
        assert (one.run.kind, one.run.state) == (precision, "done")
        beside = one.run.variant
        assert beside is not None
        assert (beside.of, beside.run, beside.precision) == ("network", base.run.id, precision)
        assert 0 < beside.largest < close
        assert 0 <= beside.decisions < beside.rows / 20
        assert beside.bytes < beside.bytes_before
        sizes = [(project.home.runs / run.id / "links/model.onnx").stat().st_size for run in (one.run, base.run)]
        assert sizes == [beside.bytes, beside.bytes_before]
        assert one.run.parity is not None
        assert one.run.parity.row_path < 1e-6, "no row depends on the rows beside it"
        assert {"size_mb", "latency_p50_ms", "roc_auc"} <= {measure.name for measure in one.evidence.measures}


def test_a_variant_sees_the_columns_of_what_it_comes_from(made: tuple[Project, dict[str, Trained]]) -> None:
    project, found = made
    chain = (project.home.runs / found["small"].run.id / "chain.json").read_text()
    assert '"inputs":["demand","transfer"]' in chain


def test_trees_are_refused_with_the_reason(made: tuple[Project, dict[str, Trained]]) -> None:
    refused = made[1]["small-boosted"]
    assert refused.run.state == "refused"
    assert "nothing in this graph can be made smaller" in refused.run.reason
    assert "TreeEnsembleClassifier" in refused.why
    assert "candidate.small-boosted.precision" in refused.why


def test_the_comparison_says_what_smaller_costs(made: tuple[Project, dict[str, Trained]]) -> None:
    project, _ = made
    told = kring("compare", project.folder)
    assert "small: network kept as int8" in told.out
    assert "decisions differ" in told.out


def test_a_variant_is_released_as_it_was_measured(made: tuple[Project, dict[str, Trained]]) -> None:
    project, found = made
    told = kring("release", project.folder, "--candidate", "small", "--because", "it is smaller", "--json")
    assert told.code == 0, told.out
    (version,) = [path for path in project.home.versions.iterdir() if not path.name.startswith(".")]
    served = (version / "links/model.onnx").read_bytes()
    assert served == (project.home.runs / found["small"].run.id / "links/model.onnx").read_bytes()


def test_a_variant_of_what_was_refused_is_refused(tmp_path: Path) -> None:
    bad = '\n[[candidate]]\nname = "bad"\nbuiltin = "forest"\nparams = { max_leaf_nodes = 1 }\n'
    project = asking(tmp_path / "prices", bad + variant("small", "bad", "fp16"))
    found = trained(project, "small")
    assert list(found) == ["prior", "bad", "small"], "what it comes from is made too"
    assert "candidate bad, of which small is a variant, was refused" in found["small"].run.reason


def test_a_variant_can_be_of_the_baseline(tmp_path: Path) -> None:
    project = asking(tmp_path / "prices", variant("small", "prior", "int8"))
    assert in_order(project.system, project.system.candidates)[0].name == "prior"
    run: Run = trained(project, "small")["small"].run
    assert run.state == "refused"
    assert np.isfinite(run.at)
