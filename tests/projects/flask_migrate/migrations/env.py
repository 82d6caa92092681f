from logging.config import fileConfig

from alembic import context
from flask import current_app

config = context.config
fileConfig(config.config_file_name)
database = current_app.extensions["migrate"].db


def keep_changes(context, revision, directives):
    if getattr(config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives[:] = []


options = dict(current_app.extensions["migrate"].configure_args)
options.setdefault("process_revision_directives", keep_changes)
with database.engine.connect() as connection:
    context.configure(connection=connection, target_metadata=database.metadata, **options)
    with context.begin_transaction():
        context.run_migrations()
