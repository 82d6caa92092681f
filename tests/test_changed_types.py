"""Types of columns change on tables with rows: no value is cut, and nothing else is lost."""

from __future__ import annotations

from decimal import Decimal

from db_ops.results import MigrationCreated
from tests.support.project import Project, query

AGENT = """
from sqlalchemy.dialects import postgresql


class Agent(Base):
    __tablename__ = "agents"
    id: Mapped[int] = mapped_column(primary_key=True)
"""


def with_columns(project: Project, columns: dict[str, str], rest: str = "") -> None:
    lines = (f"    {name} = mapped_column({kind})\n" for name, kind in columns.items())
    project.models(AGENT + "".join(lines) + rest)


def begin(project: Project, sql: str = "", rows: str = "") -> None:
    """Apply a revision of the models, one with *sql*, and insert *rows*."""
    result = project.prepare("create_migration", "begin")
    assert isinstance(result, MigrationCreated)
    assert result.revision is not None
    project.last_revision = result.revision.id
    if sql:
        project.revision("sql", f"op.execute({sql!r})")
    project.prepare("init")
    if rows:
        project.query(rows)


def changed(project: Project) -> str:
    """Write the revision, which must be complete and proven; return what was printed."""
    return project.run("create-migration", "-m", "change", "-v").succeeded().out


# Columns by name: type before and after, a value that is kept, and one that is not.
CUT = {
    "title": ("sa.Text", "sa.String(5)", "'short'", "'too long'"),
    "code": ("sa.Text", "postgresql.CHAR(3)", "'abc'", "'abcd'"),
    "rate": ("sa.Numeric(10, 4)", "sa.Numeric(10, 2)", "1.5", "1.2345"),
    "free": ("sa.Numeric", "sa.Integer", "7", "7.5"),
    "ratio": ("sa.Double", "sa.Integer", "7", "7.5"),
    "at": ("sa.DateTime", "sa.Date", "'2024-01-01'", "'2024-01-01 10:00'"),
    "until": (
        "sa.DateTime",
        "postgresql.TIMESTAMP(precision=0)",
        "'2024-01-01 10:00:01'",
        "'2024-01-01 10:00:00.5'",
    ),
    "lasts": (
        "sa.Interval",
        "postgresql.INTERVAL(precision=0)",
        "'1 hour'",
        "'0.25 seconds'",
    ),
    "number": ("sa.BigInteger", "sa.SmallInteger", "-32768", "40000"),
    "priced": ("sa.Text", "sa.Numeric(10, 2)", "'1.50'", "'1.239'"),
    "day": ("sa.Text", "sa.Date", "'2024-01-01'", "'2024-01-01 10:00'"),
    "flag": ("sa.Integer", "sa.Boolean", "1", "5"),
    "net": ("postgresql.INET", "postgresql.CIDR", "'10.0.0.0/8'", "'10.0.0.1/8'"),
    "prices": (
        "postgresql.ARRAY(sa.Numeric(10, 4))",
        "postgresql.ARRAY(sa.Numeric(10, 2))",
        "'{1.5,2}'",
        "'{1.5,1.2345}'",
    ),
    "letter": ("sa.Text", "postgresql.ARRAY(sa.Text)", "'{a,b}'", "'a'"),
}


def test_a_value_that_a_new_type_would_cut_or_round_is_refused_and_kept(project: Project) -> None:
    with_columns(project, {name: before for name, (before, *_) in CUT.items()})
    kept = ", ".join(value for *_, value, _ in CUT.values())
    names = ", ".join(CUT)
    begin(project, rows=f"INSERT INTO agents ({names}) VALUES ({kept}), ({kept})")
    with_columns(project, {name: after for name, (_, after, *_) in CUT.items()})
    said = changed(project)
    assert "loses data" not in said
    for name, (_, _, value, bad) in CUT.items():
        assert f"refused: upgrade, where a value of agents.{name} does not fit" in said
        # An array column has no element that text could not be.
        project.query(f"UPDATE agents SET {name} = {bad} WHERE id = 1")
        before = project.query("SELECT agents::text FROM agents ORDER BY id")
        project.run("upgrade").failed(1)
        assert project.query("SELECT agents::text FROM agents ORDER BY id") == before, name
        project.query(f"UPDATE agents SET {name} = {value} WHERE id = 1")
    before = project.query(f"SELECT {names} FROM agents ORDER BY id")
    project.run("upgrade").succeeded()
    project.run("verify").succeeded()
    project.run("downgrade").succeeded()
    assert project.query(f"SELECT {names} FROM agents ORDER BY id") == before


