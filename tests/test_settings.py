"""Settings: the environment, then `.env`, then the defaults; and the connection URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from db_ops.errors import InvalidSettings
from db_ops.settings import DatabaseUrl, Settings, load


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, with nothing of ours in the environment."""
    import os

    for name in tuple(os.environ):
        if name.startswith(("DB_OPS_", "DATABASE_URL", "PG")):
            monkeypatch.delenv(name)
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/alembic\n")
    return tmp_path


def test_the_environment_wins_over_dotenv(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".env").write_text("DATABASE_URL=postgresql://h/from_dotenv\nDB_OPS_LOCK_RETRIES=3\n")
    assert load(root).database == "from_dotenv"
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/from_environment")
    settings = load(root)
    assert settings.database == "from_environment"
    assert settings.lock_retries == 3


def test_the_file_wins_over_the_variable(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "secret").write_text("postgresql://h/from_file\n")
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/plain")
    monkeypatch.setenv("DATABASE_URL_FILE", str(root / "secret"))
    assert load(root).database == "from_file"


def test_an_unreadable_file_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL_FILE", str(root / "missing"))
    with pytest.raises(InvalidSettings, match="DATABASE_URL_FILE"):
        load(root)


def test_dollars_in_a_password_are_not_expanded(root: Path) -> None:
    (root / ".env").write_text("DATABASE_URL='postgresql://u:$HOME$x@h/app'\n")
    url = load(root).url
    assert url is not None
    assert url.parameters["password"] == "$HOME$x"


def test_all_bad_values_are_reported_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_OPS_CONNECT_TIMEOUT", "soon")
    monkeypatch.setenv("DB_OPS_LOCK_RETRIES", "-1")
    monkeypatch.setenv("DB_OPS_WAIT_TIMEOUT", "")
    monkeypatch.setenv("DB_OPS_ENVIRONMENT", "Pro duction")
    with pytest.raises(InvalidSettings) as caught:
        load(root)
    assert caught.value.problems.keys() == {
        "DB_OPS_CONNECT_TIMEOUT",
        "DB_OPS_LOCK_RETRIES",
        "DB_OPS_WAIT_TIMEOUT",
        "DB_OPS_ENVIRONMENT",
    }
    said = "'Pro duction' is not a word of lower-case letters"
    assert said in str(caught.value.problems["DB_OPS_ENVIRONMENT"])


def test_without_a_url_the_embedded_server_is_used_in_development(root: Path) -> None:
    settings = load(root)
    assert settings.url is None
    assert settings.environment == "development"
    assert settings.embedded_home == root / ".db_ops"


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("postgresql://localhost/app", "development"),
        ("postgresql://127.0.0.2/app", "development"),
        ("postgresql://[::1]:5433/app", "development"),
        ("postgresql:///app", "development"),
        ("postgresql:///app?host=/var/run/postgresql", "development"),
        ("postgresql://localhost,127.0.0.1/app", "development"),
        ("postgresql://localhost,db.example.com/app", "production"),
        ("postgresql://db.example.com/app", "production"),
        ("postgresql://localhost/app?hostaddr=10.0.0.1", "production"),
        ("postgresql://192.168.1.4/app", "production"),
    ],
)
def test_unknown_and_remote_means_production(root: Path, url: str, environment: str) -> None:
    settings = Settings(root / "alembic.ini", DatabaseUrl.parse(url))
    assert settings.environment == environment


@pytest.mark.parametrize(
    ("url", "parameters"),
    [
        ("postgres://u@h/d", {"user": "u", "host": "h", "dbname": "d"}),
        ("postgresql+asyncpg://u@h/d?ssl=require", {"sslmode": "require", "dbname": "d"}),
        ("postgresql+asyncpg://h/d?prepared_statement_cache_size=0", {"dbname": "d"}),
        ("postgresql+psycopg2://h/d?sslmode=require", {"sslmode": "require"}),
        ("postgresql+psycopg://u:p%40%25@h/d", {"password": "p@%"}),
        ("postgresql://h1:1,h2:2/d?target_session_attrs=any", {"host": "h1,h2", "port": "1,2"}),
        (
            "postgresql+psycopg2://u@/d?host=h1:5433&host=h2",
            {"host": "h1,h2", "port": "5433,5432"},
        ),
        ("host=h dbname=d", {"host": "h", "dbname": "d"}),
        ("postgresql://h/%C3%BCn%C3%AF", {"dbname": "ünï"}),
    ],
)
def test_urls_of_every_driver_mean_the_same_server(url: str, parameters: dict[str, str]) -> None:
    parsed = DatabaseUrl.parse(url).parameters
    assert parameters.items() <= parsed.items()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p%40%3A%2F%23%3F%26%20%25@h:1/d",
        "postgresql://u@h1:1,h2:2/d?sslmode=require",
        "postgresql://u@/d%2F%40%22?host=/tmp/so%20ck",
        "postgresql://[::1]:5433/d",
        "postgresql:///d",
    ],
)
def test_a_rendered_url_means_the_same_again(url: str) -> None:
    parsed = DatabaseUrl.parse(url)
    assert DatabaseUrl.parse(parsed.render(with_password=True)).parameters == parsed.parameters


def test_a_password_is_in_no_representation(root: Path) -> None:
    settings = Settings(root / "alembic.ini", DatabaseUrl.parse("postgresql://u:hunter2@h/d"))
    assert settings.url is not None
    for text in (repr(settings), str(settings), settings.url.render(), settings.url.location):
        assert "hunter2" not in text
