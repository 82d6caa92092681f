"""URLs as hosting providers, other tools and other drivers write them."""

from __future__ import annotations

import pytest

from db_ops.errors import InvalidUrl
from db_ops.settings import DatabaseUrl
from tests.support.project import Project

MISUSED = 2


@pytest.mark.parametrize(
    ("url", "parameters"),
    [
        # Heroku, AWS RDS and Aurora, Azure, Google Cloud SQL, DigitalOcean, Render, Fly.
        (
            "postgres://ua:pb@ec2-1.compute-1.amazonaws.com:5432/dc",
            {"host": "ec2-1.compute-1.amazonaws.com", "dbname": "dc", "user": "ua"},
        ),
        (
            "postgresql://app:x@db.cluster-c.eu-west-1.rds.amazonaws.com:5432/app"
            "?sslmode=verify-full&sslrootcert=/etc/ssl/global-bundle.pem",
            {"sslmode": "verify-full", "sslrootcert": "/etc/ssl/global-bundle.pem"},
        ),
        (
            "postgresql://clerk%40server:x@server.postgres.database.azure.com/app?sslmode=require",
            {"user": "clerk@server", "sslmode": "require"},
        ),
        (
            "postgresql+psycopg2://u:p@/app?host=/cloudsql/project:region:instance",
            {"host": "/cloudsql/project:region:instance", "dbname": "app"},
        ),
        (
            "postgresql://doadmin:x@db-do-user-1.b.db.ondigitalocean.com:25060/defaultdb"
            "?sslmode=require",
            {"port": "25060", "dbname": "defaultdb"},
        ),
        # Neon, Supabase, CockroachDB Cloud.
        (
            "postgresql://alex:x@ep-cool-1.us-east-2.aws.neon.tech/db"
            "?sslmode=require&channel_binding=require&options=endpoint%3Dep-cool-1",
            {"channel_binding": "require", "options": "endpoint=ep-cool-1"},
        ),
        (
            "postgresql://postgres.ref:x@aws-0-eu-1.pooler.supabase.com:5432/postgres",
            {"user": "postgres.ref", "port": "5432"},
        ),
        (
            "postgresql://u:x@h.cockroachlabs.cloud:26257/defaultdb"
            "?sslmode=verify-full&options=--cluster%3Dc-1",
            {"options": "--cluster=c-1"},
        ),
        # Drivers.
        ("postgresql+asyncpg://u:x@h/d?ssl=true", {"sslmode": "require"}),
        ("postgresql+asyncpg://u:x@h/d?ssl=False", {"sslmode": "disable"}),
        ("postgresql+asyncpg://u:x@h/d?ssl=verify-full", {"sslmode": "verify-full"}),
        ("postgresql://u:x@h/d?ssl=true", {"sslmode": "require"}),
        (
            "postgresql+asyncpg://u:x@h/d?prepared_statement_cache_size=0&command_timeout=60",
            {"host": "h", "dbname": "d"},
        ),
        ("postgresql+psycopg://u:x@h/d?sslmode=require&sslmode=prefer", {"sslmode": "prefer"}),
        ("postgresql+pg8000://u:x@h/d", {"user": "u"}),
        ("postgresql+psycopg_async://u:x@h/d?prepare_threshold=0", {"user": "u"}),
    ],
)
def test_what_others_write_means_what_it_says(url: str, parameters: dict[str, str]) -> None:
    parsed = DatabaseUrl.parse(url).parameters
    assert parameters.items() <= parsed.items()
    assert "ssl" not in parsed


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+asyncpg", "postgres"])
@pytest.mark.parametrize(
    ("query", "named", "instead"),
    [
        ("schema=public", "'schema'", "options=-csearch_path%3DSCHEMA"),
        ("currentSchema=app", "'currentSchema'", "options=-csearch_path%3DSCHEMA"),
        ("sslmode=require&pgbouncer=true", "'pgbouncer'", "leave it out"),
        ("connection_limit=1", "'connection_limit'", "leave it out"),
        ("sslmod=require", "'sslmod'", "write sslmode"),
        ("ssl-mode=REQUIRED", "'ssl-mode'", "write sslmode=require"),
        ("sslaccept=strict", "'sslaccept'", "sslmode=verify-full"),
        ("sslrootcrt=/x", "'sslrootcrt'", "write sslrootcert"),
        ("supa=base-pooler.x", "'supa'", "leave it out"),
        ("serverVersion=16&charset=utf8", "'serverVersion'", "leave it out"),
        ("charset=utf8", "'charset'", "client_encoding"),
        ("statement_timeout=5000", "'statement_timeout'", "options=-cstatement_timeout"),
        ("uselibpqcompat=true&sslmode=require", "'uselibpqcompat'", "leave it out"),
    ],
)
def test_a_parameter_that_libpq_does_not_know_is_named_with_what_to_write(
    scheme: str, query: str, named: str, instead: str
) -> None:
    with pytest.raises(InvalidUrl) as caught:
        DatabaseUrl.parse(f"{scheme}://u:x@h/d?{query}")
    assert named in caught.value.message
    assert instead in caught.value.hint


@pytest.mark.parametrize(
    ("url", "said", "hint"),
    [
        ('"postgresql://u:x@h/app"', "in quotes", "without quotes"),
        ("'postgresql://u:x@h/app'", "in quotes", "without quotes"),
        ("postgresql://u:x@h/app'", "in quotes", "without quotes"),
        ("\u201cpostgresql://u:x@h/app\u201d", "in quotes", "without quotes"),
        ("psql 'postgresql://u:x@h/app?sslmode=require'", "command", "URL alone"),
        ("DATABASE_URL=postgresql://u:x@h/app", "name of a variable", "URL alone"),
        ("export DATABASE_URL=postgresql://u:x@h/app", "name of a variable", "URL alone"),
        ("postgis://u:x@h/app", "postgis://", "postgresql://"),
        ("psql://u:x@h/app", "psql://", "postgresql://"),
        ("POSTGRESQL://u:x@h/app", "POSTGRESQL://", "postgresql://"),
        ("jdbc:postgresql://h/app?user=u", "does not begin", "postgresql://"),
        ("prisma+postgres://h/app?api_key=u", "prisma", "postgresql://"),
    ],
)
def test_what_was_pasted_with_the_url_is_said(
    project: Project, url: str, said: str, hint: str
) -> None:
    project.url = url
    outcome = project.run("status").failed(MISUSED)
    assert said in outcome.error
    assert hint in outcome.hint
