"""What libpq takes for the parameters that a URL leaves open, wherever the URL comes from."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from db_ops.errors import InvalidSettings, InvalidUrl, MissingDatabaseName
from db_ops.settings import DatabaseUrl, load
from tests.support.cluster import ADMIN, PASSWORD
from tests.support.foreign import Kind, copy_project
from tests.support.launcher import Launcher
from tests.support.project import Project, query

# Reserved: whoever tries to connect there does not get an answer.
REMOTE = "192.0.2.1"
REFUSED = 4
BY_SOURCE = {
    "DATABASE_URL": None,
    "url_env": Kind("url_env", "BOOKS_URL"),
    "url_from": Kind("url_from"),
    "env.py": Kind("ini_url"),
    "asynchronous env.py": Kind("async_asyncpg", "SHOP_DATABASE_URL", "postgresql+asyncpg"),
}


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A project's folder and home, with nothing of libpq's or ours in the environment."""
    for name in tuple(os.environ):
        if name.startswith(("DB_OPS_", "DATABASE_URL", "PG")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PGSYSCONFDIR", str(tmp_path / "etc"))
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/alembic\n")
    return tmp_path


@pytest.mark.parametrize("source", BY_SOURCE)
def test_a_remote_pghost_makes_a_url_without_a_host_production(
    source: str, project: Project, tmp_path: Path, launcher: Launcher
) -> None:
    kind = BY_SOURCE[source]
    if kind is None:
        project.table("0001", "one")
        project.url = "postgresql:///app"
        project.env["PGHOST"] = REMOTE
        outcome = project.run("delete-db")
    else:
        foreign = copy_project(
            kind, tmp_path / "foreign", "postgresql://app:role_secret@/app", launcher
        )
        outcome = foreign.run("delete-db", PGHOST=REMOTE)
    assert "the environment is production" in outcome.failed(REFUSED).error
    assert outcome.error.startswith(f"{REMOTE}:5432/app: ")


@pytest.mark.parametrize(
    "variables",
    [{"PGHOST": "db.example.com"}, {"PGHOSTADDR": REMOTE}, {"PGSERVICE": "main"}],
    ids=lambda variables: str(*variables),
)
@pytest.mark.parametrize("name", ["DATABASE_URL", "DB_OPS_TEST_URL", "DB_OPS_SCRATCH_URL"])
def test_every_setting_that_holds_a_url_knows_libpq_s_defaults(
    clean: Path, monkeypatch: pytest.MonkeyPatch, name: str, variables: dict[str, str]
) -> None:
    (clean / ".pg_service.conf").write_text("[main]\nhost=db.example.com\n")
    monkeypatch.setenv(name, "postgresql:///app")
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    settings = load(clean, for_tests=name == "DB_OPS_TEST_URL")
    url = settings.scratch_url if name == "DB_OPS_SCRATCH_URL" else settings.url
    assert url is not None
    assert not url.is_local()


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        ("postgresql://localhost/app", False),
        ("postgresql://localhost/app?hostaddr=127.0.0.1", True),
        ("postgresql:///app?hostaddr=127.0.0.1,::1&host=a,b", True),
        ("postgresql:///app?hostaddr=127.0.0.1,&host=a,b", False),
        ("postgresql:///app?hostaddr=,127.0.0.1&host=localhost,b", True),
    ],
)
def test_an_address_in_pghostaddr_wins_over_the_name_of_a_host(
    clean: Path, monkeypatch: pytest.MonkeyPatch, url: str, is_local: bool
) -> None:
    monkeypatch.setenv("PGHOSTADDR", REMOTE)
    assert DatabaseUrl.parse(url).is_local() is is_local


def test_a_url_wins_over_its_service_and_that_over_the_environment(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clean / ".pg_service.conf").write_text(
        "# comment\n[other]\nhost=no\n\n[main]\nhost=db.example.com\nport=6000\n"
        " user=clerk\nuser=again\ndbname=books\n[last]\nport=1\n"
    )
    monkeypatch.setenv("PGUSER", "nobody")
    monkeypatch.setenv("PGPORT", "7000")
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=1min")
    found = DatabaseUrl.parse("postgresql://:6001/?service=main").parameters
    assert found == {
        "host": "db.example.com",
        "port": "6001",
        "user": "clerk",
        "dbname": "books",
        "sslmode": "require",
        "options": "-c statement_timeout=1min",
    }


