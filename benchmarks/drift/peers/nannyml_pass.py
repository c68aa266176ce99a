"""Two files compared by NannyML: the Jensen-Shannon distance of each column, the second file as one chunk."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import nannyml
import pandas as pd


def peak_mb() -> float:
    """The most memory this process has held; ru_maxrss would count what its parent held when it was started."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    reference, current = (pd.read_parquet(file) for file in sys.argv[1:])
    names = list(reference.columns)
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=names, continuous_methods=["jensen_shannon"], chunk_number=10
    )
    found = calculator.fit(reference).calculate(current).filter(period="analysis").to_df()
    drifted = [name for name in names if bool(found[name, "jensen_shannon", "alert"].any())]
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"drifted": drifted, "cpu": used.ru_utime + used.ru_stime, "mb": peak_mb()}))


if __name__ == "__main__":
    main()
