"""What a pending revision does to the tables that are there, and the form that is safe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from db_ops.results import Effect, MeasuredStatement, Planned, UnsafePattern
from tests.conftest import drop, with_database
from tests.support.project import Project, make_project

TABLES = """
    CREATE DOMAIN positive AS integer;
    CREATE TABLE parent (id integer PRIMARY KEY, name text);
    CREATE TABLE child (
        id integer PRIMARY KEY, parent_id integer, amount integer, note varchar(20), size positive,
        code integer NOT NULL
    );
    CREATE INDEX ix_child_note ON child (note);
    CREATE UNIQUE INDEX ix_child_code ON child (code);
    CREATE TABLE log (at date, line text) PARTITION BY RANGE (at);
    CREATE TABLE log_old PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
    CREATE TABLE log_new (at date NOT NULL, line text);
    CREATE MATERIALIZED VIEW totals AS SELECT parent_id, sum(amount) FROM child GROUP BY parent_id;
    CREATE UNIQUE INDEX ON totals (parent_id);
"""
ALONE = "with op.get_context().autocommit_block():\n    "


def sql(*statements: str) -> str:
    return "\n".join(f"op.execute({statement!r})" for statement in statements)


def alone(*statements: str) -> str:
    return ALONE + sql(*statements).replace("\n", "\n    ")


class Case(NamedTuple):
    """An unsafe revision, the pattern that must be found, what it is about, and a safe revision."""

    pattern: str
    on: str
    unsafe: str
    safe: str


CASES = [
    Case(
        "index-build",
        "child",
        "op.create_index('ix', 'child', ['amount'])",
        ALONE + "op.create_index('ix', 'child', ['amount'], postgresql_concurrently=True)",
    ),
    Case(
        "drop-index",
        "child",
        "op.drop_index('ix_child_note', 'child')",
        ALONE + "op.drop_index('ix_child_note', 'child', postgresql_concurrently=True)",
    ),
    Case(
        "reindex",
        "child",
        sql("REINDEX INDEX ix_child_note"),
        alone("REINDEX INDEX CONCURRENTLY ix_child_note"),
    ),
    Case(
        "unique-constraint",
        "child",
        "op.create_unique_constraint('uq', 'child', ['amount'])",
        alone("CREATE UNIQUE INDEX CONCURRENTLY uq ON child (amount)")
        + "\n"
        + sql("ALTER TABLE child ADD CONSTRAINT uq UNIQUE USING INDEX uq"),
    ),
    Case(
        "exclusion-constraint",
        "child",
        sql("ALTER TABLE child ADD CONSTRAINT x EXCLUDE USING btree (amount WITH =)"),
        sql("CREATE TABLE fresh (a integer, EXCLUDE USING btree (a WITH =))"),
    ),
    Case(
        "check-constraint",
        "child",
        "op.create_check_constraint('ck', 'child', 'amount > 0')",
        sql("ALTER TABLE child ADD CONSTRAINT ck CHECK (amount > 0) NOT VALID")
        + "\n"
        + alone("ALTER TABLE child VALIDATE CONSTRAINT ck"),
    ),
    Case(
        "foreign-key",
        "child",
        "op.create_foreign_key('fk', 'child', 'parent', ['parent_id'], ['id'])",
        "op.create_foreign_key('fk', 'child', 'parent', ['parent_id'], ['id'],"
        " postgresql_not_valid=True)\n" + alone("ALTER TABLE child VALIDATE CONSTRAINT fk"),
    ),
    Case(
        "set-not-null",
        "child.amount",
        "op.alter_column('child', 'amount', nullable=False)",
        sql("ALTER TABLE child ADD CONSTRAINT ck CHECK (amount IS NOT NULL) NOT VALID")
        + "\n"
        + alone("ALTER TABLE child VALIDATE CONSTRAINT ck")
        + "\n"
        + sql(
            "ALTER TABLE child ALTER amount SET NOT NULL", "ALTER TABLE child DROP CONSTRAINT ck"
        ),
    ),
    Case(
        "not-null-without-value",
        "child.state",
        "op.add_column('child', sa.Column('state', sa.Integer(), nullable=False))",
        "op.add_column('child', sa.Column('state', sa.Integer(), nullable=False,"
        " server_default='0'))",
    ),
    Case(
        "not-null-without-value",
        "child.state",
        sql("ALTER TABLE child ADD state text", "ALTER TABLE child ALTER state SET NOT NULL"),
        sql("ALTER TABLE child ADD state text", "ALTER TABLE child ALTER state SET DEFAULT ''"),
    ),
    Case(
        "type-change",
        "child.amount",
        "op.alter_column('child', 'amount', type_=sa.BigInteger())",
        "op.alter_column('child', 'note', type_=sa.Text())",
    ),
    Case(
        "volatile-default",
        "child.token",
        sql("ALTER TABLE child ADD token uuid DEFAULT gen_random_uuid()"),
        sql(
            "ALTER TABLE child ADD token uuid",
            "ALTER TABLE child ALTER token SET DEFAULT gen_random_uuid()",
        ),
    ),
    Case("rewrite", "child", alone("VACUUM FULL child"), alone("VACUUM child")),
    Case("rewrite", "child", sql("ALTER TABLE child SET UNLOGGED"), sql("ANALYZE child")),
    Case(
        "refresh",
        "totals",
        sql("REFRESH MATERIALIZED VIEW totals"),
        sql("REFRESH MATERIALIZED VIEW CONCURRENTLY totals"),
    ),
    Case(
        "unbatched-change",
        "child",
        sql("UPDATE child SET amount = 0"),
        sql("UPDATE child SET amount = 0 WHERE id BETWEEN 1 AND 1000"),
    ),
    Case(
        "unbatched-change",
        "child",
        sql("DELETE FROM child WHERE amount IS NULL"),
        sql("DELETE FROM child WHERE code = 5"),
    ),
    Case(
        "long-transaction",
        "parent",
        sql("ALTER TABLE parent ADD size integer", "SELECT count(*) FROM child"),
        sql("SELECT count(*) FROM child", "ALTER TABLE parent ADD size integer"),
    ),
    Case(
        "long-transaction",
        "child",
        sql(
            "ALTER TABLE child ADD CONSTRAINT ck CHECK (amount > 0) NOT VALID",
            "ALTER TABLE child VALIDATE CONSTRAINT ck",
        ),
        sql("ALTER TABLE child ADD CONSTRAINT ck CHECK (amount > 0) NOT VALID"),
    ),
    Case(
        "scan-under-lock",
        "child",
        sql("ALTER DOMAIN positive ADD CONSTRAINT ck CHECK (VALUE > 0)"),
        sql("ALTER DOMAIN positive ADD CONSTRAINT ck CHECK (VALUE > 0) NOT VALID"),
    ),
    Case(
        "attach-partition",
        "log_new",
        sql(
            "ALTER TABLE log ATTACH PARTITION log_new FOR VALUES FROM ('2021-01-01') TO"
            " ('2022-01-01')"
        ),
        sql(
            "ALTER TABLE log_new ADD CONSTRAINT b CHECK (at >= '2021-01-01' AND at < '2022-01-01')"
            " NOT VALID"
        )
        + "\n"
        + alone("ALTER TABLE log_new VALIDATE CONSTRAINT b")
        + "\n"
        + sql(
            "ALTER TABLE log ATTACH PARTITION log_new FOR VALUES FROM ('2021-01-01') TO"
            " ('2022-01-01')"
        ),
    ),
    Case(
        "detach-partition",
        "log_old",
        sql("ALTER TABLE log DETACH PARTITION log_old"),
        alone("ALTER TABLE log DETACH PARTITION log_old CONCURRENTLY"),
    ),
    Case("drop-table", "child", "op.drop_table('child')", sql("SELECT 1")),
    Case("truncate", "child", sql("TRUNCATE child"), sql("SELECT 1")),
    Case(
        "drop-column",
        "child.note",
        "op.drop_column('child', 'note')",
        sql("ALTER TABLE child ALTER note DROP NOT NULL"),
    ),
    Case(
        "rename-column",
        "child.note",
        "op.alter_column('child', 'note', new_column_name='remark')",
        "op.add_column('child', sa.Column('remark', sa.Text()))",
    ),
    Case(
        "rename-table",
        "child",
        "op.rename_table('child', 'kid')",
        sql("CREATE VIEW kid AS SELECT * FROM child"),
    ),
]
CASES = [
    case._replace(unsafe="op.execute('DROP MATERIALIZED VIEW totals')\n" + case.unsafe)
    if case.on in ("child.amount", "child")
    and case.pattern in ("type-change", "drop-table", "rename-table")
    else case
    for case in CASES
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Project]:
    """A project at its only applied revision, whose target no test changes."""
    root = tmp_path_factory.mktemp("measured")
    name = f"t_measured_{root.name}_{id(root):x}"
    project = make_project(root / "project", with_database(server_url, name))
    project.revision("0001", f"op.execute({TABLES!r})")
    project.prepare("init")
    yield project
    drop(server_url, name)


@pytest.fixture
def pending(service: Project) -> Iterator[Path]:
    """The path of a second revision of that project, gone again after the test."""
    path = service.revision("0002")
    yield path
    path.unlink()
    service.last_revision = "0001"


def plan(project: Project, upgrade: str) -> Planned:
    project.last_revision = "0001"
    project.revision("0002", upgrade)
    planned = project.prepare("plan_upgrade")
    assert isinstance(planned, Planned)
    return planned


def statements(project: Project, upgrade: str) -> tuple[MeasuredStatement, ...]:
    return plan(project, upgrade).revisions[0].statements


def found(project: Project, upgrade: str) -> list[UnsafePattern]:
    return [pattern for one in statements(project, upgrade) for pattern in one.unsafe]


def effects(project: Project, upgrade: str) -> list[Effect]:
    return [effect for one in statements(project, upgrade) for effect in one.effects]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.pattern} {case.on}")
def test_an_unsafe_statement_is_named_and_its_safe_form_is_not(
    service: Project, pending: Path, case: Case
) -> None:
    unsafe = found(service, case.unsafe)
    named = [one for one in unsafe if one.name == case.pattern]
    assert [one.on for one in named] == [case.on], unsafe
    assert named[0].what
    assert named[0].instead
    assert found(service, case.safe) == []


def test_the_safe_form_of_an_index_waits_for_others_and_locks_no_writer_out(
    service: Project, pending: Path
) -> None:
    safe = ALONE + "op.create_index('ix', 'child', ['amount'], postgresql_concurrently=True)"
    (index,) = statements(service, safe)
    assert index.transaction is None
    assert index.waits
    assert index.effects == (
        Effect("child", "SHARE UPDATE EXCLUSIVE", scanned=True, indexes=("ix",)),
    )


def test_a_lock_taken_by_an_earlier_statement_is_held_not_taken_again(
    service: Project, pending: Path
) -> None:
    add = sql("ALTER TABLE child ADD a integer", "ALTER TABLE child ADD b integer")
    first, second, *_ = statements(service, add)
    assert first.effects == (Effect("child", "ACCESS EXCLUSIVE"),)
    assert second.effects == ()


def test_a_foreign_key_locks_both_of_its_tables(service: Project, pending: Path) -> None:
    key = "op.create_foreign_key('fk', 'child', 'parent', ['parent_id'], ['id'])"
    assert {one.table: (one.lock, one.scanned) for one in effects(service, key)} == {
        "child": ("SHARE ROW EXCLUSIVE", True),
        "parent": ("SHARE ROW EXCLUSIVE", False),
    }


def test_what_happens_to_tables_of_the_same_revisions_is_no_effect(
    service: Project, pending: Path
) -> None:
    new = sql(
        "CREATE TABLE fresh (a integer)", "CREATE INDEX ON fresh (a)", "UPDATE fresh SET a = 1"
    )
    assert effects(service, new) == []
    assert found(service, new) == []


def test_a_statement_of_the_driver_itself_is_measured_too(service: Project, pending: Path) -> None:
    code = "op.get_bind().connection.cursor().execute('LOCK TABLE child IN SHARE MODE')"
    assert effects(service, code) == [Effect("child", "SHARE")]


def test_what_a_revision_rolls_back_to_a_savepoint_has_no_effect(
    service: Project, pending: Path
) -> None:
    code = """
    try:
        with op.get_bind().begin_nested():
            op.execute("ALTER TABLE child ADD a integer NOT NULL")
            op.execute("SELECT 1/0")
    except sa.exc.DBAPIError:
        pass
    op.execute("ALTER TABLE child ADD a integer")
    """
    lists = [one.unsafe for one in statements(service, code) if "1/0" not in one.sql]
    assert [len(one) for one in lists] == [0, 1, 0, 0]


def test_a_revision_may_choose_how_its_transaction_runs(service: Project, pending: Path) -> None:
    code = sql("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "ALTER TABLE child ADD a integer")
    assert effects(service, code) == [Effect("child", "ACCESS EXCLUSIVE")]


def test_a_statement_outside_of_a_transaction_is_measured_like_any_other(
    service: Project, pending: Path
) -> None:
    (index,) = statements(service, alone("CREATE INDEX ix ON child (amount)"))
    assert (index.transaction, index.waits) == (None, False)
    assert index.effects == (Effect("child", "SHARE", scanned=True, indexes=("ix",)),)
    assert [one.name for one in index.unsafe] == ["index-build"]


def test_a_search_path_of_the_revision_s_own_renames_no_table(
    service: Project, pending: Path
) -> None:
    code = sql("SET search_path = pg_catalog", "ALTER TABLE public.child ADD a integer")
    code += "\n" + sql("SET search_path = public")
    assert effects(service, code) == [Effect("child", "ACCESS EXCLUSIVE")]
    assert found(service, code) == []


def test_a_revision_sees_of_its_statements_what_it_would_see_elsewhere(
    service: Project, pending: Path
) -> None:
    code = """
    cursor = op.get_bind().connection.cursor()
    cursor.execute("CREATE TABLE fresh (a integer)")
    cursor.executemany("INSERT INTO fresh VALUES (%s)", [(1,), (2,)])
    assert cursor.rowcount == 2
    cursor.execute("SELECT a FROM fresh ORDER BY a DESC")
    assert (cursor.rowcount, cursor.fetchall()) == (2, [(2,), (1,)])
    with op.get_context().autocommit_block():
        statement = sa.text("DELETE FROM fresh WHERE a > :a RETURNING a")
        rows = op.get_bind().execute(statement, {"a": 0})
        assert sorted(rows.scalars()) == [1, 2]
    """
    assert len(statements(service, code)) == 5