WIDER = {
    "title": ("sa.String(5)", "sa.Text", "'much longer'"),
    "code": ("postgresql.CHAR(3)", "sa.String(9)", "'abcdefg'"),
    "rate": ("sa.Numeric(10, 2)", "sa.Numeric(12, 4)", "1.2345"),
    "until": ("postgresql.TIMESTAMP(precision=0)", "sa.DateTime", "'2024-01-01 10:00:00.5'"),
    "day": ("sa.Date", "sa.DateTime", "'2024-01-01 10:00'"),
    "number": ("sa.Integer", "sa.BigInteger", "4000000000"),
    "data": ("postgresql.JSON", "postgresql.JSONB", None),
    "flag": ("sa.Boolean", "sa.SmallInteger", "5"),
}


def test_a_downgrade_refuses_what_only_the_newer_type_holds(project: Project) -> None:
    with_columns(project, {name: before for name, (before, *_) in WIDER.items()})
    begin(project, rows="INSERT INTO agents (data, flag) VALUES ('{\"a\": 1}', true)")
    with_columns(project, {name: after for name, (_, after, _) in WIDER.items()})
    said = changed(project)
    assert "refused: upgrade" not in said
    project.run("upgrade").succeeded()
    assert project.query("SELECT data, flag FROM agents") == [({"a": 1}, 1)]
    for name, (*_, value) in WIDER.items():
        if value is None:
            continue
        assert f"refused: downgrade, where a value of agents.{name} does not fit" in said
        project.query(f"UPDATE agents SET {name} = {value}")
        before = project.query("SELECT agents::text FROM agents")
        project.run("downgrade").failed(1)
        assert project.query("SELECT agents::text FROM agents") == before, name
        project.query(f"UPDATE agents SET {name} = NULL")
    project.run("downgrade").succeeded()


def test_any_value_is_kept_as_text_and_nothing_is_said_of_it(project: Project) -> None:
    kinds = {
        "mac": ("MACADDR", "08:00:2b:01:02:03"), "ip": ("INET", "10.0.0.0/8"),
        "xs": ("ARRAY(sa.Integer)", "{1,NULL}"), "raw": ("BYTEA", "\\x00ff"),
        "span": ("INT4RANGE", "[1,5)"), "mood": ("ENUM('a b', name='mood')", "a b"),
        "long": ("INTERVAL", "1 day 00:00:01"), "bits": ("BIT(4)", "0101"),
    }  # fmt: skip
    with_columns(project, {name: f"postgresql.{kind}" for name, (kind, _) in kinds.items()})
    values = ", ".join(f"'{value}'" for _, value in kinds.values())
    begin(project, rows=f"INSERT INTO agents ({', '.join(kinds)}) VALUES ({values})")
    with_columns(project, dict.fromkeys(kinds, "sa.Text"))
    said = changed(project)
    assert "refused: upgrade" not in said
    project.run("upgrade").succeeded()
    found = project.query(f"SELECT {', '.join(kinds)} FROM agents")
    assert found == [tuple(value for _, value in kinds.values())]
    project.run("downgrade").succeeded()
    assert project.query("SELECT mac::text FROM agents") == [("08:00:2b:01:02:03",)]


def test_money_as_text_is_spelt_by_a_setting_and_that_is_said(project: Project) -> None:
    with_columns(project, {"price": "postgresql.MONEY"})
    begin(project, rows="INSERT INTO agents (price) VALUES (1234.5)")
    with_columns(project, {"price": "sa.Text"})
    assert "refused: upgrade, where a value of agents.price does not fit" in changed(project)


