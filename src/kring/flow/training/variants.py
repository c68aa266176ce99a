"""Smaller variants: made after the candidates they come from, seen beside them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kring.flow.training.build import MODEL_FILE, Built, Session
from kring.record.system import Candidate, System
from kring.record.variant import Variant


def in_order(system: System, wanted: Sequence[Candidate]) -> list[Candidate]:
    """`wanted`, the baseline first, each variant after the candidate it comes from, which is added if it is not
    among them. A variant sees the columns of that candidate."""
    named = {candidate.name: candidate for candidate in system.candidates}
    ordered: dict[str, Candidate] = {}
    for candidate in wanted:
        if candidate.of:
            base = named[candidate.of]
            ordered.setdefault(base.name, base)
            ordered[candidate.name] = msgspec.structs.replace(candidate, columns=base.columns)
        else:
            ordered.setdefault(candidate.name, candidate)
    return sorted(ordered.values(), key=lambda candidate: not candidate.baseline)


def beside(session: Session, candidate: Candidate, built: Built) -> Variant | None:
    """How far a variant's answers lie from those of the candidate it comes from; None for other candidates."""
    if not candidate.of:
        return None
    run, base = session.done[candidate.of]
    distance, differs = session.project.task.apart(base.outputs, built.outputs, session.material.policy)
    return Variant(
        of=candidate.of,
        run=run,
        precision=candidate.precision,
        rows=len(distance),
        largest=float(distance.max(initial=0.0)),
        decisions=int(differs.sum()),
        bytes_before=len(base.files[MODEL_FILE]),
        bytes=len(built.files[MODEL_FILE]),
    )
