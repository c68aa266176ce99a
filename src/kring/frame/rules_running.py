"""The rules between keys of a running system."""

from __future__ import annotations

from typing import Final

from kring.contracts.context import condition
from kring.errors import ExpressionError
from kring.frame import durations
from kring.frame.places import Key
from kring.frame.reading import Reading
from kring.frame.tables_running import RolloutTable, WatchTable
from kring.frame.wording import did_you_mean, shown
from kring.metrics.cron import next_fire

NAMED: Final = ("notify", "flag", "trial")
"""Lists whose entries have names, no two the same."""

ROUTERS: Final = ("arm", "canary")
"""What may stand behind a system's name, for the flags that tell which version answers."""

PRICED: Final = "[price], or the price of a candidate"


def read_running_rules(reading: Reading) -> None:
    """Add a fault for every such rule that is broken."""
    _rollout(reading)
    _watch(reading)
    _learn(reading)
    for list_ in NAMED:
        _names(reading, list_)
    _notify(reading)
    _flags(reading)
    _trials(reading)


def _rollout(reading: Reading) -> None:
    steps = reading.good.get(("rollout", "steps"))
    numbers = [step for step in steps if isinstance(step, int)] if isinstance(steps, (list, tuple)) else []
    if numbers != sorted(numbers):
        reading.fault(
            ("rollout", "steps"),
            "steps of a rollout rise",
            got=shown(numbers),
            allowed="rising percentages",
            next=f"write steps = {sorted(numbers)}",
        )
    _guardrails(reading)
    holdback = reading.good.get(("rollout", "holdback"), RolloutTable().holdback)
    most = 100 - 100 * holdback if isinstance(holdback, float) else 100.0
    if numbers and max(numbers) >= most:
        reading.fault(
            ("rollout", "holdback" if reading.raw(("rollout", "holdback")) is not None else "steps"),
            "a version would never be seen at more than its last step: the holdback leaves it no more",
            got=f"a last step of {max(numbers)} %, and {100 - most:g} % held back",
            allowed=f"a last step below {most:g} %",
            next="lower holdback, or leave the last step out: after it the version has all that is not held back",
        )


def _guardrails(reading: Reading) -> None:
    """A guardrail of what the system never tells would never find anything."""
    guarded = reading.good.get(("rollout", "guardrails"))
    kinds = list(guarded) if isinstance(guarded, (list, tuple)) else []
    abstains = "abstain" in reading.entries(("policy",))
    for kind, is_told, what, needs, remedy in (
        ("abstention", abstains, "when this system abstains", "[policy] abstain", "policy.abstain"),
        ("cost", has_price(reading), "what an answer costs", PRICED, "price.decision or price.second"),
    ):
        if kind in kinds and not is_told:
            reading.fault(
                ("rollout", "guardrails", kinds.index(kind)),
                f"a guardrail without data: nothing says {what}",
                got=kind,
                allowed=f"{kind} together with {needs}",
                next=f"write {remedy}, or leave {kind} out",
            )


def has_price(reading: Reading) -> bool:
    """Whether anything is said to cost something; what is wrong by itself is told elsewhere."""
    prices = [*reading.entries(("price",)).values()]
    prices += [reading.raw(("candidate", one, "price")) for one in range(reading.length(("candidate",)))]
    return any(prices)


def _watch(reading: Reading) -> None:
    """A judgement that needs more windows than its span holds would never be made, nor one of costs without a price."""
    default = WatchTable()
    cost = reading.good.get(("watch", "cost"))
    if cost and not has_price(reading):
        reading.fault(
            ("watch", "cost"),
            "no decision would ever be too dear: nothing says what one costs",
            got=shown(cost),
            allowed=f"watch.cost together with {PRICED}",
            next="write price.decision or price.second, or leave watch.cost out",
        )
    values = {
        name: reading.good.get(("watch", name), getattr(default, name))
        for name in ("window", "quality_over", "min_windows")
        if ("watch", name) in reading.good or name not in reading.entries(("watch",))
    }
    window, span, least = values.get("window"), values.get("quality_over"), values.get("min_windows")
    if not (isinstance(window, str) and isinstance(span, str) and isinstance(least, int)):
        return
    if durations.microseconds(window) * least > durations.microseconds(span):
        name = next((name for name in ("quality_over", "min_windows", "window") if ("watch", name) in reading.good), "")
        reading.fault(
            ("watch", name) if name else ("watch",),
            "quality would never be judged: the span is shorter than the windows that a judgement needs",
            got=f'quality_over = "{span}", window = "{window}", min_windows = {least}',
            allowed="quality_over of at least window × min_windows",
            next="lengthen quality_over, or lower min_windows",
        )


def _learn(reading: Reading) -> None:
    table = reading.entries(("learn",))
    if "cron" in table and "every" in table:
        reading.fault(
            ("learn", "cron"),
            "a schedule is said twice",
            got="cron and every",
            allowed="one of them",
            next="leave one out",
        )

    cron = reading.text(("learn", "cron"))
    if cron:
        try:
            next_fire(cron, after=0)
        except ValueError:
            reading.fault(
                ("learn", "cron"),
                "this is no cron expression that ever fires",
                got=shown(cron),
                allowed='minute, hour, day of the month, month and weekday such as "0 3 * * 1"',
            )