def test_a_number_that_becomes_money_is_the_same_amount(project: Project) -> None:
    columns = {"name": "sa.Text", "price": "sa.Numeric(10, 2)", "old": "sa.Integer"}
    with_columns(project, columns)
    begin(project)
    with_columns(project, {**columns, "price": "postgresql.MONEY", "old": "postgresql.MONEY"})
    said = changed(project)
    assert "refused: upgrade, where a value of agents.price does not fit money" in said
    project.run("init").succeeded()
    project.query("INSERT INTO agents (price, old) VALUES (1.5, 3)")
    project.run("downgrade").succeeded()
    assert project.query("SELECT price, old FROM agents") == [(Decimal("1.50"), 3)]


def test_a_computed_column_that_becomes_plain_keeps_its_values(
    project: Project, server_url: str
) -> None:
    """From PostgreSQL 18 on, also one that is computed when it is read, and so has none."""
    ((version,),) = query(server_url, "SELECT current_setting('server_version_num')::int / 10000")
    stored = version < 18
    computed = (
        'sa.Text, sa.Computed("upper(name)", persisted=True), comment="%"',
        f'sa.Integer, sa.Computed("length(name) * 2", persisted={stored}), nullable=False',
    )
    with_columns(project, {"name": "sa.Text", "up": computed[0], "long": computed[1]})
    begin(project, rows="INSERT INTO agents (name) VALUES ('a'), ('bcd')")
    plain = 'sa.Text, comment="%"', "sa.BigInteger, server_default='7', nullable=False"
    with_columns(project, {"name": "sa.Text", "up": plain[0], "long": plain[1]})
    assert "WARNING" not in changed(project)
    project.run("upgrade").succeeded()
    project.query("INSERT INTO agents (name) VALUES ('ef')")
    values = project.query("SELECT up, long FROM agents ORDER BY id")
    assert values == [("A", 2), ("BCD", 6), (None, 7)]
    assert project.run("verify").succeeded()
    project.run("downgrade").succeeded()
    values = project.query("SELECT up, long FROM agents ORDER BY id")
    assert values == [("A", 2), ("BCD", 6), ("EF", 4)]
    project.run("upgrade").succeeded()


def test_a_computed_column_becomes_plain_together_with_the_type_that_it_is_computed_from(
    project: Project, server_url: str
) -> None:
    ((version,),) = query(server_url, "SELECT current_setting('server_version_num')::int / 10000")
    kinds = {True: "twice", version < 18: "thrice"}
    computed = {
        name: f'sa.Integer, sa.Computed("number * {len(name)}", persisted={kind})'
        for kind, name in kinds.items()
    }
    with_columns(project, {"number": "sa.Integer", **computed})
    begin(project, rows="INSERT INTO agents (number) VALUES (2), (NULL)")
    with_columns(project, {"number": "sa.BigInteger", **dict.fromkeys(computed, "sa.Integer")})
    assert "WARNING" not in changed(project)
    columns = ", ".join(("number", *computed))
    before = project.query(f"SELECT {columns} FROM agents ORDER BY id")
    for command in ("upgrade", "downgrade", "upgrade"):
        project.run(command).succeeded()
        assert project.query(f"SELECT {columns} FROM agents ORDER BY id") == before


def test_a_type_without_a_cast_is_a_todo_that_says_so(project: Project) -> None:
    with_columns(project, {"tags": "postgresql.ARRAY(sa.Text)", "at": "sa.Date"})
    begin(project, sql="CREATE VIEW seen AS SELECT at FROM agents")
    with_columns(project, {"tags": "sa.Integer", "at": "sa.Integer"})
    outcome = project.run("create-migration", "-m", "change")
    assert outcome.code == 3
    todos = [line for line in outcome.out.splitlines() if line.startswith("TODO: ")]
    assert [("PostgreSQL has no cast" in todo, "view seen" in todo) for todo in todos] == [
        (True, True),
        (True, False),
    ]


