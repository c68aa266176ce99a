"""What each built-in costs to fit and how large it is once exported, side by side on one data set.

    python benchmarks/candidates.py            three rounds, in turn, with default params
    python benchmarks/candidates.py --rounds 5

20,000 rows to learn from and 20,000 to answer, with missing numbers and categories. Prints a row per built-in for
the table of results: command, date, CPU ratio of the medians to `linear`, and seconds, size and ROC AUC.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import time
import warnings

import numpy as np

from kring.flow import adapters
from kring.metrics.ranking import passed, rank
from kring.testing.framework import COLUMNS, exported, rows, truth

ROWS = 20_000
NAMES = ("linear", "boosted", "forest", "lightgbm", "xgboost")


def roc_auc(outcome: np.ndarray, probability: np.ndarray) -> float:
    true, every = (np.append(0.0, each) for each in passed(rank(outcome, probability), np.ones(len(outcome))))
    return float(np.trapezoid(true / true[-1], (every - true) / (every - true)[-1]))


def measured(name: str, batch: object, outcome: np.ndarray) -> tuple[float, bytes]:
    """CPU seconds of one fit, and the exported graph."""
    framework = adapters.framework(name)
    estimator = framework.builtin(name, output="probability", columns=COLUMNS, params={}, seed=0)
    began = time.process_time()
    fitted = framework.fit(estimator, batch, outcome)
    seconds = time.process_time() - began
    return seconds, framework.export(fitted, COLUMNS)


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU seconds and size of each built-in")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    batch, asked = rows(ROWS, seed=1), rows(ROWS, seed=2)
    outcome, later = truth(batch, "probability", seed=3), truth(asked, "probability", seed=4)
    rounds = [{name: measured(name, batch, outcome) for name in NAMES} for _ in range(given.rounds)]
    seconds = {name: statistics.median(one[name][0] for one in rounds) for name in NAMES}
    command = f"python benchmarks/candidates.py --rounds {given.rounds}"
    for name in NAMES:
        graph = rounds[0][name][1]
        print(
            f"| `{command}`, `{name}` | {datetime.date.today()} | {seconds[name] / seconds['linear']:.1f}x fitting "
            f"`linear` | {seconds[name]:.2f} CPU s, {len(graph) / 1e6:.2f} MB, "
            f"ROC AUC {roc_auc(later, exported(graph, asked)):.3f} |"
        )


if __name__ == "__main__":
    main()
