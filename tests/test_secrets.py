"""No password is shown: not in `url` and `doctor`, not in an error, in JSON or in the log."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db_ops.cli.json_output import error_document
from db_ops.errors import DbOpsError
from db_ops.errors.masking import mask_credentials
from db_ops.migrations.scripts import describe_failure
from db_ops.settings import DatabaseUrl, Settings
from tests.support.cluster import free_port
from tests.support.foreign import Kind, copy_project
from tests.support.launcher import Launcher
from tests.support.project import Project, make_project

SPECIAL = "@:/?#[]%&=;, '\"\\|<>ü"
# A password of pieces, to see each of them wherever a special character makes it end up.
PIECES = ("Qx7kAAAA", "Qx7kBBBB", "Qx7kCCCC")
passwords = st.lists(st.sampled_from(SPECIAL), min_size=2, max_size=2).map(
    lambda special: f"{PIECES[0]}{special[0]}{PIECES[1]}{special[1]}{PIECES[2]}"
)
SPELT = (
    "postgresql://clerk:{raw}@127.0.0.1:5/app",
    "postgresql+asyncpg://clerk:{raw}@127.0.0.1/app?ssl=require",
    "postgres://clerk:{raw}@127.0.0.1:5,[::1]:6/app",
    "postgresql://cl@rk:{raw}@127.0.0.1/app",
    "postgresql://clerk:{raw}@127.0.0.1",
    "'postgresql://clerk:{raw}@127.0.0.1/app'",
    "psql postgresql://clerk:{raw}@127.0.0.1/app",
    "jdbc:postgresql://clerk:{raw}@127.0.0.1/app",
    "host=127.0.0.1 user=clerk dbname=app password={raw}",
    "postgresql://127.0.0.1/app?user=clerk&password={raw}",
    "postgresql://127.0.0.1/app?user=clerk&sslpassword={raw}",
    "postgresql+psycopg2://127.0.0.1/app?user=clerk&pasword={raw}",
    "postgresql://clerk:{quoted}@127.0.0.1/app?sslpassword={quoted}",
    "postgresql://clerk:{quoted}@127.0.0.1/app?options=-c%20app.key%3D{quoted}",
)


def said_of(text: str, root: Path) -> str:
    """Return all that is said of a URL: of a good one as settings, of another as an error."""
    try:
        url = DatabaseUrl.parse(text)
    except DbOpsError as error:
        document = json.dumps(error_document(error), ensure_ascii=False, default=str)
        return "\n".join((error.message, error.hint, document, str(error)))
    as_settings = Settings(root / "alembic.ini", url)
    return "\n".join((url.render(), url.location, url.server, repr(url), repr(as_settings)))


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(password=passwords, spelt=st.sampled_from(SPELT))
def test_no_piece_of_a_password_is_shown_however_the_url_is_spelt(
    password: str, spelt: str, tmp_path: Path
) -> None:
    text = spelt.format(raw=password, quoted=quote(password, safe=""))
    said = said_of(text, tmp_path)
    assert not [piece for piece in PIECES if piece in said], said


@settings(max_examples=200)
@given(password=passwords, spelt=st.sampled_from(SPELT[:5] + SPELT[9:11]))
def test_no_piece_of_a_password_is_left_in_what_somebody_else_says_of_a_url(
    password: str, spelt: str
) -> None:
    if spelt.endswith("={raw}"):
        password = quote(password, safe="")
    masked = mask_credentials(f"ValueError: cannot parse {spelt.format(raw=password)}")
    assert not [piece for piece in PIECES if piece in masked], masked


@settings(max_examples=200)
@given(
    password=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
    sslpassword=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
)
def test_with_its_password_a_url_means_the_same_again(password: str, sslpassword: str) -> None:
    text = (
        f"postgresql://clerk:{quote(password, safe='')}@h/app"
        f"?sslpassword={quote(sslpassword, safe='')}&sslmode=require"
    )
    url = DatabaseUrl.parse(text)
    assert DatabaseUrl.parse(url.render(with_password=True)).parameters == url.parameters
    shown = DatabaseUrl.parse(url.render()).parameters
    assert shown == {"user": "clerk", "host": "h", "dbname": "app", "sslmode": "require"}


@pytest.fixture
def secretive(tmp_path: Path) -> Project:
    """A project with a secret in every parameter that may hold one."""
    project = make_project(tmp_path / "secretive", "")
    secret = quote(PIECES[0], safe="")
    project.url = (
        f"postgresql://clerk:{secret}@127.0.0.1:{free_port()}/app?sslpassword={secret}"
        f"&options=-c%20app.token%3D{secret}&sslmode=prefer"
    )
    project.table("0001", "one")
    return project


@pytest.mark.parametrize(
    "command", [("url",), ("url", "--json"), ("doctor",), ("doctor", "--json"), ("status",)]
)
@pytest.mark.parametrize("log", ["text", "json"])
def test_commands_show_no_secret_of_a_url(
    secretive: Project, command: tuple[str, ...], log: str
) -> None:
    secretive.env["DB_OPS_LOG"] = log
    outcome = secretive.run(*command)
    assert "clerk" in outcome.out or command == ("status",)
    assert PIECES[0] not in outcome.out + outcome.err


def test_a_secret_from_libpq_s_variables_is_shown_only_where_it_is_asked_for(
    secretive: Project,
) -> None:
    secretive.url = f"postgresql://clerk@127.0.0.1:{free_port()}/app"
    secretive.env["PGPASSWORD"] = PIECES[1]
    for command in ("url", "doctor", "status"):
        outcome = secretive.run(command)
        assert PIECES[1] not in outcome.out + outcome.err
    assert PIECES[1] in secretive.run("url", "--with-password").succeeded().out


def test_a_percent_sign_in_the_ini_s_url_does_not_show_what_follows_it(
    tmp_path: Path, launcher: Launcher
) -> None:
    foreign = copy_project(
        Kind("ini_url"), tmp_path / "foreign", f"postgresql://u:{PIECES[1]}@h/app", launcher
    )
    ini = foreign.root / "alembic.ini"
    ini.write_text(ini.read_text().replace(f"{PIECES[1]}@h", f"x%40{PIECES[0]}@h"))
    outcome = foreign.run("status").failed(2)
    assert "alembic/env.py" in outcome.error
    assert PIECES[0] not in outcome.out + outcome.err


@pytest.mark.parametrize("text", ["{url}\n", "[section\n{url}\n"])
def test_a_line_of_the_ini_that_cannot_be_parsed_is_not_repeated(
    secretive: Project, text: str
) -> None:
    ini = secretive.root / "alembic.ini"
    ini.write_text(text.format(url=PIECES[0]) + ini.read_text())
    outcome = secretive.run("status").failed(2)
    assert "line 1" in outcome.error
    assert PIECES[0] not in outcome.err


def test_the_error_of_an_env_py_that_cannot_read_its_url_is_masked() -> None:
    error = ValueError(f"Could not parse postgresql://u:{PIECES[0]}@{PIECES[1]}@host/app")
    assert describe_failure(error) == "ValueError: Could not parse postgresql://***@host/app"
