"""Squash the oldest revisions into one that makes the same."""

from __future__ import annotations

import ast
import importlib.util
import shlex
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from db_ops.errors import SquashRefused, UsageError
from db_ops.frozen_data import replace
from db_ops.generation.data_steps import data_steps
from db_ops.generation.squash import OldRevisions, build_old_revisions, prove_squash
from db_ops.migrations.autogenerate.write_errors import check_template
from db_ops.migrations.autogenerate.write_hooks import configured_hooks, finish_file
from db_ops.migrations.revisions.git_authors import not_committed
from db_ops.migrations.revisions.graph import Graph, Node
from db_ops.migrations.revisions.names import resolve_revision
from db_ops.migrations.revisions.reader import read_graph
from db_ops.migrations.revisions.squashed_file import SquashedFile, scripts_with
from db_ops.results import OnEvent, Revision, Squashed, ignore
from db_ops.settings import Settings
from db_ops.target.target import Target, open_target

_AGAIN = "then run this again"


def squash(
    settings: Settings,
    until: str | None = None,
    *,
    keep_data: bool = False,
    drop_data: bool = False,
    on_event: OnEvent = ignore,
) -> Squashed:
    """Replace the revisions up to *until* by one of the same identifier that makes the same.

    It is written from the catalogs of a scratch database that they have built, and run in another:
    only if the two are equal, and the revisions behind lead on to the same, are the old files
    removed. What they leave in an empty database beside its schema is in the new one with
    *keep_data* and not with *drop_data*; without either, nothing is done where there is any, and
    the exit code is 3. Databases that are past *until* go on as before, those before it are told.
    The target is not touched, and it need not exist; it is asked whether it could go on.

    Raises `SquashRefused`, `UsageError`, `NoSuchRevision`, `NoScratchDatabase`, `RebuildFailed`.
    """
    if keep_data and drop_data:
        problem = "squash: --keep-data and --drop-data contradict each other"
        raise UsageError(problem, "leave one of them out")
    if until is None:
        problem = "squash: no revision is named"
        raise UsageError(problem, "choose the last one that is to be squashed: db-ops history")
    if not settings.is_disposable:
        where = settings.environment_for_people
        raise SquashRefused(
            f"the environment is {where}, and files are rewritten in development",
            "run it in a checkout of your own, with DB_OPS_ENVIRONMENT=development",
        )
    target = open_target(settings, "squash", on_event)
    last = resolve_revision(target.graph, until, "db-ops squash --until")
    nodes, depends = _to_squash(target, last)
    _refuse_on_the_way(target, last, nodes)
    _refuse_uncommitted(target, nodes)
    check_template(target.project)
    old = build_old_revisions(target, last, depends, rows=keep_data)
    root = target.settings.root
    steps = chain.from_iterable(
        data_steps(root / node.revision.path, node.revision.path) for node in nodes
    )
    found = Squashed(
        location=target.location,
        revision=None,
        replaced=tuple(node.revision for node in nodes),
        done=False,
        differences=(),
        data_steps=tuple(steps),
        rows=old.remains.described,
        outside=old.outside,
        kept=keep_data if keep_data or drop_data else None,
        irreversible=None,
        unfinished=None,
        major=old.major,
        before=old.seconds,
        after=0.0,
    )
    if (found.rows or found.outside) and found.kept is None:
        return found
    return _replaced(target, nodes, depends, old, found)


def _to_squash(target: Target, last: str) -> tuple[tuple[Node, ...], tuple[str, ...]]:
    """Return what is squashed, oldest first, and the revisions of other branches it rests on."""
    graph, project = target.graph, target.project
    if project.tables or project.bootstrap:
        reason = (
            f"{project.bootstrap} makes what the revisions rest on"
            if project.bootstrap
            else "env.py puts its models into several schemas, one version table each"
        )
        raise SquashRefused(reason, "write the revision by hand, and record it: alembic stamp")
    names = graph.ancestors(last)
    nodes = tuple(graph.nodes[name] for name in graph.order if name in names)
    if len(nodes) < 2:
        raise SquashRefused(
            f"{last} follows no other revision", "name a later one, see: db-ops history"
        )
    needed = {name for node in nodes for name in node.depends if name not in names}
    for name in graph.order:
        if name in names:
            continue
        for parent in graph.nodes[name].parents:
            if parent in names and parent != last:
                raise _followed(graph, name, parent, last)
    depends = tuple(one for one in graph.order if one in needed)
    return nodes, graph.tips(graph.applied(depends)) if depends else ()


def _followed(graph: Graph, name: str, parent: str, last: str) -> SquashRefused:
    path = graph.nodes[name].revision.path
    verb = "follows" if parent in graph.nodes[name].down else "depends on"
    return SquashRefused(
        f"{path} {verb} {parent}, which would be gone",
        f"squash only up to there: db-ops squash --until {shlex.quote(parent)}; or a revision that"
        f" merges both: alembic merge -m 'merge heads' heads",
    )


