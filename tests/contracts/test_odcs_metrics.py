"""The library metrics of the standard, each with every operator and unit."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from kring.contracts.odcs import read
from kring.errors import ConfigError
from kring.record.contract import Bound

GOOD = """\
apiVersion: v3.1.0
kind: DataContract
id: t
version: 1.0.0
status: active
schema:
  - name: t
    quality:
      - {metric: rowCount, mustBeGreaterThan: 10, severity: warning}
    properties:
      - name: sent
        logicalType: timestamp
"""
OPERATORS = {
    "mustBe: 3": Bound(low=3, high=3),
    "mustNotBe: 3": Bound(low=3, high=3, negate=True),
    "mustBeGreaterThan: 3": Bound(low=3, exclude_low=True),
    "mustBeGreaterOrEqualTo: 3": Bound(low=3),
    "mustBeLessThan: 3": Bound(high=3, exclude_high=True),
    "mustBeLessOrEqualTo: 3": Bound(high=3),
    "mustBeBetween: [3, 4]": Bound(low=3, high=4),
    "mustNotBeBetween: [3, 4]": Bound(low=3, high=4, negate=True),
}
MORE = "      - name: n\n        logicalType: number\n"
METRICS = {
    "nullValues": "",
    "missingValues": ", arguments: {missingValues: [n/a]}",
    "invalidValues": ", arguments: {maximum: 9}",
    "duplicateValues": "",
    "rowCount": "",
}


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("unit", ["rows", "percent"])
def test_every_metric_takes_every_operator_and_unit(
    tmp_path: Path, shared: Path, metric: str, operator: str, unit: str
) -> None:
    item = f"{{metric: {metric}, {operator}, unit: {unit}{METRICS[metric]}}}"
    whole = metric == "rowCount"
    old = "      - {metric: rowCount, mustBeGreaterThan: 10, severity: warning}"
    new = f"      - {item}" if whole else f"        quality: [{item}]"
    sent = "      - name: sent\n"
    text = GOOD.replace(old, new, 1) if whole else GOOD.replace(sent, f"{MORE}{new}\n{sent}", 1)
    schema = json.loads((shared / "data/spec_odcs/schema/odcs-json-schema-v3.1.0.json").read_text())
    jsonschema.Draft201909Validator(schema).validate(yaml.safe_load(text))
    path = tmp_path / "c.odcs.yaml"
    path.write_text(text)
    if whole and unit == "percent":
        with pytest.raises(ConfigError, match="unknown unit"):
            read(path)
        return
    rules = read(path).rules
    rule = next(one for one in rules if one.metric == metric and one.columns in ((), ("n",)))
    assert (rule.bound, rule.unit) == (OPERATORS[operator], unit)
