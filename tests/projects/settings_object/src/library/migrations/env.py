from alembic import context
from library.models import Base
from library.settings import Settings
from sqlalchemy import create_engine

engine = create_engine(Settings().database_url)

with engine.begin() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
