"""A statement of the server's is one statement, whatever semicolons it holds."""

from __future__ import annotations

import json

import pytest

from tests.support.project import Project

MODELS = """
    class Log(Base):
        __tablename__ = "log"
        id: Mapped[int] = mapped_column(primary_key=True)
        what: Mapped[str | None]
"""
UPGRADE = '''
op.execute("""
    CREATE TABLE log (id serial CONSTRAINT pk_log PRIMARY KEY, what varchar);
    CREATE TABLE item (id int CONSTRAINT pk_item PRIMARY KEY, name text);
    CREATE RULE noted AS ON INSERT TO item DO ALSO (
        INSERT INTO log (what) VALUES ('new; item');
        UPDATE log SET what = what || ';' WHERE id < 0;
        DELETE FROM log WHERE id < 0
    );
    CREATE FUNCTION noting() RETURNS trigger LANGUAGE plpgsql AS $body$
    BEGIN
        -- one; two
        NEW.name := 'it''s; here';
        RETURN NEW;
    END $body$;
    CREATE TRIGGER noting BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION noting();
""")
'''
DOWNGRADE = 'op.execute("DROP TABLE item, log; DROP FUNCTION noting()")'


@pytest.fixture
def noted(project: Project) -> Project:
    """A project whose migrations make a rule of three actions, and whose models lack its table."""
    project.revision("0001", UPGRADE, DOWNGRADE)
    project.models(MODELS)
    return project


def test_a_rule_of_several_actions_comes_back_whole_in_downgrade(noted: Project) -> None:
    outcome = noted.run("create-migration", "-m", "drop item").succeeded()
    assert "not proven" not in outcome.out
    source = noted.newest_file.read_text()
    assert source.count("CREATE RULE noted") == 1
    noted.run("init").succeeded()
    noted.run("downgrade").succeeded()
    noted.query("INSERT INTO item VALUES (1)")
    assert noted.query("SELECT name FROM item") == [("it's; here",)]
    assert noted.query("SELECT what FROM log") == [("new; item",)]


def test_what_verify_proposes_to_undo_can_be_run_as_it_stands(noted: Project) -> None:
    noted.prepare("init")
    noted.query("DROP RULE noted ON item")
    noted.query(
        "CREATE OR REPLACE FUNCTION noting() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN RETURN NEW; END'"
    )
    printed = noted.run("verify").out
    assert "-- one; two" in map(str.strip, printed.splitlines())
    assert "\\n" not in printed.partition("undo it")[2]
    document = json.loads(noted.run("verify", "--json").out)
    for difference in document["differences"]:
        for remedy in difference["remedies"]:
            if remedy.startswith("CREATE "):
                noted.query(remedy)
    after = json.loads(noted.run("verify", "--json").out)
    kinds = {one["kind"] for one in after["differences"]}
    assert kinds.isdisjoint({"rule", "function", "database"}), after["differences"]
    assert noted.query("SELECT count(*) FROM pg_rules WHERE rulename = 'noted'") == [(1,)]
