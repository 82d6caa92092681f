from alembic import context
from models import Base
from sqlalchemy import engine_from_config, text

engine = engine_from_config(context.config.get_section("alembic"), prefix="sqlalchemy.")

with engine.connect() as connection:
    for shop in ("north", "south"):
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {shop}"))
        connection.execute(text(f"SET search_path TO {shop}"))
        connection.commit()
        connection.dialect.default_schema_name = shop
        context.configure(
            connection=connection, target_metadata=Base.metadata, version_table_schema=shop
        )
        with context.begin_transaction():
            context.run_migrations()
