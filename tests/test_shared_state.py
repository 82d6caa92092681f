"""What all databases of a server share, after something was tried in a scratch database."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.conftest import with_user
from tests.support.project import Project, query

HIDDEN = """
from pathlib import Path
op.get_bind().exec_driver_sql((Path(__file__).parent / "roles.txt").read_text())
"""


@pytest.fixture
def new_role(server_url: str) -> Iterator[str]:
    """The name of a role that nobody has made yet."""
    name = f"r_{uuid.uuid4().hex[:12]}"
    yield name
    if query(server_url, "SELECT 1 FROM pg_roles WHERE rolname = %s", name):
        query(server_url, f"DROP ROLE {name}")


def shared(project: Project, *names: str) -> list[tuple[object, ...]]:
    """Return what the server has of roles and settings of these *names*."""
    return query(
        project.url,
        "SELECT 'role', rolname::text, rolcanlogin::text, rolconnlimit::text, rolpassword"
        " FROM pg_authid WHERE rolname = ANY(%s)"
        " UNION ALL SELECT 'member', roleid::regrole::text, member::regrole::text,"
        " admin_option::text, '' FROM pg_auth_members"
        " WHERE pg_get_userbyid(roleid) = ANY(%s)"
        " UNION ALL SELECT 'setting', coalesce(datname, '')::text, setrole::regrole::text,"
        " setconfig::text, '' FROM pg_db_role_setting LEFT JOIN pg_database AS d"
        " ON d.oid = setdatabase WHERE datname = ANY(%s)"
        " OR pg_get_userbyid(setrole) = ANY(%s)"
        " UNION ALL SELECT 'comment', datname, shobj_description(oid, 'pg_database'),"
        " (SELECT string_agg(g.grantee || privilege_type, ' ' ORDER BY g.grantee, privilege_type)"
        " FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) AS g), datconnlimit::text"
        " FROM pg_database WHERE datname = ANY(%s) ORDER BY 1, 2, 3, 4",
        *[list(names)] * 5,
    )


def database_of(project: Project) -> str:
    return str(project.query("SELECT current_database()")[0][0])


@pytest.fixture
def hidden(migrated: Project, new_role: str) -> Project:
    """A project whose pending revision makes a role, with rights, by SQL that stands elsewhere."""
    migrated.revision("0004", HIDDEN)
    (migrated.root / "alembic" / "versions" / "roles.txt").write_text(
        f"DO $$ BEGIN CREATE ROLE {new_role}; GRANT SELECT ON one TO {new_role};"
        " EXECUTE 'GRANT CONNECT ON DATABASE ' || quote_ident(current_database()) ||"
        f" ' TO {new_role}'; COMMENT ON ROLE {new_role} IS 'theirs'; END $$"
    )
    return migrated


def test_a_role_that_a_trial_made_is_gone_and_the_revision_still_applies(
    hidden: Project, new_role: str
) -> None:
    for command in (("upgrade", "--plan"), ("upgrade", "--sql"), ("verify",)):
        outcome = hidden.run(*command)
        assert outcome.code == (3 if command == ("verify",) else 0), outcome.out + outcome.err
        assert "ONLY ALEMBIC" not in outcome.out
        assert "has left something" not in outcome.err
        assert shared(hidden, new_role) == []
    hidden.run("upgrade").succeeded()
    assert len(shared(hidden, new_role)) == 1
    hidden.query(f"DROP OWNED BY {new_role}")


def test_what_a_trial_changes_of_roles_and_of_the_database_by_name_is_as_it_was(
    migrated: Project, role: str
) -> None:
    name = database_of(migrated)
    migrated.query(f"ALTER ROLE {role} CONNECTION LIMIT 7")
    migrated.query(f"ALTER ROLE {role} SET search_path TO \"$user\", public, 'a b'")
    migrated.query(f"ALTER DATABASE {name} SET work_mem TO '5MB'")
    before = shared(migrated, role, name)
    migrated.revision(
        "0004",
        f"""
        op.execute("ALTER ROLE {role} NOLOGIN CONNECTION LIMIT 3 PASSWORD 'another'")
        op.execute("ALTER ROLE {role} SET search_path TO pg_catalog")
        op.execute("GRANT pg_monitor TO {role} WITH ADMIN OPTION")
        op.execute("ALTER DATABASE {name} SET work_mem TO '9MB'")
        op.execute("ALTER DATABASE {name} CONNECTION LIMIT 5")
        op.execute("GRANT CREATE ON DATABASE {name} TO {role}")
        op.execute("COMMENT ON DATABASE {name} IS 'mine'")
        with op.get_context().autocommit_block():
            op.execute("ALTER ROLE {role} SET statement_timeout TO 7000")
            op.execute("CREATE INDEX CONCURRENTLY ix_one ON one (id)")
        """,
    )
    outcome = migrated.run("upgrade", "--plan").succeeded()
    assert "has left something" not in outcome.err
    assert shared(migrated, role, name) == before
    assert migrated.run("verify").code == 3
    assert shared(migrated, role, name) == before


@pytest.mark.parametrize(
    "statement",
    ["DO $$ BEGIN DROP ROLE {role}; END $$", "ALTER ROLE {role} RENAME TO {role}_2"],
)
def test_what_cannot_be_taken_back_is_refused_before_it_is_committed(
    migrated: Project, role: str, statement: str
) -> None:
    before = shared(migrated, role)
    migrated.revision("0004", f'op.execute("{statement.format(role=role)}")')
    outcome = migrated.run("upgrade", "--plan").failed(1)
    assert f"role {role} dropped, which cannot be taken back" in outcome.error
    assert "DB_OPS_SCRATCH_URL" in outcome.hint
    assert shared(migrated, role) == before


def test_a_statement_about_the_server_that_runs_in_no_transaction_is_shown_and_not_run(
    migrated: Project, new_role: str
) -> None:
    migrated.revision(
        "0004",
        f"""
        with op.get_context().autocommit_block():
            op.execute("/* now */ CREATE DATABASE {new_role}")
        """,
    )
    out = migrated.run("upgrade", "--plan").succeeded().out
    assert "it reaches beyond the database" in out
    assert "0004 was run without a statement" in out
    outcome = migrated.run("verify")
    assert outcome.code == 3
    assert "CREATE DATABASE" in outcome.out.splitlines()[0]
    assert query(migrated.url, "SELECT 1 FROM pg_database WHERE datname = %s", new_role) == []


def test_what_another_session_does_meanwhile_is_not_undone(
    migrated: Project, role: str, new_role: str
) -> None:
    other = f"""