def test_pgoptions_stay_beside_an_option_of_ours(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c role=owner")
    url = DatabaseUrl.parse("postgresql:///app").with_option("search_path", "sales")
    assert url.parameters["options"] == "-c role=owner -c search_path=sales"


def test_pgdatabase_names_the_database_of_a_url_that_names_none(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingDatabaseName):
        DatabaseUrl.parse("postgresql://h/")
    monkeypatch.setenv("PGDATABASE", "books")
    assert DatabaseUrl.parse("postgresql://h/").database == "books"
    monkeypatch.setenv("PGDATABASE", "template1")
    with pytest.raises(Exception, match="template database"):
        DatabaseUrl.parse("postgresql://h/")


def test_a_service_that_is_in_no_file_is_named_with_the_files(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidUrl, match=r"'main' in .*\.pg_service.conf and .*etc") as caught:
        DatabaseUrl.parse("postgresql:///app?service=main")
    assert "add [main]" in caught.value.hint
    monkeypatch.setenv("PGSERVICE", "other")
    with pytest.raises(InvalidSettings, match="PGSERVICE: no service 'other'"):
        DatabaseUrl.parse("postgresql:///app")


def test_a_line_of_a_service_file_that_libpq_cannot_read_is_named_and_not_repeated(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clean / "etc").mkdir()
    (clean / "etc" / "pg_service.conf").write_text("[main]\nhost=a\npasword=hunter2\n")
    with pytest.raises(InvalidSettings, match="line 3") as caught:
        DatabaseUrl.parse("postgresql:///app?service=main")
    assert "hunter2" not in str(caught.value)


def test_a_service_of_a_directory_server_counts_as_remote(clean: Path) -> None:
    (clean / ".pg_service.conf").write_text("[main]\nldap://directory.example.com/x?y?one?(z)\n")
    url = DatabaseUrl.parse("postgresql:///app?service=main")
    assert url.parameters["service"] == "main"
    assert not url.is_local()


@pytest.mark.parametrize("by", ["service", "PGSERVICE", "PGDATABASE"])
def test_init_creates_the_database_that_a_service_or_pgdatabase_names(
    project: Project, by: str, server_url: str, tmp_path: Path
) -> None:
    project.table("0001", "one")
    server, name = urlsplit(server_url), urlsplit(project.url).path[1:]
    url = project.url
    service = f"[books]\nhost={server.hostname}\nport={server.port}\nuser={ADMIN}\n"
    (tmp_path / "services").write_text(f"{service}password={PASSWORD}\ndbname={name}\n")
    project.env["PGSERVICEFILE"] = str(tmp_path / "services")
    if by == "service":
        project.url = "postgresql:///?service=books"
    elif by == "PGSERVICE":
        project.url = "postgresql://"
        project.env["PGSERVICE"] = "books"
    else:
        project.url = f"postgresql://{ADMIN}@{server.hostname}:{server.port}"
        project.env |= {"PGDATABASE": name, "PGPASSWORD": unquote(server.password or "")}
    outcome = project.run("init").succeeded()
    assert "1 revision applied" in outcome.out
    assert PASSWORD not in outcome.out + outcome.err
    project.url = url
    assert project.tables == ["alembic_version", "one"]


def test_an_env_py_without_an_address_is_no_second_database_because_of_pgdatabase(
    tmp_path: Path, new_database_url: str, launcher: Launcher
) -> None:
    foreign = copy_project(Kind("ini_url"), tmp_path / "foreign", new_database_url, launcher)
    ini = foreign.root / "alembic.ini"
    lines = ini.read_text().splitlines(keepends=True)
    ini.write_text("".join(line for line in lines if not line.startswith("sqlalchemy.url")))
    env = {"DATABASE_URL": new_database_url, "PGDATABASE": "other", "PGHOST": "127.0.0.1"}
    assert "created" in foreign.run("init", **env).succeeded().out
    rows = query(new_database_url, "SELECT version_num FROM alembic_version")
    assert rows == [("0002",)]
