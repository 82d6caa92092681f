"""Which lines of a revision write rows, told from its source."""

from __future__ import annotations

import textwrap
from pathlib import Path

from db_ops.generation.data_steps import data_steps

SOURCE = '''
"""x"""
import sqlalchemy as sa
from alembic import op
from sqlalchemy.orm import Session

revision = "1"
down_revision = None
SQL = """
    -- what was there
    UPDATE agents SET name = 'x';
"""
agents = sa.table("agents", sa.column("name"))


def upgrade():
    bind, session = op.get_bind(), Session(op.get_bind())
    op.bulk_insert(agents, [])  # writes
    op.execute("INSERT INTO a VALUES (1)")  # writes
    op.execute(sa.text("delete from a where id = :id").bindparams(id=1))  # writes
    op.execute(SQL)  # writes
    op.execute(f"UPDATE {agents} SET x = 1")  # writes
    op.execute("UPDATE %s SET x = 1" % agents)  # writes
    op.execute(agents.update().values(name="x"))  # writes
    bind.execute(sa.insert(agents))  # writes
    bind.exec_driver_sql("WITH d AS (DELETE FROM a RETURNING *) SELECT * FROM d")  # writes
    op.execute("SELECT setval('a_id_seq', 10)")  # writes
    op.execute("SELECT fill_agents()")  # writes
    op.execute("DO $$ BEGIN UPDATE a SET x = 1; END $$")  # writes
    session.add_all([])  # writes
    session.commit()  # writes
    op.execute("CREATE TABLE b (id int REFERENCES a ON UPDATE CASCADE ON DELETE SET NULL)")
    op.execute("CREATE TRIGGER t AFTER INSERT OR UPDATE ON a EXECUTE FUNCTION f()")
    op.execute("CREATE FUNCTION f() RETURNS int AS $$ DELETE FROM a; SELECT 1 $$ LANGUAGE sql")
    bind.execute(sa.text("SELECT id FROM agents WHERE name = 'update'"))
    op.execute("COMMENT ON TABLE a IS 'INSERT INTO a'")


def downgrade():
    op.execute("DELETE FROM a")
'''


def test_each_line_that_writes_rows_is_named_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "1.py"
    path.write_text(textwrap.dedent(SOURCE))
    found = data_steps(path, "versions/1.py")
    written = [n for n, line in enumerate(SOURCE.splitlines(), 1) if line.endswith("# writes")]
    assert [step.line for step in found] == written
    assert found[0].path == "versions/1.py"
    assert found[0].code == "op.bulk_insert(agents, [])"
