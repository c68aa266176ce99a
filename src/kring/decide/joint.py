"""Repairs that read several columns of a row: what stands in the wrong column, what other columns decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from kring.metrics.near import masked, slips
from kring.record.recipe import Dependency, Repair, Split

Mend = Callable[[str], str | None]
Row = dict[str, str | None]


class Joint:
    """The repairs of several columns among `repairs` whose columns are all among `columns`.

    `mends` are the repairs of single columns: what is moved into a column goes through them too. Over `unknown`, a
    value that became known stays; over `any`, a column that decides is never itself decided over `any`: so the
    rounds of `mend` end.
    """

    def __init__(self, repairs: Sequence[Repair], *, columns: Sequence[str], mends: Mapping[str, Mend]) -> None:
        names = frozenset(columns)
        self._mends = mends
        self._splits = [one for one in repairs if isinstance(one, Split) and {one.column, one.into} <= names]
        self._depends = [
            one for one in repairs if isinstance(one, Dependency) and one.column in names and names & one.by.keys()
        ]
        self.repairs: list[Split | Dependency] = [*self._splits, *self._depends]
        self._known = {
            one.column: frozenset(one.known).union(*(table.values() for table in one.by.values()))
            for one in self._depends
        }
        self.reads = tuple(
            dict.fromkeys(
                name
                for one in self.repairs
                for name in (one.column, *([one.into] if isinstance(one, Split) else one.by))
                if name in names
            )
        )

    def mend(self, row: Row, *, changed: Callable[[str], None] = lambda _: None) -> Row:
        """The row when nothing more is to be changed; `changed` hears the id of each repair that did something."""
        for _ in range(2 * len(self.repairs) + 2):
            if not (self._split(row, changed) | self._depend(row, changed)):
                break
        return row

    def _split(self, row: Row, changed: Callable[[str], None]) -> bool:
        done = False
        for repair in self._splits:
            value = row[repair.column]
            if value is None or row[repair.into] is not None:
                continue
            head, _, tail = value.rpartition(" ")
            head = head.rstrip(" ,;")
            if head and tail in repair.tails:
                row[repair.column] = self._cell(repair.column, head)
                row[repair.into] = self._cell(repair.into, tail)
                changed(repair.id)
                done = True
        return done

    def _depend(self, row: Row, changed: Callable[[str], None]) -> bool:
        done = False
        for repair in self._depends:
            value = row[repair.column]
            right = self._decided(repair, value, row)
            if right is not None and right != value:
                row[repair.column] = right
                changed(repair.id)
                done = True
        return done

    def _decided(self, repair: Dependency, value: str | None, row: Row) -> str | None:
        """What the other columns say that the value should be; None to leave it as it is."""
        if value is None and not repair.fill:
            return None
        if repair.over == "unknown" and value in self._known[repair.column]:
            return None
        votes = (table.get(row.get(name) or "") for name, table in repair.by.items())
        allowed = [vote for vote in votes if vote is not None and self._allowed(repair, value, vote)]
        return self._cell(repair.column, Counter(allowed).most_common(1)[0][0]) if allowed else None

    def _allowed(self, repair: Dependency, value: str | None, vote: str) -> bool:
        if value is None or repair.over == "any":
            return True
        return masked(value, vote, signs=repair.signs) if repair.signs else slips(value, vote) > 0

    def _cell(self, column: str, text: str) -> str | None:
        mend = self._mends.get(column)
        return mend(text) if mend else text
