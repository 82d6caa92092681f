"""Compare models and migrations in scratch databases, without the target."""

from __future__ import annotations

from dataclasses import replace

from db_ops.builds.test_databases import database_factory
from db_ops.commands.verify import verify
from db_ops.results import OnEvent, Verified, ignore
from db_ops.settings import Settings


def check_models(settings: Settings, *, on_event: OnEvent = ignore) -> Verified:
    """Verify the models against a database that the migrations make for it, and that goes again.

    For hooks and CI. *settings* are those for tests (`load(for_tests=True)`): the server is that of
    `DB_OPS_TEST_URL` or the embedded one, whatever `DATABASE_URL` says. Unchanged migrations are
    not run again. Raises what `verify` and `init` raise.
    """
    with database_factory(settings, on_event=on_event) as made:
        url = made.create()
        try:
            found = verify(replace(settings, url=url), on_event=on_event)
            assert isinstance(found, Verified)  # the other kind is for a look that is quick
        finally:
            made.drop(url)
    return replace(found, location="a new database")