def _names(reading: Reading, list_: str) -> None:
    first: dict[str, Key] = {}
    for number in range(reading.length((list_,))):
        key: Key = (list_, number, "name")
        name = reading.text(key)
        if name and name in first:
            line = reading.source.places.line(first[name])
            reading.fault(key, f"two entries of [[{list_}]] share this name", got=shown(name), next=f"see line {line}")
        first.setdefault(name, key)


def _notify(reading: Reading) -> None:
    for number in range(reading.length(("notify",))):
        to, url = (reading.text(("notify", number, name)) for name in ("to", "url"))
        mail = to == "mail"
        schemes = ("smtp://", "smtps://") if mail else ("https://", "http://")
        if url and to and not url.startswith(schemes):
            reading.fault(
                ("notify", number, "url"),
                f"alarms can't be sent there by {to}",
                got=shown(url),
                allowed=" or ".join(f"{scheme}…" for scheme in schemes),
            )
        for name in ("recipients", "sender"):
            if mail and not reading.raw(("notify", number, name)):
                reading.fault(("notify", number), f"mail needs {name}", got="none", next=f"add {name}")


def _flags(reading: Reading) -> None:
    for number in range(reading.length(("flag",))):
        variants = reading.entries(("flag", number, "variants"))
        kinds = {_kind(value) for value in variants.values()}
        if len(kinds) > 1:
            reading.fault(
                ("flag", number, "variants"),
                "the variants of a flag are of one type",
                got=", ".join(sorted(kinds)),
                allowed="only texts, only numbers, or only true and false",
            )
        keys: list[Key] = [("flag", number, "default"), ("flag", number, "off")]
        keys += [("flag", number, "rule", rule, "variant") for rule in range(reading.length(("flag", number, "rule")))]
        for key in keys:
            _one_of(reading, key, sorted(variants), what="variant")
        _not_the_routers(reading, number)
        for rule in range(reading.length(("flag", number, "rule"))):
            _condition(reading, ("flag", number, "rule", rule, "when"))


def _not_the_routers(reading: Reading, number: int) -> None:
    """Each system has flags of its own that tell where the router sends somebody."""
    name = reading.text(("flag", number, "name"))
    if name and name in (reading.text(("system", "name")), *ROUTERS):
        reading.fault(
            ("flag", number, "name"), "a flag of this name tells which version answers", got=shown(name),
            allowed=f"any name but the system's, {' and '.join(ROUTERS)}",
        )  # fmt: skip


def _condition(reading: Reading, key: Key) -> None:
    text = reading.text(key)
    try:
        if text:
            condition(text)
    except ExpressionError as error:
        reading.fault(key, error.message, got=error.got, allowed=error.allowed, next=error.next)


def _trials(reading: Reading) -> None:
    flags = [reading.text(("flag", number, "name")) for number in range(reading.length(("flag",)))]
    for number in range(reading.length(("trial",))):
        arms = sorted(reading.entries(("trial", number, "arms")))
        if len(arms) < 2:
            reading.fault(("trial", number, "arms"), "a trial compares two arms or more", got=shown(arms))
        _one_of(reading, ("trial", number, "control"), arms, what="arm")
        _one_of(reading, ("trial", number, "flag"), flags, what="flag")
        _arms(reading, number, arms)
        shares = reading.entries(("trial", number, "shares"))
        numbers = [share for share in shares.values() if isinstance(share, (int, float))]
        if shares and (sorted(shares) != arms or abs(sum(numbers) - 1) > 1e-9):
            reading.fault(
                ("trial", number, "shares"),
                "the shares of a trial are those of its arms and make up the whole",
                got=f"{', '.join(sorted(shares))}, together {sum(numbers):g}",
                allowed=f"{', '.join(arms)}, together 1",
            )
        _bounds(reading, number)


def _arms(reading: Reading, number: int, arms: list[str]) -> None:
    """The arms of a flag are its variants; the router has two versions that answer."""
    flag = reading.text(("trial", number, "flag"))
    for place in range(reading.length(("flag",))):
        if flag and flag == reading.text(("flag", place, "name")):
            variants = sorted(reading.entries(("flag", place, "variants")))
            for arm in arms:
                _one_of(reading, ("trial", number, "arms", arm), variants, what="variant")
    if len(arms) > 2 and "flag" not in reading.entries(("trial", number)):
        reading.fault(
            ("trial", number, "arms"), "only two versions answer at a time", got=shown(arms),
            allowed="two arms, or a flag whose variants are the arms",
        )  # fmt: skip


def _bounds(reading: Reading, number: int) -> None:
    for place in range(reading.length(("trial", number, "outcome"))):
        low, high = (reading.good.get(("trial", number, "outcome", place, name)) for name in ("low", "high"))
        low = 0.0 if low is None else low
        high = 1.0 if high is None else high
        if isinstance(low, (int, float)) and isinstance(high, (int, float)) and not low < high:
            reading.fault(
                ("trial", number, "outcome", place), "an outcome lies between low and high", got=f"{low:g} and {high:g}"
            )


def _one_of(reading: Reading, key: Key, known: list[str], *, what: str) -> None:
    name = reading.text(key)
    if name and name not in known:
        reading.fault(
            key,
            f"there is no such {what}",
            got=shown(name),
            allowed=", ".join(known) or "none",
            next=did_you_mean(name, known, otherwise=""),
        )


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true and false"
    return "numbers" if isinstance(value, (int, float)) else "texts"
