"""When somebody was last answered, by the ends of the decision log."""

from __future__ import annotations

from contextlib import suppress

from kring.errors import KringError
from kring.flow import adapters
from kring.flow.project import Project
from kring.record.decision import WAITED_FOR


def last_asked(project: Project) -> int:
    """The moment of the newest decision that somebody waited for (microseconds UTC), batches and shadows aside; 0 when
    the ends of the log hold none, or can't be read. In bounded time, however long the log is."""
    latest = 0
    if not project.home.log.is_dir():
        return latest
    for decisions in adapters.newest_decisions(project.home.log):
        with suppress(OSError, KringError):  # a segment may be dropped or damaged: who verifies is told
            for record in decisions:
                if record.at <= latest:
                    break
                if record.kind in WAITED_FOR:
                    latest = record.at
                    break
    return latest