NAMED = """
    up = mapped_column(sa.Text, sa.Computed("upper(name)", persisted=True), index=True)
    number = mapped_column(sa.Integer)
    __table_args__ = (
        sa.UniqueConstraint("name"),
        sa.CheckConstraint("name <> ''", name="name"),
        sa.Index("ix_some", "number", postgresql_where=sa.text("name = 'one'")),
        sa.Index("ix_lower", sa.text("lower(name)"), unique=True),
        postgresql.ExcludeConstraint(("name", "="), name="once", using="btree"),
    )


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    agent = mapped_column(sa.ForeignKey("agents.name"))
"""
# A role that is there on every server.
AROUND = """
CREATE VIEW named WITH (security_barrier) AS SELECT id, name FROM agents;
CREATE VIEW of_named AS SELECT name, length(name) AS long FROM named;
CREATE MATERIALIZED VIEW kept AS SELECT name FROM of_named;
CREATE UNIQUE INDEX kept_once ON kept (name);
COMMENT ON VIEW named IS 'it is';
COMMENT ON COLUMN named.name IS 'who';
ALTER VIEW named ALTER name SET DEFAULT 'nobody';
GRANT SELECT ON named TO pg_monitor;
GRANT UPDATE (name) ON named TO PUBLIC;
GRANT SELECT (up) ON agents TO pg_monitor WITH GRANT OPTION;
CREATE FUNCTION unchanged() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER renamed BEFORE UPDATE OF name ON agents
    FOR EACH ROW WHEN (NEW.name <> OLD.name) EXECUTE FUNCTION unchanged();
ALTER TABLE agents DISABLE TRIGGER renamed;
CREATE TRIGGER viewed INSTEAD OF UPDATE ON named FOR EACH ROW EXECUTE FUNCTION unchanged();
CREATE POLICY own ON agents FOR SELECT TO pg_monitor USING (name = current_user);
COMMENT ON POLICY own ON agents IS 'mine';
CREATE RULE nothing AS ON DELETE TO agents WHERE OLD.name = 'one' DO INSTEAD NOTHING;
CREATE STATISTICS together ON name, number FROM agents;
ALTER STATISTICS together SET STATISTICS 50;
COMMENT ON STATISTICS together IS 'both';
CREATE FUNCTION how_many() RETURNS bigint LANGUAGE sql
    BEGIN ATOMIC SELECT count(name) FROM agents; END;
REVOKE ALL ON FUNCTION how_many() FROM PUBLIC;
CREATE FUNCTION all_named() RETURNS SETOF named LANGUAGE sql AS 'SELECT * FROM named';
ALTER TABLE agents ALTER name SET STATISTICS 77, ALTER up SET STATISTICS 78;
ALTER TABLE agents ALTER name SET STORAGE EXTERNAL;
ALTER INDEX ix_lower ALTER COLUMN 1 SET STATISTICS 79;
COMMENT ON INDEX ix_lower IS 'small';
ALTER TABLE agents CLUSTER ON ix_lower;
ALTER TABLE agents REPLICA IDENTITY USING INDEX uq_agents_name;
"""


def test_what_speaks_of_a_column_is_there_afterwards_exactly_as_it_was(project: Project) -> None:
    column = {"name": 'sa.String(40), nullable=False, server_default="x"'}
    with_columns(project, column, NAMED)
    rows = "INSERT INTO agents (name) VALUES ('one'), ('two'); INSERT INTO notes VALUES (1, 'one')"
    begin(project, AROUND, rows)
    before = around(project)
    with_columns(project, {"name": column["name"].replace("sa.String(40)", "sa.Text")}, NAMED)
    changed(project)
    project.run("upgrade").succeeded()
    assert set(around(project)) ^ set(before) == set()
    assert project.query("SELECT name, long FROM of_named") == [("one", 3), ("two", 3)]
    project.run("verify").succeeded()
    project.query("INSERT INTO agents (name) VALUES (repeat('long', 20))")
    project.run("downgrade").failed(1)
    project.query("DELETE FROM agents WHERE length(name) > 40")
    project.run("downgrade").succeeded()
    assert set(around(project)) ^ set(before) == set()


