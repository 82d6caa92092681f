"""What `verify`, `verify --quick`, `history` and `status` make of the records."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from db_ops.results import Connected
from tests.conftest import with_user
from tests.support.project import Project, query


@pytest.fixture
def modelled(migrated: Project) -> Project:
    """`migrated` with models of its tables."""
    migrated.models(
        "".join(
            f"class {name.title()}(Base):\n    __tablename__ = '{name}'\n"
            "    id: Mapped[int] = mapped_column(primary_key=True)\n"
            for name in ("one", "two", "three")
        )
    )
    return migrated


def edit(project: Project, change: object) -> None:
    path = project.revision_files[1]
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]


def differences(project: Project) -> list[str]:
    outcome = project.run("verify", "--json")
    result = json.loads(outcome.out)
    assert outcome.code == result["exit_code"]
    of_history = ("edited", "missing", "unknown", "pending")
    return [one["kind"] for one in result["differences"] if one["kind"] in of_history]


SAME = {
    "line endings": lambda text: text.replace(b"\n", b"\r\n"),
    "blank lines": lambda text: text.replace(b"\n", b"\n\n"),
    "comment": lambda text: text + b"\n# nothing\n",
    "docstring": lambda text: text.replace(b"create two", b"Create the second table"),
    "docstring of a function": lambda text: text.replace(
        b"def downgrade():\n", b"def downgrade():\n    '''Go back.'''\n"
    ),
    "quotes": lambda text: text.replace(
        b"'CREATE TABLE two (id integer PRIMARY KEY)'",
        b'"CREATE TABLE two " """(id integer PRIMARY KEY)"""',
    ),
    "parentheses": lambda text: text.replace(b"op.execute(", b"(op).execute(\n        "),
    "annotations": lambda text: text.replace(b"def upgrade():", b"def upgrade() -> None:").replace(
        b"revision = '0002'", b"revision: str = '0002'"
    ),
    "imports": lambda text: text.replace(
        b"import sqlalchemy as sa\nfrom alembic import op",
        b"from __future__ import annotations\nfrom alembic import op\nimport sqlalchemy as sa",
    ),
    "pass": lambda text: text.replace(b"def downgrade():\n", b"def downgrade():\n    pass\n"),
}
OTHER = {
    "statement": lambda text: text.replace(b"id integer", b"id bigint"),
    "parent": lambda text: text.replace(
        b"down_revision = '0001'", b"down_revision = '0001'\ndepends_on = '0001'"
    ),
    "branch": lambda text: text.replace(b"    op.execute(", b"    if True:\n        op.execute("),
    "order": lambda text: text.replace(
        b"def downgrade():\n", b"def downgrade():\n    op.execute('SELECT 1')\n"
    ),
    "number": lambda text: text + b"\nbatch = 10\n",
    "import": lambda text: text.replace(b"import sqlalchemy as sa\n", b"import json\n"),
    "not Python": lambda text: text + b"\n(",
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_a_file_that_does_the_same_counts_as_unchanged(migrated: Project, change: object) -> None:
    before = migrated.revision_files[1].read_bytes()
    edit(migrated, change)
    assert migrated.revision_files[1].read_bytes() != before
    result = json.loads(migrated.run("history", "--json").succeeded().out)
    assert [entry["file"] for entry in result["entries"]] == ["unchanged"] * 3


@pytest.mark.parametrize("change", OTHER.values(), ids=OTHER)
def test_a_file_that_does_something_else_counts_as_edited(
    migrated: Project, change: object
) -> None:
    edit(migrated, change)
    result = json.loads(migrated.run("history", "--json").succeeded().out)
    assert [entry["file"] for entry in result["entries"]] == ["unchanged", "edited", "unchanged"]


def test_verify_names_an_edited_file_and_what_to_do(modelled: Project) -> None:
    edit(modelled, OTHER["statement"])
    outcome = modelled.run("verify")
    assert outcome.code == 3
    assert "alembic/versions/0002.py was edited after it was applied on" in outcome.out
    assert "git restore alembic/versions/0002.py" in outcome.out
    assert differences(modelled) == ["edited"]
    assert "file edited since" in modelled.run("history").out
    modelled.run("history", "--record").succeeded()
    assert differences(modelled) == []


def test_a_reverted_revision_may_be_edited(modelled: Project) -> None:
    modelled.run("downgrade", "-s", "2").succeeded()
    edit(modelled, OTHER["statement"])
    assert differences(modelled) == ["pending", "pending"]
    modelled.run("upgrade").succeeded()
    assert differences(modelled) == []


def test_verify_names_an_applied_revision_without_a_file(modelled: Project) -> None:
    modelled.revision_files[1].unlink()
    path = modelled.revision_files[1]
    path.write_text(path.read_text().replace("'0002'", "'0001'"))
    assert differences(modelled) == ["edited", "missing"]
    outcome = modelled.run("verify")
    assert "revision 0002 has no file any more" in outcome.out
    assert "file missing since" in modelled.run("history").out
    modelled.run("history", "--record").succeeded()
    assert differences(modelled) == []
    assert "0002" not in modelled.run("history").out


def test_a_database_of_a_newer_checkout_has_no_missing_files(migrated: Project) -> None:
    migrated.revision_files[2].unlink()
    migrated.revision_files[1].unlink()
    assert differences(migrated) == []
    entries = json.loads(migrated.run("history", "--json").out)["entries"]
    assert [(entry["id"], entry["file"]) for entry in entries] == [
        ("0003", "missing"),
        ("0002", "missing"),
        ("0001", "unchanged"),
    ]


def test_verify_quick_tells_a_changed_catalog(migrated: Project) -> None:
    migrated.run("verify", "--quick").succeeded()
    migrated.query("CREATE INDEX by_hand ON two ((id + 1))")
    outcome = migrated.run("verify", "--quick")
    assert outcome.code == 3
    assert "catalogs changed since" in outcome.out
    assert outcome.out.rstrip().endswith("verify")
    migrated.query("DROP INDEX by_hand")
    migrated.run("verify", "--quick").succeeded()
    migrated.query("CREATE INDEX by_hand ON two ((id + 1))")
    migrated.run("history", "--record").succeeded()
    migrated.run("verify", "--quick").succeeded()


def test_verify_quick_tells_pending_and_unknown_revisions(migrated: Project) -> None:
    migrated.table("0004", "four")
    outcome = migrated.run("verify", "--quick")
    assert outcome.code == 3
    assert "0004 is not applied" in outcome.out
    for path in migrated.revision_files[2:]:
        path.unlink()
    outcome = migrated.run("verify", "--quick", "--json")
    result = json.loads(outcome.out)
    assert outcome.code == result["exit_code"] == 0
    assert result["unknown"] == result["ahead"] == ["0003"]
    assert result["drift"]["state"] == "equal"


def test_verify_quick_of_a_missing_database_differs(project: Project) -> None:
    project.table("0001", "one")
    outcome = project.run("verify", "--quick")
    assert outcome.code == 3
    assert "does not exist" in outcome.out
    assert outcome.out.rstrip().endswith("init")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DROP SCHEMA db_ops CASCADE", "nothing is recorded"),
        ("DELETE FROM db_ops.history", "nothing is recorded"),
        ("UPDATE db_ops.history SET fingerprint = NULL", "no fingerprint is recorded"),
        ("UPDATE db_ops.history SET fingerprint = '1:9:00'", "recorded by PostgreSQL 9, this is"),
        (
            "UPDATE db_ops.history"
            " SET fingerprint = regexp_replace(fingerprint, '^[^:]*', '0') WHERE id = 3",
            "another version of db_ops",
        ),
        ("DELETE FROM db_ops.history WHERE id = 3", "the last record is of 0002"),
    ],
)
def test_verify_quick_says_that_it_cannot_tell_and_how_it_could(
    migrated: Project, statement: str, said: str
) -> None:
    migrated.query(statement)
    outcome = migrated.run("verify", "--quick")
    assert outcome.code == 3
    assert said in outcome.out
    assert outcome.out.rstrip().endswith("history --record")
    migrated.run("history", "--record").succeeded()
    migrated.run("verify", "--quick").succeeded()


def test_verify_quick_and_history_work_for_a_role_that_may_only_connect(
    migrated: Project, role: str
) -> None:
    migrated.query(f"GRANT SELECT ON alembic_version TO {role}")
    migrated.query(f"ALTER ROLE {role} SET default_transaction_read_only = on")
    admin, migrated.url = migrated.url, with_user(migrated.url, role, "role_secret")
    migrated.run("verify", "--quick").succeeded()
    assert "applied 20" in migrated.run("history").succeeded().out
    assert "drift        none since" in migrated.run("status").succeeded().out
    query(admin, "REVOKE SELECT ON db_ops.history FROM PUBLIC")
    outcome = migrated.run("verify", "--quick").failed(1)
    assert f"GRANT SELECT ON db_ops.history TO {role}" in outcome.hint
    assert "may not read db_ops.history" in migrated.run("history").succeeded().out
    assert "may not read db_ops.history" in migrated.run("status").succeeded().out
    query(admin, f"DROP OWNED BY {role}")


def test_verify_quick_asks_the_server_once_and_writes_nothing(migrated: Project) -> None:
    """The server repeats each statement to the client as a notice."""
    before = migrated.fingerprint(), migrated.query("SELECT xmin::text FROM db_ops.history")
    said: list[list[str]] = []

    def note(event: object) -> None:
        if isinstance(event, Connected):
            said.append(event.cancel.args[0].notices)  # type: ignore[attr-defined]

    plain = migrated.url
    migrated.url += "?options=-c%20log_statement%3Dall%20-c%20client_min_messages%3Dlog"
    migrated.prepare("verify", quick=True, on_event=note)
    migrated.url = plain
    (statements,) = said
    assert len(statements) == 1, statements
    assert before == (
        migrated.fingerprint(),
        migrated.query("SELECT xmin::text FROM db_ops.history"),
    )


def test_history_shows_branches_and_merges(project: Project) -> None:
    project.table("0001", "one")
    project.revision("0002a", down_revision="0001")
    project.revision("0002b", down_revision="0001")
    project.revision("0003", down_revision=("0002a", "0002b"))
    project.run("init").succeeded()
    lines = project.run("history").succeeded().out.splitlines()
    shown = [line for line in lines if line[:1] in "*|" and line[2:3] != " "]
    assert shown == [
        "* 0003  revision 0003  (follows 0002a, 0002b)",
        "| 0002b  revision 0002b  (follows 0001)",
        "| 0002a  revision 0002a",
        "| 0001  create one",
    ]


def test_history_of_a_missing_database_shows_the_revisions(project: Project, door: str) -> None:
    project.table("0001", "one")
    outcome = project.run("history", door=door).succeeded()
    assert "does not exist" in outcome.out
    assert "  0001  create one" in outcome.out


def test_status_names_drift_and_what_to_run(migrated: Project) -> None:
    assert "drift        none since" in migrated.run("status").succeeded().out
    migrated.query("ALTER TABLE two ADD COLUMN by_hand int")
    outcome = migrated.run("status").succeeded()
    assert "drift        changed since" in outcome.out
    assert outcome.out.rstrip().endswith("verify")
    migrated.run("status", "--check").succeeded()


def test_status_shows_age_and_author_of_a_pending_revision(migrated: Project) -> None:
    written = datetime.now() - timedelta(days=3, hours=1)
    path = migrated.table("0004", "four")
    path.write_text(
        path.read_text().replace(
            '"""create four"""', f'"""create four\n\nCreate Date: {written}\n\n"""'
        )
    )
    assert "0004  create four  (3 days old)" in migrated.run("status").succeeded().out
    _git(migrated.root, "init", "-q")
    _git(migrated.root, "add", "alembic")
    _git(migrated.root, "commit", "-q", "-m", "add four")
    outcome = migrated.run("status").succeeded()
    assert "0004  create four  (3 days old, by Ada Lovelace)" in outcome.out
    (pending,) = json.loads(migrated.run("status", "--json").out)["pending"]
    assert pending["author"] == "Ada Lovelace"
    assert pending["created"][:10] == written.isoformat()[:10]


def _git(root: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Ada Lovelace", "-c", "user.email=ada@example.com")
    subprocess.run(
        ["git", *who, *arguments], cwd=root, check=True, env={"PATH": os.environ["PATH"]}
    )