def _refuse_on_the_way(target: Target, last: str, nodes: Sequence[Node]) -> None:
    """Refuse where the project's own database could not go on."""
    with target.server.target_if_exists() as connection:
        recorded = target.recorded_on(connection) if connection else ()
    squashed = {node.revision.id for node in nodes} - {last}
    for revision in recorded:
        if revision in squashed:
            raise SquashRefused(
                f"{target.location} is at {revision}, which would be gone",
                f"bring it to the last one first: db-ops upgrade -r {shlex.quote(last)}",
            )


def _refuse_uncommitted(target: Target, nodes: Sequence[Node]) -> None:
    paths = [node.revision.path for node in nodes]
    lost = not_committed(target.project.root, paths)
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        folders = sorted({shlex.quote(str(Path(one).parent)) for one in lost})
        raise SquashRefused(
            f"the last commit does not have {lost[0]}{more} as they are, so they would be lost",
            f"commit them: git add {' '.join(folders)} && git commit -m 'before the squash';"
            f" {_AGAIN}",
        )


def _replaced(
    target: Target,
    nodes: tuple[Node, ...],
    depends: tuple[str, ...],
    old: OldRevisions,
    found: Squashed,
) -> Squashed:
    """Write the new file, prove it, and put it in the place of the old ones."""
    graph, project, last = target.graph, target.project, nodes[-1]
    gone = {node.revision.id for node in nodes}
    others = [node for name, node in graph.nodes.items() if name not in gone]
    scripts = {one.revision: one for one in target.scripts.walk_revisions()}
    root = target.settings.root
    file = SquashedFile(
        revision=old.revision,
        message=f"Squash up to {last.revision.summary or old.revision}",
        replaces=tuple(
            dict.fromkeys(
                name
                for node in nodes
                for name in (*node.replaces, node.revision.id)
                if name != old.revision
            )
        ),
        checksum=target.checksums.of(root / last.revision.path),
        labels=tuple(sorted({label for node in nodes for label in node.labels})),
        depends=depends,
        upgrade=old.upgrade,
        downgrade=old.downgrade,
        notes=[
            f"{len(nodes)} revisions as {len(old.upgrade)} statements, from the catalogs of"
            f" PostgreSQL {old.major}.",
            *(f"{'Kept' if found.kept else 'Left out'}: {one}." for one in found.rows),
        ],
    )
    with tempfile.TemporaryDirectory(prefix="db_ops-") as name:
        folder = Path(name)
        known = [scripts[one] for one in graph.applied(depends)]

        def written(one: SquashedFile) -> tuple[Path, Target]:
            path = one.write(project, folder, known)
            revision = Revision(old.revision, one.message, str(path))
            node = Node(revision, (), depends, one.labels)
            new = Target(project, Graph.of([node, *others], graph.folder), target.server)
            view = scripts_with(project, path, [scripts[one.revision.id] for one in others])
            vars(new)["scripts"] = view
            return path, new

        path, new = written(file)
        proof = prove_squash(new, old, rows=bool(found.kept))
        found = replace(found, differences=proof.differences, after=proof.seconds)
        if proof.differences:
            return found
        if proof.irreversible is not None:
            path.unlink()
            reason = proof.irreversible.replace(f"{folder}/", "")
            found = replace(found, irreversible=reason)
            path, _ = written(replace(file, irreversible=reason))
        place = (root / last.revision.path).parent / path.relative_to(folder)
        unfinished = _put(target, nodes, path, place)
    revision = Revision(old.revision, file.message, project.display(place))
    return replace(
        found,
        revision=revision,
        done=True,
        unfinished=unfinished,
    )


def _put(target: Target, nodes: Sequence[Node], path: Path, place: Path) -> str | None:
    """Put the file at *path* into its *place*, and remove the old ones: both, or neither.

    Return what its hooks did wrong, if anything.
    """
    root, proven = target.settings.root, path.read_bytes()
    before = {one: one.read_bytes() for one in (root / node.revision.path for node in nodes)}
    try:
        for one in before:
            one.unlink()
            # With `sourceless`, what was compiled of it would be a revision.
            with suppress(OSError):
                Path(importlib.util.cache_from_source(str(one))).unlink()
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(proven)
        unfinished = finish_file(place, configured_hooks(target.project))
        if _does(place.read_bytes()) != _does(proven):
            place.write_bytes(proven)
            unfinished = "post_write_hooks change what it does: the file was left without them"
        read_graph(target.project, target.settings.cache_folder)
    except BaseException:
        with suppress(OSError):
            place.unlink()
        for one, content in before.items():
            one.write_bytes(content)
        raise
    return unfinished


def _does(source: bytes) -> list[str]:
    """Return what a file says but for imports and texts, which formatting may change."""
    left_out = (ast.Import, ast.ImportFrom, ast.Expr)
    return [ast.dump(one) for one in ast.parse(source).body if not isinstance(one, left_out)]
