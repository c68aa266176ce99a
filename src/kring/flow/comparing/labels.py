"""The part of a comparison that speaks of several labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kring.charts import curves, labels
from kring.charts.page import Block, Chart, Table
from kring.charts.words import count
from kring.record.evidence import Curve

CONFUSION: Final = "confusion."
CALIBRATION: Final = "calibration."
CONFIDENCE: Final = "confidence"


def label_blocks(candidate: str, found: Sequence[Curve]) -> list[Block]:
    """Which label `candidate` takes for which, how far its first choice can be believed, and each label's
    probability; nothing when its evidence knows no labels."""
    rows = _named(found, CONFUSION)
    sure = [curve for curve in found if curve.name == CONFIDENCE]
    if not rows or not sure:
        return []
    taken = f"What {candidate} took each label for: rows by true label and by decision, right ones on the diagonal."
    believed = f"How often the most probable label of {candidate} was the true one, by its probability."
    each = f"Predicted against what came true for each label, {candidate}; a dot grows with the rows it rests on."
    return [
        Chart(spec=labels.confusion(rows), caption=taken, alt=taken, half=True, table=_table(rows)),
        Chart(spec=curves.calibration(sure[0]), caption=believed, alt=believed, half=True),
        Chart(spec=labels.calibrations(_named(found, CALIBRATION)), caption=each, alt=each),
    ]


def _table(rows: dict[str, Curve]) -> Table:
    return Table(
        columns=("true / decided", *rows),
        rows=tuple((label, *(count(int(weight)) for weight in curve.weight)) for label, curve in rows.items()),
        caption="Rows by true label and by decision.",
        folded=True,
    )


def _named(found: Sequence[Curve], prefix: str) -> dict[str, Curve]:
    return {curve.name.removeprefix(prefix): curve for curve in found if curve.name.startswith(prefix)}
