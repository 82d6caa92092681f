"""Check the revisions of a database against those of the checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db_ops.errors import DatabaseAhead, RevisionSquashed, UnknownRevisions

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from db_ops.migrations.revisions.git_authors import Checkout
    from db_ops.target.position import Position
    from db_ops.target.target import Target


def next_command(
    target: Target, position: Position, *, exists: bool, untracked: bool
) -> str | None:
    """Return the command that brings the database to the head, None if it is there or ahead.

    *untracked* tables of the service, of which no revision tells, have to be adopted first.
    """
    if not target.graph.heads_are_meant():
        return "alembic merge -m 'merge heads' heads"
    if not exists:
        return "db-ops init"
    if untracked:
        return "db-ops stamp --find"
    if position.ahead:
        return None
    if position.unknown:
        return checkout_of(target, position.unknown).command
    if not target.graph.heads:
        return "db-ops create-migration -m MESSAGE"
    return "db-ops upgrade" if position.pending else None


def checkout_of(target: Target, revisions: tuple[str, ...]) -> Checkout:
    """Return how to check out the files of *revisions*, which this checkout lacks."""
    from db_ops.migrations.revisions import git_authors

    project = target.project
    folders = [project.display(folder) for folder in project.version_locations]
    squashed = target.graph.squashed
    for revision in revisions:
        if revision in squashed:
            return git_authors.before_squash(project.root, folders, revision, squashed[revision])
    return git_authors.checkout_of(project.root, folders, revisions)


def check_known(
    target: Target, recorded: tuple[str, ...], connection: Connection, reason: str | None = None
) -> Position:
    """Refuse a database whose history is not this checkout's, unless it is only ahead.

    One that is ahead is refused for a *reason*, if there is one. Raises `UnknownRevisions`,
    `DatabaseAhead`.
    """
    position = target.position(recorded, connection)
    if not position.unknown or (position.ahead and reason is None):
        return position
    remedy = checkout_of(target, position.ahead or position.unknown).hint
    again = "; or start over: db-ops recreate" if target.settings.is_disposable else ""
    for revision, into in position.squashed.items():
        raise RevisionSquashed(target.location, revision, into, remedy + again)
    if position.ahead:
        raise DatabaseAhead(target.location, position.ahead, reason or "", remedy)
    if not position.known:
        table = target.project.version_table
        remedy += f"; if another service keeps {table} there, name another database, or a table of"
        remedy += " this one's own: version_table = NAME in alembic.ini"
    pending = tuple(revision.id for revision in position.pending)
    raise UnknownRevisions(target.location, position.unknown, pending, remedy + again)
