"""The `kring.toml` proposed for a table, with the reason at each choice and the open questions at the top."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kring.contracts.grammar import quoted
from kring.frame.contract_text import told
from kring.frame.propose import Proposal, plain_name
from kring.frame.questions import Answers, still_open
from kring.frame.quoting import aside, comment, literal, quote, scalar

MOST_TOLD: Final = 60
"""So many columns that are left out are told one by one; of more, the reasons are counted."""

PRIOR_ROWS: Final = 20
CALIBRATED: Final = "calibration_error"
EXPLAINED: Final = "r2"


@dataclass(frozen=True, slots=True)
class Place:
    """What the proposal does not know: names, where the data lie, and the question's own words.

    `task` and `metrics` are those of the kind of question; the first metric is the one that counts.
    """

    name: str
    source: str
    shown: str
    task: str
    metrics: tuple[str, ...]


def system_text(proposal: Proposal, place: Place, answers: Answers) -> str:
    """The whole file; it runs as it is."""
    left = open_questions(proposal, answers)
    parts = [
        _head(proposal, place, left),
        _system(proposal, place, answers),
        _people(answers),
        _frame(answers, [name for name, _ in left]),
        _data(proposal, place),
        _lookup(proposal),
        _prepare(proposal),
        _candidates(proposal),
        _gate(proposal, place),
        _rollout(),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def open_questions(proposal: Proposal, answers: Answers) -> list[tuple[str, str]]:
    """(name, question) of what nobody has answered."""
    aimed = proposal.aim
    return still_open(answers, output=aimed.output, labels=aimed.labels, timed=bool(proposal.split.time))


def unfinished_text(name: str, answers: Answers) -> str:
    """What people said, before there are data: it waits for `kring new DIR --from DATA --target COLUMN`."""
    left = [("data", "Which data, and which column of them is to be foretold?")]
    left += still_open(answers, output=None)
    lines = [
        "# What people said of this system. It can't run yet: there are no data. Go on with",
        "#   kring new DIR --from DATA --target COLUMN",
        "# which keeps these answers.",
        "#",
        *_open(left),
    ]
    goal = answers.get("goal") or "not said yet"
    system = ["[system]", f"name = {quote(name)}", f"goal = {quote(goal)}", *_owned(answers)]
    parts = [lines, system, _people(answers), _frame(answers, [key for key, _ in left])]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _head(proposal: Proposal, place: Place, left: Sequence[tuple[str, str]]) -> list[str]:
    looked = proposal.looked
    lines = [
        f"# Proposed by `kring new` from {place.shown}: {looked.rows:,} rows, {len(looked.columns):,} columns.",
        "# It runs as it is: kring go. Everything may be changed; kring check says what does not fit.",
    ]
    if not looked.whole:
        lines += comment(
            f"What columns say of the outcome was judged on a sample of {looked.sample.height:,} rows; types, "
            "limits and what is missing on all rows."
        )
    return [*lines, *(["#", *_open(left)] if left else [])]


def _open(left: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield "# OPEN: what only people know. Answer here, or begin with kring new --interview; then take the name out of"
    yield "# frame.open. kring check and kring go name what is still there."
    for name, words in left:
        yield from comment(f"OPEN {name}: {words}")


def _system(proposal: Proposal, place: Place, answers: Answers) -> list[str]:
    goal = answers.get("goal") or f"Foretell {proposal.aim.target.name} from what is known before"
    return [
        "[system]",
        f"name = {quote(place.name)}",
        f"goal = {quote(goal)}" + ("" if answers.get("goal") else aside("OPEN")),
        *comment(proposal.aim.why),
        f"task = {quote(place.task)}",
        *_owned(answers),
    ]


def _owned(answers: Answers) -> list[str]:
    lines = [
        f"owner = {quote(answers.get('owner'))}" if answers.get("owner") else f'owner = "nobody yet"{aside("OPEN")}'
    ]
    affects = answers.listed("affects")
    if affects:
        lines.append(f"affects = [{', '.join(map(quote, affects))}]")
    if answers.get("human_oversight"):
        lines.append(f"human_oversight = {quote(answers.get('human_oversight'))}")
    return lines


def _rollout() -> list[str]:
    why = (
        "A later version answers at once. Where there is traffic, let it answer beside the live one first, unheard: "
        'shadow = "1d".'
    )
    return ["[rollout]", *comment(why), 'shadow = "0d"']


def _people(answers: Answers) -> list[str]:
    lines = [f"{stage} = {{ accountable = {quote(person)} }}" for stage, person in answers.people.items()]
    return ["[people]", *lines] if lines else []


def _frame(answers: Answers, names: Sequence[str]) -> list[str]:
    decision = answers.get("decision")
    lines = ["[frame]", f"decision = {quote(decision)}" if decision else f'decision = "not said yet"{aside("OPEN")}']
    if answers.get("good_enough"):
        lines.append(f"good_enough = {quote(answers.get('good_enough'))}")
    if answers.cost:
        prices = [
            f"{quote(kind)} = {price!r}" if kind != plain_name(kind, set()) else f"{kind} = {price!r}"
            for kind, price in answers.cost.items()
        ]
        unit = [f"currency = {quote(answers.get('currency'))}"] if answers.get("currency") else []
        lines.append(f"cost = {{ {', '.join([*prices, *unit])} }}")
    if answers.default is not None:
        lines.append(f"default = {scalar(answers.default)}")
    if answers.get("feedback"):
        lines.append(f"feedback = {quote(answers.get('feedback'))}")
    return [*lines, f"open = [{', '.join(map(quote, names))}]"] if names else lines


def _data(proposal: Proposal, place: Place) -> list[str]:
    aimed, split = proposal.aim, proposal.split
    lines = ["[data]", f"source = {quote(place.source)}" + aside("where it lies; nothing was copied")]
    lines += ['contract = "contract.odcs.yaml"', f"target = {quote(aimed.target.name)}"]
    if aimed.positive is not None:
        lines.append(f"positive = {scalar(aimed.positive)}" + aside(aimed.positive_why))
    if split.time:
        lines.append(f"time = {quote(split.time)}")
        why = "OPEN: how long after the decision is its outcome known?"
        lines.append(f"outcome_after = {quote(proposal.outcome_after)}" + aside(why))
    if split.group:
        lines.append(f"group = {quote(split.group)}")
    if proposal.protected:
        lines += comment("Proposed by their names: people are compared by these columns. Is the list right?")
        lines.append(f"protected = [{', '.join(map(quote, proposal.protected))}]")
    return [*lines, *comment(split.why), f'split = {{ by = "{split.by}", test = 0.25 }}']


def _mean(proposal: Proposal) -> str:
    """The name of the lookup that the baseline answers by; empty without one."""
    if not proposal.baseline:
        return ""
    taken = {one.name for one in proposal.prepared}
    return plain_name(f"{proposal.aim.target.name}_by_{proposal.baseline}", taken)


def _lookup(proposal: Proposal) -> list[str]:
    if not proposal.baseline:
        return []
    return [
        *comment(
            f"What history says: the mean of {proposal.aim.target.name} for each {proposal.baseline}, from days before."
        ),
        f"[lookup.{_mean(proposal)}]",
        f"key = [{quote(proposal.baseline)}]",
        f"value = {quote(proposal.aim.target.name)}",
        f"prior = {PRIOR_ROWS}",
    ]


def _prepare(proposal: Proposal) -> list[str]:
    looked, used = proposal.looked, {one.column for one in proposal.prepared}
    lines = ["[prepare]"]
    for one in proposal.prepared:
        use = proposal.uses[one.column]
        words = told(use.seen, looked.rows) + (f"; {use.note}" if use.note else "")
        lines.append(f"{one.name} = {literal(one.expression)}" + aside(words))
    if proposal.baseline:
        name = _mean(proposal)
        expression = f'lookup("{name}", key=[{quoted(proposal.baseline)}])'
        lines.append(f"{name} = {literal(expression)}" + aside("the baseline's answer"))
    out = [(name, use.left_out) for name, use in proposal.uses.items() if name not in used]
    if out:
        lines += ["#", "# Left out:"]
    if len(out) > MOST_TOLD:
        counts = Counter(why for _, why in out)
        lines += [
            line for why, count in counts.most_common(10) for line in comment(f"{count:,} columns: {why}", indent="")
        ]
        out = [each for each in out if counts[each[1]] == 1][:MOST_TOLD]
    return lines + [line for name, why in out for line in comment(f"{name}: {why}")]


def _candidates(proposal: Proposal) -> list[str]:
    if proposal.baseline:
        column = proposal.baseline
        lines = [
            "[[candidate]]",
            f"name = {quote('by-' + plain_name(column, set()).lower().replace('_', '-').strip('-'))}"
            + aside("what a table on the wall would say"),
            "baseline = true",
            f"rule = {quote(_mean(proposal))}",
        ]
    else:
        words = (
            "answers the mean of all rows" if proposal.aim.output == "value" else "answers how often each outcome is"
        )
        lines = ["[[candidate]]", 'name = "prior"' + aside(words), "baseline = true", 'builtin = "prior"']
    if proposal.split.no_change:
        lines += comment(
            f"A harder baseline is no change: the outcome of the row before is right in {proposal.split.no_change:.1%} "
            "of the rows. A rule can't see past outcomes, so it is not here; see the gate."
        )
    for name in ("linear", "boosted", "forest"):
        lines += ["", "[[candidate]]", f'name = "{name}"', f'builtin = "{name}"']
    return lines


def _gate(proposal: Proposal, place: Place) -> list[str]:
    first = place.metrics[0]
    lines = [
        *comment("A line passes when its 95 % interval is wholly on the allowed side, and fails when on the other."),
        "[gate]",
        "min_rows = 100" + aside("held-out rows with an outcome; with fewer, a person looks at it"),
        f'"lift_over_baseline.{first}" = "> 0"'
        + aside("better than the baseline on the same rows, or no model is needed"),
    ]
    if CALIBRATED in place.metrics:
        lines.append(f'{CALIBRATED} = "<= 0.10"' + aside("of things said to be 70 % likely, 60 to 80 % happen"))
    if EXPLAINED in place.metrics:
        lines.append(f'{EXPLAINED} = "> 0"' + aside("closer than one number for all held-out rows would be"))
    if proposal.split.no_change and "accuracy" in place.metrics:
        words = "no change; take the # away if outcomes are known before the next decision"
        lines.append(f'# accuracy = ">= {proposal.split.no_change:.3f}"' + aside(words))
    return lines
