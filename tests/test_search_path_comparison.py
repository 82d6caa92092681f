"""A search path with the schema of the models, in which SQLAlchemy spells defaults otherwise."""

from __future__ import annotations

from pathlib import Path

from tests.support.foreign import KINDS, copy_project
from tests.support.launcher import Launcher

_BY_NAME = {kind.name: kind for kind in reversed(KINDS)}
ENV_PY = """
from alembic import context
from models import Base
from sqlalchemy import engine_from_config, pool

connectable = engine_from_config(
    context.config.get_section("alembic"), prefix="sqlalchemy.", poolclass=pool.NullPool
)
with connectable.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_schemas=True,
        version_table_schema="public",
    )
    with context.begin_transaction():
        context.run_migrations()
"""
MODELS = """
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


TICKET = sa.Sequence("ticket", schema="shop", metadata=Base.metadata)


class Book(Base):
    __tablename__ = "books"
    __table_args__ = {"schema": "shop"}

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(
        sa.BigInteger, server_default=sa.text("nextval('shop.ticket'::regclass)")
    )
"""
REVISION = '''
from alembic import op
revision, down_revision = "0001", None
def upgrade():
    op.execute("""
        CREATE SCHEMA shop;
        CREATE SEQUENCE shop.ticket;
        CREATE TABLE shop.books (
            id serial PRIMARY KEY, number bigint NOT NULL DEFAULT nextval('shop.ticket')
        )
    """)
def downgrade():
    op.execute("DROP SCHEMA shop CASCADE")
'''


def test_a_default_is_the_same_with_the_schema_that_the_search_path_leaves_out(
    tmp_path: Path, new_database_url: str, launcher: Launcher
) -> None:
    project = copy_project(_BY_NAME["ini_url"], tmp_path / "shop", new_database_url, launcher)
    (project.root / "alembic" / "env.py").write_text(ENV_PY)
    (project.root / "models.py").write_text(MODELS)
    for path in (project.root / "alembic" / "versions").glob("*.py"):
        path.unlink()
    (project.root / "alembic" / "versions" / "0001.py").write_text(REVISION)
    project.env["PGOPTIONS"] = "-c search_path=public,shop"
    project.run("init").succeeded()
    said = project.run("verify").succeeded()
    # Of Alembic itself, which looks for the table without its schema.
    assert "remove table books" in said.out
    assert "change server default" not in said.out
