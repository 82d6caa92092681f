"""Our reading of revision files equals Alembic's, on the service and on random graphs."""

from __future__ import annotations

import tempfile
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from hypothesis import given, settings
from hypothesis import strategies as st

from db_ops.migrations.project import Project, read_project
from db_ops.migrations.revisions.graph import Graph
from db_ops.migrations.revisions.reader import read_graph
from tests.support.project import REPOSITORY

History = list[tuple[list[int], list[int], bool, int, int]]
View = tuple[set[str], dict[str, tuple[set[str], set[str], str]]]
HEAD = '"""Revision {number}."""\n\nfrom alembic import op\n\n'
STYLES = (
    "revision = {revision!r}\ndown_revision = {down!r}\n"
    "branch_labels = {labels!r}\ndepends_on = {depends!r}\n",
    "revision: str = {revision!r}\ndown_revision: object = {down!r}\n"
    "depends_on: object = {depends!r}\nbranch_labels: object = {labels!r}\n",
    "depends_on = (\n    {depends!r}\n)\nbranch_labels = {labels!r}  # a comment\n"
    "down_revision = {down!r}; revision = {revision!r}\n",
    "branch_labels = {labels!r}\nrevision = str({revision!r})\ndepends_on = {depends!r}\n"
    "down_revision = {down!r}\n",
)
TAIL = (
    "\n\ndef upgrade():\n    text = '''\nthe revision of this text\n'''\n"
    "\n\ndef downgrade():\n    pass\n"
)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw revisions: parents and dependencies among the earlier ones, label, style, location."""
    history = []
    for number in range(draw(st.integers(1, 12))):
        earlier = st.sampled_from(range(number)) if number else st.nothing()
        some = st.lists(earlier, max_size=min(number, 3), unique=True)
        down = draw(some)
        depends = [one for one in draw(some) if one not in down]
        label, style, place = draw(st.booleans()), draw(st.integers(0, 3)), draw(st.integers(0, 1))
        history.append((down, depends, label, style, place))
    return history


def write(root: Path, history: History) -> Project:
    for folder in ("one", "two"):
        (root / "alembic" / folder).mkdir(parents=True)
    (root / "alembic" / "env.py").touch()
    (root / "alembic.ini").write_text(
        "[alembic]\nscript_location = %(here)s/alembic\npath_separator = space\n"
        "version_locations = %(here)s/alembic/one %(here)s/alembic/two\n"
    )
    for number, (down, depends, label, style, place) in enumerate(history):
        named = tuple(f"r{parent}" for parent in down)
        needed = tuple(f"r{parent}" for parent in depends)
        source = STYLES[style].format(
            revision=f"r{number}",
            down=named[0] if len(named) == 1 else named or None,
            depends=list(needed) or None,
            labels=f"label{number}" if label else None,
        )
        path = root / "alembic" / ("one", "two")[place] / f"{number:02}_x.py"
        path.write_text(HEAD.format(number=number) + source + TAIL)
    return read_project(root / "alembic.ini")


def as_alembic_sees(project: Project) -> View:
    scripts = ScriptDirectory.from_config(Config(str(project.alembic_ini)))
    return set(scripts.get_heads()), {
        script.revision: (
            set(script._versioned_down_revisions),
            set(script._resolved_dependencies),
            script.doc,
        )
        for script in scripts.walk_revisions()
    }


def as_we_see(graph: Graph) -> View:
    return set(graph.heads), {
        name: (set(node.down), set(node.depends), node.revision.summary)
        for name, node in graph.nodes.items()
    }


@settings(max_examples=60, deadline=None, derandomize=True)
@given(histories())
def test_a_random_graph_is_read_as_alembic_reads_it(
    history: History,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        project = write(Path(name), history)
        graph = read_graph(project, Path(name) / "cache")
        assert as_we_see(graph) == as_alembic_sees(project)
        again = read_graph(project, Path(name) / "cache")
        assert as_we_see(again) == as_we_see(graph)


def test_the_service_is_read_as_alembic_reads_it() -> None:
    project = read_project(REPOSITORY / "alembic.ini")
    assert as_we_see(read_graph(project)) == as_alembic_sees(project)