import psycopg2
from alembic import context
url = {migrated.url!r}
with psycopg2.connect(url) as other:
    other.cursor().execute("ALTER ROLE {role} CONNECTION LIMIT 9")
"""
    path = migrated.revision("0004", f'op.execute("CREATE ROLE {new_role}")')
    path.write_text(
        path.read_text().replace(
            "def upgrade():",
            "def upgrade():" + "".join(f"\n    {line}" for line in other.strip().splitlines()),
        )
    )
    migrated.run("upgrade", "--plan").succeeded()
    assert shared(migrated, new_role) == []
    assert shared(migrated, role)[0][3] == "9"


def test_a_role_without_superuser_takes_back_what_it_made(
    migrated: Project, role: str, new_role: str
) -> None:
    migrated.query(f"ALTER ROLE {role} CREATEDB CREATEROLE; GRANT pg_read_all_data TO {role}")
    migrated.revision("0004", f'op.execute("CREATE ROLE {new_role}")')
    admin, migrated.url = migrated.url, with_user(migrated.url, role, "role_secret")
    assert query(admin, "SELECT 1 FROM pg_roles WHERE rolname = %s", role)
    migrated.run("upgrade", "--plan").succeeded()
    assert query(admin, "SELECT 1 FROM pg_roles WHERE rolname = %s", new_role) == []
