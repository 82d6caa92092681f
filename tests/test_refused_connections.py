"""Why a connection is not made, told as what it is: by a server with TLS and by one without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from db_ops.postgres.connection.server import Server
from db_ops.settings import DatabaseUrl, Settings
from tests.conftest import with_user
from tests.support.cluster import ADMIN, PASSWORD, free_port
from tests.support.command import Command
from tests.support.project import Project, query
from tests.support.tls import TlsCluster, programs

FAILED, MISUSED, TRY_AGAIN = 1, 2, 5
_CREDENTIALS = f"{ADMIN}:{quote(PASSWORD, safe='')}"
WITH_TLS = pytest.mark.skipif(programs() is None, reason="no PostgreSQL with TLS is installed")


@pytest.fixture(scope="module")
def tls() -> Iterator[TlsCluster]:
    """A server that lets in whoever speaks TLS and knows the password."""
    cluster = TlsCluster()
    yield cluster
    cluster.remove()


def refused(project: Project, code: int) -> tuple[str, str]:
    """Run `init`; return error and hint, if it was refused at once and is no matter of pg_hba."""
    outcome = project.run("init").failed(code)
    assert "waiting" not in outcome.err
    assert "pg_hba.conf" not in outcome.err
    assert PASSWORD not in outcome.err
    return outcome.error, outcome.hint


@WITH_TLS
@pytest.mark.parametrize(
    ("query", "said", "hint"),
    [
        ("sslmode=verify-full&sslrootcert=/nosuch.crt", "/nosuch.crt", "sslrootcert=system"),
        ("sslmode=verify-ca&sslrootcert={other}", "certificate verify failed", "sslrootcert"),
        ("sslmode=verify-full&sslrootcert={root}", "does not match host name", "verify-ca"),
        ("sslcert={cert}&sslkey={key}&sslmode=require", "group or world access", "chmod 600"),
        ("sslcert={cert}&sslkey={key}", "group or world access", "chmod 600"),
        ("sslcert={cert}&sslkey=/nosuch.key", "/nosuch.key", "sslkey"),
        ("require_auth=md5", '"md5"', "require_auth"),
    ],
)
def test_what_libpq_refuses_is_not_told_as_a_refusal_of_the_server(
    project: Project, tls: TlsCluster, query: str, said: str, hint: str
) -> None:
    key = tls.home / "open.key"
    key.write_bytes((tls.home / "server.key").read_bytes())
    key.chmod(0o644)
    query = query.format(
        root=tls.authority, other=tls.another_authority, cert=tls.home / "server.crt", key=key
    )
    project.url = f"postgresql://{_CREDENTIALS}@127.0.0.1:{tls.port}/app?{query}"
    told, next_step = refused(project, FAILED)
    assert said in told
    assert hint in next_step


@WITH_TLS
def test_init_goes_through_tls_that_is_verified(project: Project, tls: TlsCluster) -> None:
    project.table("0001", "one")
    query = f"sslmode=verify-full&sslrootcert={tls.authority}"
    project.url = f"postgresql://{_CREDENTIALS}@localhost:{tls.port}/app?{query}"
    assert "1 revision applied" in project.run("init").succeeded().out
    assert project.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [(True,)]
    assert project.tables == ["alembic_version", "one"]


@WITH_TLS
def test_a_server_that_wants_tls_is_told_as_that(project: Project, tls: TlsCluster) -> None:
    project.url = f"postgresql://{_CREDENTIALS}@127.0.0.1:{tls.port}/app?sslmode=disable"
    outcome = project.run("init").failed(FAILED)
    assert "no encryption" in outcome.error
    assert "sslmode" in outcome.hint


@pytest.mark.parametrize(
    ("query", "said", "hint"),
    [
        ("sslmode=require", "does not support SSL", "sslmode=prefer"),
        ("channel_binding=require", "channel binding", "channel_binding=prefer"),
    ],
)
def test_what_a_server_without_tls_cannot_give_is_named(
    project: Project, query: str, said: str, hint: str
) -> None:
    project.url += f"?{query}"
    told, next_step = refused(project, FAILED)
    assert said in told
    assert hint in next_step


@pytest.mark.parametrize(
    ("query", "said", "hint"),
    [
        ("sslmode=on", 'invalid sslmode value: "on"', "verify-full"),
        ("channel_binding=yes", 'channel_binding value: "yes"', "prefer"),
        ("target_session_attrs=primry", '"primry"', "read-write"),
        ("gssencmode=require", "GSSAPI", "DATABASE_URL"),
        ("keepalives=x", '"keepalives"', "DATABASE_URL"),
        ("hostaddr=nosuch", '"nosuch"', "DATABASE_URL"),
        ("ssl_min_protocol_version=TLSv9", '"TLSv9"', "TLSv1.2"),
    ],
)
def test_a_value_that_libpq_does_not_know_is_a_mistake_in_the_settings(
    project: Project, query: str, said: str, hint: str
) -> None:
    project.url += f"?{query}"
    told, next_step = refused(project, MISUSED)
    assert said in told
    assert hint in next_step


def test_a_port_beyond_the_last_is_a_mistake_in_the_settings(project: Project) -> None:
    project.url = "postgresql://u@127.0.0.1:99999/app"
    assert '"99999"' in refused(project, MISUSED)[0]


def test_a_missing_password_is_told_with_the_ways_to_give_one(
    project: Project, role: str, server_url: str
) -> None:
    project.url = with_user(project.url, role, "").replace(":@", "@")
    told, hint = refused(project, FAILED)
    assert f"the server asks role '{role}' for a password" in told
    assert "PGPASSWORD" in hint


def test_a_password_for_another_database_only_still_finds_the_missing_one(
    project: Project, role: str, server_url: str, tmp_path: Path
) -> None:
    # The target does not exist, and who asks for it in `postgres` has a password only there.
    query(server_url, f'ALTER ROLE "{role}" CREATEDB')
    passwords = tmp_path / "passwords"
    passwords.write_text(f"127.0.0.1:*:postgres:{role}:role_secret\n")
    passwords.chmod(0o600)
    project.env["PGPASSFILE"] = str(passwords)
    project.url = with_user(project.url, role, "").replace(":@", "@")
    assert "does not exist" in project.run("upgrade").failed(FAILED).error


def test_of_several_hosts_the_one_that_answers_says_why_not(project: Project) -> None:
    address = project.url.rpartition("@")[2]
    project.url = f"postgresql://{ADMIN}:wrong@127.0.0.1:{free_port()},{address}"
    outcome = project.run("init").failed(FAILED)
    assert "password authentication failed" in outcome.error
    assert "waiting" not in outcome.err


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("options=-c%20nosuch%3D1", "correct options"),
        ("options=-c%20work_mem%3Dbig", "correct options"),
    ],
)
@pytest.mark.parametrize("command", ["init", "status"])
def test_options_that_the_server_refuses_are_named_as_what_to_correct(
    project: Project, query: str, hint: str, command: str
) -> None:
    # The database does not exist, which the server finds out before it reads them.
    project.url += f"?{query}"
    assert hint in project.run(command).failed(FAILED).hint


@pytest.fixture
def dead(project: Project) -> Project:
    """A project whose server, on this machine, does not run."""
    project.table("0001", "one")
    project.url = f"postgresql://app:hunter2@127.0.0.1:{free_port()}/app"
    return project


@pytest.mark.parametrize(
    "command",
    ["status", "verify", "history", "downgrade", "delete-db", "snapshots", "cache"],
)
def test_a_dead_server_does_not_make_anybody_wait_who_only_looks(
    dead: Project, command: str
) -> None:
    outcome = dead.run(command, "--json").failed(TRY_AGAIN)
    assert json.loads(outcome.out)["details"]["waited"] <= 1
    assert "no server answers" in outcome.error


def test_plain_alembic_does_not_wait_for_a_dead_server_either(dead: Project) -> None:
    outcome = dead.alembic("current")
    assert outcome.code != 0
    assert "(waited 1 s)" in outcome.out or "(waited 0 s)" in outcome.out


@pytest.mark.parametrize("command", ["init", "upgrade", "recreate"])
def test_what_a_deployment_starts_says_at_once_what_it_waits_for(
    dead: Project, command: str
) -> None:
    with Command(dead, command) as running:
        running.wait_until_it_says("waiting, no server answers")
        assert running.process.poll() is None
    settings = Settings(dead.root / "alembic.ini", DatabaseUrl.parse(dead.url))
    assert Server(DatabaseUrl.parse(dead.url), settings, command).wait_timeout == 30


def test_a_named_time_to_wait_holds_for_every_command(dead: Project) -> None:
    dead.env["DB_OPS_WAIT_TIMEOUT"] = "2"
    outcome = dead.run("status", "--json").failed(TRY_AGAIN)
    assert 0.9 < json.loads(outcome.out)["details"]["waited"] < 15
    dead.env["DB_OPS_WAIT_TIMEOUT"] = "0"
    outcome = dead.run("init", "--json").failed(TRY_AGAIN)
    assert json.loads(outcome.out)["details"]["waited"] < 0.9
