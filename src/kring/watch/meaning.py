"""What each alarm means, in plain sentences: for whoever reads the name of a metric for the first time, at night."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from kring.record.alarm import Alarm, AlarmKind


class Plain(NamedTuple):
    """A metric in plain words, and +1 when larger is better, -1 when smaller is, 0 for neither."""

    words: str
    better: int = 1


METRICS: Final[Mapping[str, Plain]] = {
    "roc_auc": Plain("how well it puts the likelier ones first; 0.5 is blind chance, 1 without a mistake"),
    "average_precision": Plain("how many of those that it puts first are right"),
    "log_loss": Plain("how far its probabilities lie from what happened; sure mistakes count most", -1),
    "brier": Plain("how far its probabilities lie from what happened; 0 is perfect", -1),
    "calibration_error": Plain("how far its probabilities lie from the shares that come true", -1),
    "accuracy": Plain("the share of its decisions that are right"),
    "balanced_accuracy": Plain("the share of its decisions that are right, every label counting as much"),
    "top_2_accuracy": Plain("how often the right label is one of its two likeliest"),
    "precision": Plain("how many of those to which it says yes are one"),
    "recall": Plain("how many of those that ought to get a yes it finds"),
    "f1": Plain("finding all that ought to get a yes, and no others, in one number"),
    "macro_precision": Plain("how often it is right when it names a label, every label counting as much"),
    "macro_recall": Plain("how many rows of a label it finds, every label counting as much"),
    "macro_f1": Plain("finding all rows of a label, and no others, every label counting as much"),
    "positive_rate": Plain("how often it says yes", 0),
    "expected_cost": Plain("what a decision costs on average, by the prices of mistakes in kring.toml", -1),
    "best_threshold": Plain("the probability from which on a yes would have been cheapest", 0),
    "best_threshold_cost": Plain("what a decision would have cost at the best threshold", -1),
    "mae": Plain("how far off its values are on average", -1),
    "rmse": Plain("how far off its values are, large mistakes counting more", -1),
    "r2": Plain("how much of the ups and downs of the truth its values explain; 1 is all, 0 none"),
    "bias": Plain("by how much its values are too high on average", 0),
    "recall_at_1": Plain("how many of the passages that belong to a question it cites first"),
    "recall_at_5": Plain("how many of the passages that belong to a question are among its first 5"),
    "recall_at_10": Plain("how many of the passages that belong to a question are among its first 10"),
    "ndcg_at_10": Plain("how far up the right passages stand among its first 10"),
    "mrr": Plain("how far up the first right passage stands"),
    "answer_accuracy": Plain("the share of its answers that rest on the right passage"),
    "answered_share": Plain("the share of questions that it answers at all", 0),
    "refusal_accuracy": Plain("how often it rightly answers or rightly refuses"),
    "refusal_precision": Plain("how many of the questions that it refuses can't be answered"),
    "refusal_recall": Plain("how many of the questions that can't be answered it refuses"),
    "support_auroc": Plain("how well it tells questions it can answer from those it can't"),
    "latency_p50_ms": Plain("how long it takes for half of the answers, in milliseconds", -1),
    "latency_p99_ms": Plain("how long the slowest of a hundred answers takes, in milliseconds", -1),
    "size_mb": Plain("how large its files are, in megabytes", -1),
    "memory_mb": Plain("how much memory it takes, in megabytes", -1),
    "coverage": Plain("the share of rows that it answers itself"),
}
LIFT: Final = "lift_over_baseline."
BY_LABEL: Final = {
    "recall.": "how many rows of the label {} it finds",
    "precision.": "how often it is right when it says {}",
}
FAIR: Final = {
    "demographic_parity": "how often it says yes",
    "equal_opportunity": "how often it finds those who ought to get a yes",
    "equalized_odds": "how often it is right and wrong",
}

KINDS: Final[Mapping[AlarmKind, str]] = {
    "data_quality": "Rows arrive that break what the contract promises of the data (missing, out of range, of another "
    "kind). What is answered to them can't be relied on, however good the version is.",
    "quality": "Outcomes that are known by now show that the answers are worse than the gate in kring.toml allows.",
    "estimated_quality": "No outcomes are known of these answers yet. Going by the answers alone they are expected to "
    "be worse than the gate in kring.toml allows. It is a forecast and may be wrong.",
    "fallback": "The version itself could not answer these rows, so what stands in for it did: a simpler rule, an "
    "earlier version or a fixed answer. Callers were answered, but not as well as they are meant to be.",
    "release": "A new version did not come to answer as planned. The live version answers on.",
    "retraining": "A training broke before it brought a new version. The live version answers on, and ages.",
    "drift": "This input no longer looks like the data that the version learned from. The answers may be worse for it, "
    "or just as good: only outcomes tell.",
    "prediction_drift": "The answers are spread otherwise than when the version was made. The world has changed, or "
    "what is asked has, or something feeds it wrongly: by itself this does not say that answers are worse.",
    "calibration": "Its probabilities don't mean what they say: of the cases that it gives 30 %, clearly more or fewer "
    "than 30 in 100 come true. It may still put them in the right order; what is decided or computed by the size of a "
    "probability is off.",
    "fairness": "Groups of people fare more differently than the gate in kring.toml allows.",
    "latency": "The slowest of a hundred answers takes longer than is allowed. Answers are right, but late: callers "
    "wait, and may give up.",
    "cost": "Making a decision (computing, services that are paid) costs more on average than is allowed. The answers "
    "are not in doubt.",
    "outliers": "Many rows are unlike anything that the version learned from. It answers them all the same, and nobody "
    "knows how well.",
    "queries": "One caller asks in a way that looks like spying the version out. It may be a test or a batch, too.",
    "probes": "Kring puts the same few questions again and again; their answers are not what they ought to be.",
    "service_level": "So many requests break the promise of kring.toml that what may fail in its whole span (the error "
    "budget) is used up too early.",
    "drill": "A failure that is to be rehearsed regularly has not been, or not with success. Nothing is broken: but "
    "nobody knows whether the way out of it still works.",
    "trial": "A comparison of variants needs somebody: it has an end, or something keeps it from one.",
}

METRIC_OF: Final[Mapping[str, str]] = {
    "release/held": "A new version waits on its way to all traffic. Each version answers the share it had; nothing "
    "changes until somebody decides, or what is in the way is gone.",
    "release/rolled_back": "A new version did harm, and was taken back by itself. The version before it answers "
    "everything again: nothing has to be done at once.",
    "release/failures": "A new version could not answer while it was tried out of sight, beside the live one. Nobody "
    "got its answers; the live version goes on.",
    "release/worse": "A new version did clearly worse than the live one on the same rows, while it was tried out of "
    "sight. Nobody got its answers; the live version goes on.",
    "release/refused": "A new version can't be brought to traffic. The live version answers on.",
    "release/waiting": "A new version has to wait, because another one is on its way. The live version goes on.",
    "release/gate": "A new version was trained, and does not come to answer: its tests do not prove that it keeps the "
    "limits in kring.toml (the gate); to investigate is what is neither proven good enough nor proven bad. Nothing is "
    "broken; the live version answers on.",
    "retraining/waiting": "A new training is due, and begins only when a person says yes. The live version answers "
    "on as before.",
    "queries/one_field": "One caller asks the same again and again and changes one field only, as somebody does who "
    "tries out how to get another decision. It may be a test or a batch, too.",
    "queries/coverage": "One caller asks all over the range of possible inputs, as somebody does who copies the "
    "version by its answers. It may be a test or a batch, too.",
    "queries/threshold": "One caller asks strikingly often where the decision is about to change, as somebody does who "
    "looks for what just gets through. It may be a test or a batch, too.",
    "probes/repeats": "The same question, put twice, gets different answers: something in the version is left to "
    "chance, or what it calls is.",
    "probes/paraphrases": "Questions that say the same in other words get different answers.",
    "probes/change": "The same questions get other answers than on the first day of this version. It has not changed, "
    "so something that it calls has.",
    "probes/answered": "Some of the questions that Kring puts to see whether all is well get no answer.",
    "trial/split": "The arms of a comparison did not get their shares: something assigns, loses or counts one of them "
    "otherwise, so nothing can be made of it. It ends by no rule any more.",
    "trial/coverage": "Outcomes of one arm of a comparison are reported more often than those of another: who is "
    "missing may be what differs, so nothing is concluded.",
    "trial/no_data": "Nothing was reported of an arm whose time has passed. That is no result: nothing is concluded.",
    "trial/worse": "An arm of a comparison is proven to do worse than the one it is compared with, and goes on being "
    "shown until the comparison ends or is stopped.",
    "trial/ended": "A comparison of variants has come to its end by its own rule. What it found is not put into force "
    "by itself.",
    "service_level/availability": "So many requests get no answer that what may fail in the whole span of the promise "
    "(the error budget) is used up too early.",
    "service_level/latency": "So many requests are answered late that what may be late in the whole span of the "
    "promise (the error budget) is used up too early.",
    "service_level/success": "So many requests are answered by what stands in for the version that what may be so in "
    "the whole span of the promise (the error budget) is used up too early.",
}

UNTOUCHED: Final[Mapping[AlarmKind, str]] = {
    "data_quality": "not estimated: too little is known of the answers in that time",
    "quality": "not estimated beyond the measured value: the tests before its release do not hold this metric",
    "estimated_quality": "not estimated: too little is known of the answers in that time",
    "fallback": "not estimated: too little is known of the answers in that time",
    "outliers": "not estimated: too little is known of the answers in that time",
    "drift": "not estimated: too little is known of the answers in that time",
    "prediction_drift": "not estimated: too little is known of the answers in that time",
    "calibration": "not estimated: too few outcomes are known; it comes with more of them (kring outcome)",
    "release": "none: who is answered, and how well, is as before",
    "retraining": "none: who is answered, and how well, is as before",
    "fairness": "not estimated: it is about the difference between groups, not about quality as a whole",
    "latency": "none on what is decided; what waiting costs nobody has told Kring",
    "cost": "none on what is decided; the cost itself stands above",
    "queries": "none on answers to others; what a copied or outwitted version costs can't be read from requests",
    "probes": "not estimated: these questions have no outcomes",
    "service_level": "not estimated: what a request costs that is not served well nobody has told Kring",
    "drill": "none: nothing has happened",
    "trial": "none beyond the arms' own difference: kring trial show",
}
"""Why nothing is estimated, and what would make it possible."""

BOUNDS: Final = (("<=", "at most"), (">=", "at least"), ("<", "below"), (">", "above"))

UNLIKE_BEFORE: Final[frozenset[AlarmKind]] = frozenset({"calibration", "cost"})
"""Whose effect is no comparison with the tests before release."""


def means(alarm: Alarm) -> str:
    """What the alarm says about the system, in plain sentences."""
    whole = METRIC_OF.get(f"{alarm.kind}/{alarm.metric}") or KINDS[alarm.kind]
    plain = metric_words(alarm.metric) if alarm.kind in ("quality", "estimated_quality", "fairness") else ""
    return f"{whole} {alarm.metric} is {plain}." if plain else whole


def metric_words(name: str) -> str:
    """A metric in plain words; empty for one that somebody else has named."""
    if name.startswith(LIFT):
        plain = metric_words(name.removeprefix(LIFT))
        known = plain.partition(";")[0]
        return f"by how much it beats the simple rule of kring.toml (the baseline) in {known}" if known else ""
    if name.startswith("fairness."):
        return _fairness(name.removeprefix("fairness."))
    for prefix, words in BY_LABEL.items():
        if name.startswith(prefix):
            return words.format(name.removeprefix(prefix))
    return METRICS[name].words if name in METRICS else ""


def _fairness(rest: str) -> str:
    """`demographic_parity_difference.sex`: what is compared, how, between which groups."""
    measure, _, column = rest.rpartition(".")
    for kind, words in (("_difference", "the largest difference"), ("_ratio", "the smallest share over the largest")):
        if measure.endswith(kind):
            of = measure.removesuffix(kind)
            return f"{words} between groups by {column} in {FAIR.get(of, of.replace('_', ' '))}"
    return ""


def limit_words(rule: str, *, metric: str) -> str:
    """A rule such as `accuracy >= 0.9` without the name and the sign: `at least 0.9`."""
    rule = rule.removeprefix(metric).strip()
    for sign, words in BOUNDS:
        if rule.startswith(sign):
            return f"{words} {rule.removeprefix(sign).strip()}"
    return rule


def better(name: str) -> int:
    """+1 when larger is better, -1 when smaller is, 0 when nobody knows."""
    if name.startswith(LIFT):
        return 1
    return METRICS[name].better if name in METRICS else 0
