"""Two files compared by Evidently: its preset for data drift."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset


def peak_mb() -> float:
    """The most memory this process has held; ru_maxrss would count what its parent held when it was started."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


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
    print(json.dumps({"drifted": drifted, "cpu": used.ru_utime + used.ru_stime, "mb": peak_mb()}))


if __name__ == "__main__":
    main()
