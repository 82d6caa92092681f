"""What goes wrong while a revision file is written is told as what it is; a good file is kept."""

from __future__ import annotations

import pytest

from tests.support.project import Project

FAILED = 1
DIFFERENT = 3
MODEL = """
    class Book(Base):
        __tablename__ = "book"
        id: Mapped[int] = mapped_column(primary_key=True)
"""


def configure(project: Project, lines: str) -> None:
    """Put *lines* into the section of Alembic, and hooks into theirs."""
    ini = project.root / "alembic.ini"
    given = [line.partition(" = ")[0] for line in lines.splitlines()]
    kept = [line for line in ini.read_text().splitlines() if line.split(" ")[0] not in given]
    start = kept.index("[alembic]") + 1
    ini.write_text("\n".join([*kept[:start], *lines.splitlines(), *kept[start:], ""]))


FAULTS = [
    ("timezone = Nowhere/At_All\n", "alembic.ini: ", "timezone: Can't locate timezone"),
    ("file_template = %%(nothing)s\n", "alembic.ini: ", "file_template: KeyError: 'nothing'"),
    ("file_template = %%(rev)d\n", "alembic.ini: ", "file_template: TypeError: %d format"),
]


def test_a_fault_in_the_configuration_of_revision_files_is_named(project: Project) -> None:
    project.models(MODEL)
    ini = (project.root / "alembic.ini").read_text()
    for lines, path, said in FAULTS:
        (project.root / "alembic.ini").write_text(ini)
        configure(project, lines)
        outcome = project.run("create-migration", "-m", "books").failed(FAILED)
        assert outcome.error.startswith(f"{path}no revision was written: ")
        assert said in outcome.error
        assert "import" not in outcome.error
        assert project.revision_files == []


def test_a_fault_in_the_template_is_named(project: Project) -> None:
    project.models(f'{MODEL}        state = mapped_column(sa.Enum("new", name="state"))\n')
    template = project.root / "alembic" / "script.py.mako"
    good = template.read_text()
    for text, place, said in (
        (None, "alembic/script.py.mako: ", "there is no such file"),
        (f"{good}\n${{nothing.at_all}}\n", "alembic/script.py.mako: ", "Undefined"),
        ("first\n% if x:\n", "alembic/script.py.mako:", "Unterminated"),
        (
            good.replace("${upgrades", "${'pass'"),
            "alembic/script.py.mako: ",
            "it has no ${upgrades}",
        ),
        (good.replace("${imports}", ""), "alembic/script.py.mako: ", "it has no ${imports}"),
    ):
        if text is None:
            template.unlink()
        else:
            template.write_text(text)
        outcome = project.run("create-migration", "-m", "books").failed(FAILED)
        assert outcome.error.startswith(place), outcome.err
        assert "no revision was written: " in outcome.error
        assert said in outcome.error, outcome.err
        assert project.revision_files == []
    template.write_text(f"import no_such_module\n{good}")
    outcome = project.run("create-migration", "-m", "books").failed(FAILED)
    assert "removed, because the generated migration does not import" in outcome.error
    assert "No module named 'no_such_module'" in outcome.error
    assert project.revision_files == []


def test_a_folder_of_revisions_that_takes_no_file_is_named(project: Project) -> None:
    project.models(MODEL)
    versions = project.root / "alembic" / "versions"
    # What root is kept from as well.
    configure(project, "file_template = folder/%%(rev)s\nrecursive_version_locations = true\n")
    (versions / "folder").write_text("")
    outcome = project.run("create-migration", "-m", "books").failed(FAILED)
    assert "no revision was written: " in outcome.error
    assert outcome.error.startswith("alembic/versions/folder")
    assert project.revision_files == []


HOOKS = [
    (
        "hooks = tidy\ntidy.type = exec\ntidy.executable = /nowhere/tidy\n",
        "tidy is not installed here",
    ),
    ("hooks = tidy\n", "Key 'tidy.type'"),
    (
        "hooks = tidy\ntidy.type = exec\ntidy.executable = sh\n"
        "tidy.options = -c 'echo \"def broken(:\" > REVISION_SCRIPT_FILENAME'\n",
        "what they left is no Python",
    ),
]


@pytest.mark.parametrize(("hooks", "said"), HOOKS)
def test_a_post_write_hook_that_fails_leaves_a_good_file(
    project: Project, hooks: str, said: str
) -> None:
    project.models(MODEL)
    ini = project.root / "alembic.ini"
    ini.write_text(f"{ini.read_text()}\n[post_write_hooks]\n{hooks}")
    outcome = project.run("create-migration", "-m", "books")
    assert outcome.code == DIFFERENT, outcome.err
    assert "not proven: post_write_hooks: " in outcome.out
    assert said in outcome.out
    assert "import" not in outcome.err
    assert "op.create_table(" in project.newest_file.read_text()
    project.run("init").succeeded()
    assert "book" in project.tables
