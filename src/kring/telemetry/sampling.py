"""Of which traces anybody is told, by the variables of the environment that OpenTelemetry has for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from kring.errors import UserError

NAMES: Final = ("always_on", "always_off", "traceidratio")
PARENT: Final = "parentbased_"
LOW: Final = (1 << 64) - 1


class Sampling(NamedTuple):
    """A `share` of all traces, chosen by their ids; whoever asks decides for his own, where it is `by_parent`."""

    share: float = 1.0
    by_parent: bool = True

    def tells(self, trace: int, *, parent: bool | None) -> bool:
        """Whether the trace is told; `parent` says whether that of the caller is, if there is one."""
        if parent is not None and self.by_parent:
            return parent
        return (trace & LOW) < round(self.share * (LOW + 1))


def sampling_of(environ: Mapping[str, str]) -> Sampling:
    """OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG; every trace without them. `UserError` for what they can't be."""
    said = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower() or "parentbased_always_on"
    name = said.removeprefix(PARENT)
    if name not in NAMES:
        raise UserError(
            "there is no such way to choose traces",
            got=repr(said)[:80],
            allowed=", ".join([*NAMES, *map(f"{PARENT}{{}}".format, NAMES)]),
            key="OTEL_TRACES_SAMPLER",
        )
    share = {"always_on": 1.0, "always_off": 0.0}.get(name)
    if share is None:
        share = share_of(environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip() or "1")
    return Sampling(share, said.startswith(PARENT))


def share_of(text: str) -> float:
    """A number from 0 to 1."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UserError(
            "this is no share of traces", got=repr(text)[:80], allowed="0 to 1", key="OTEL_TRACES_SAMPLER_ARG"
        )
    return share
