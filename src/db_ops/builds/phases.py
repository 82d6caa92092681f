"""What is told of the revisions that run in scratch databases, where nobody's database changes."""

from __future__ import annotations

from db_ops.results import Event, OnEvent, PhaseStarted, RevisionFinished, RevisionStarted

MIGRATIONS = "building the schema of the migrations"


def revisions_as_phase(on_event: OnEvent, phase: str = MIGRATIONS) -> OnEvent:
    """Return what tells *on_event* of the *phase* that revisions are, instead of each of them."""

    def told(event: Event) -> None:
        if isinstance(event, RevisionStarted):
            # A single one is tried, by a phase of its own.
            if event.total > 1:
                on_event(PhaseStarted(phase, event.position, event.total))
        elif not isinstance(event, RevisionFinished):
            on_event(event)

    return told