def around(project: Project) -> list[tuple[object, ...]]:
    """Return what belongs to the tables, without the casts that the server words by types."""
    rows = project.query("""
        SELECT 'class', c.relname, c.relkind::text, c.relreplident::text,
            regexp_replace(c.relacl::text, '/\\w+', '', 'g'), obj_description(c.oid),
            c.reloptions::text
        FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind <> 't'
        UNION ALL SELECT 'column', attrelid::regclass || '.' || attname, attnotnull::text,
            attstattarget::text, attacl::text, col_description(attrelid, attnum), attstorage::text
        FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid IN (SELECT oid
            FROM pg_class WHERE relnamespace = 'public'::regnamespace)
        UNION ALL SELECT 'constraint', conname, contype::text, convalidated::text,
            pg_get_constraintdef(oid), obj_description(oid), NULL
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT 'index', indexrelid::regclass::text, indisunique::text,
            indisclustered::text, indisreplident::text, pg_get_indexdef(indexrelid), NULL
        FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT 'trigger', tgname, tgenabled::text, pg_get_triggerdef(oid), NULL, NULL,
            NULL FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT 'policy', polname, pg_get_expr(polqual, polrelid), polroles::text,
            obj_description(oid), NULL, NULL FROM pg_policy
        UNION ALL SELECT 'rule', rulename, pg_get_ruledef(oid), NULL, NULL, NULL, NULL
        FROM pg_rewrite WHERE ev_class >= 16384
        UNION ALL SELECT 'statistics', stxname, pg_get_statisticsobjdef(oid),
            stxstattarget::text, obj_description(oid), NULL, NULL FROM pg_statistic_ext
        UNION ALL SELECT 'function', proname, proacl::text, pg_get_functiondef(oid), NULL, NULL,
            NULL FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    """)
    plain = str.maketrans("", "", "()")
    return sorted(
        tuple(
            str(value).replace("::text", "").replace("::character varying", "").translate(plain)
            for value in row
        )
        for row in rows
    )


def test_keys_change_their_type_together_with_what_refers_to_them(project: Project) -> None:
    models = """
    class Agent(Base):
        __tablename__ = "agents"
        id = mapped_column(sa.Text, primary_key=True)


    class Note(Base):
        __tablename__ = "notes"
        id: Mapped[int] = mapped_column(primary_key=True)
        agent_id = mapped_column(sa.ForeignKey("agents.id", ondelete="CASCADE"), index=True)
        deeper_id = mapped_column(sa.ForeignKey("notes.id"))
    """
    project.models(models)
    sql = "CREATE VIEW both_of AS SELECT a.id, agent_id FROM agents a JOIN notes ON agent_id = a.id"
    rows = "INSERT INTO agents VALUES ('1'), ('2'); INSERT INTO notes (agent_id) VALUES ('2')"
    begin(project, sql, rows)
    project.models(models.replace("sa.Text", "sa.Integer, autoincrement=False"))
    changed(project)
    text = project.newest_file.read_text()
    upgrade = text[text.index("def upgrade") : text.index("def downgrade")]
    assert upgrade.count("DROP VIEW public.both_of") == 1
    project.run("upgrade").succeeded()
    project.run("verify").succeeded()
    assert project.query("SELECT * FROM both_of") == [(2, 2)]
    project.run("downgrade").succeeded()
    assert project.query("SELECT * FROM both_of") == [("2", "2")]
    project.query("DELETE FROM agents")
    assert project.query("SELECT * FROM notes") == []


def test_a_dropped_column_or_table_names_the_view_that_speaks_of_it(project: Project) -> None:
    with_columns(project, {"name": "sa.Text", "other": "sa.Text"})
    begin(project, "CREATE VIEW named AS SELECT name FROM agents; CREATE VIEW again AS TABLE named")
    with_columns(project, {"other": "sa.Text"})
    outcome = project.run("create-migration", "-m", "change")
    assert outcome.code == 3
    assert "in the way: view named, view again" in outcome.out
    project.models(AGENT.replace("agents", "others"))
    (path,) = project.root.glob("alembic/versions/*_change.py")
    path.unlink()
    outcome = project.run("create-migration", "-m", "drop")
    assert "drop table agents: cannot drop table agents because other objects" in outcome.out
    assert "in the way: view named, view again" in outcome.out
