"""Charts of what was measured of a version."""

from __future__ import annotations

from kring.charts import curves
from kring.charts.page import Chart
from kring.flow.comparing.labels import label_blocks
from kring.record.evidence import Evidence


def evidence_charts(evidence: Evidence, *, currency: str) -> list[Chart]:
    """Calibration, costs, ranking and spread of outputs, as far as this kind of question has them."""
    found = {curve.name: curve for curve in evidence.curves}
    threshold = evidence.threshold
    charts: list[Chart] = []
    if threshold is not None and "calibration" in found:
        words = "Predicted against what came true. On the diagonal, probabilities can be taken at their word."
        charts.append(Chart(spec=curves.calibration(found["calibration"]), caption=words, alt=words, half=True))
    if threshold is not None and "cost" in found:
        words = "What a decision costs at each threshold; the chosen one follows from the cost of mistakes."
        spec = curves.cost_of_threshold(found["cost"], threshold, currency=currency)
        charts.append(Chart(spec=spec, caption=words, alt=words, half=True))
    outputs = {label: found[name] for label, name in (("no", "scores_no"), ("yes", "scores_yes")) if name in found}
    if outputs:
        words = "How the outputs are spread over rows that turned out yes and no."
        charts.append(Chart(spec=curves.scores(outputs, threshold=threshold), caption=words, alt=words, half=True))
    if "roc" in found:
        words = "Right alarms against false ones, at every threshold."
        charts.append(Chart(spec=curves.roc({evidence.candidate: found["roc"]}), caption=words, alt=words, half=True))
    more = label_blocks(evidence.candidate, evidence.curves)
    return [*charts, *(block for block in more if isinstance(block, Chart))]
