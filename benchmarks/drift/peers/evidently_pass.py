"""Two files compared by Evidently: its preset for data drift."""

from __future__ import annotations

import json
import resource
import sys

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset


def main() -> None:
    reference, current = (pd.read_parquet(file) for file in sys.argv[1:])
    definition = DataDefinition(numerical_columns=list(reference.columns))
    sides = [Dataset.from_pandas(frame, data_definition=definition) for frame in (current, reference)]
    found = json.loads(Report([DataDriftPreset()]).run(*sides).json())
    drifted = [
        str(metric.get("config", {}).get("column", metric.get("metric_name", "")))
        for metric in found["metrics"]
        if isinstance(metric.get("value"), float) and metric["value"] > 0.1
    ]
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"drifted": drifted, "cpu": used.ru_utime + used.ru_stime, "mb": used.ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
