"""Compare the database with models and migrations, or with its records."""

from __future__ import annotations

from db_ops.results import OnEvent, QuicklyVerified, Verified, ignore
from db_ops.settings import Settings
from db_ops.target.target import open_target


def verify(
    settings: Settings,
    *,
    grants: bool = False,
    accept: bool = False,
    quick: bool = False,
    on_event: OnEvent = ignore,
) -> Verified | QuicklyVerified:
    """Compare models, migrations and database, and name every difference.

    Models and migrations are built in scratch databases, or taken from the cache; `alembic check`
    runs as well. The session on the target is read-only and waits at most `lock_timeout` for a
    table, so that it provably writes nothing and stops nobody. With *grants*, owners and rights are
    compared too. With *accept*, the differences of schemas found are written to the project's
    baseline, and count no more. With *quick*, only look whether the catalogs are as they were when
    the head was applied: see `verify_quickly`. The result's exit code is 3 if anything differs.

    Without the right to make scratch databases, only Alembic's reflection compares, and the result
    says so. Raises `InvalidVerifyRules`, `EnvironmentBroken`, `EmptyMetadata`,
    `RevisionFileBroken`, `ScratchServerDiffers`, `TableLocked`.
    """
    if quick:
        from db_ops.commands.verify_quick import verify_quickly

        return verify_quickly(settings, on_event)
    from db_ops.verification.comparison import compare_all

    return compare_all(open_target(settings, "verify", on_event), grants=grants, accept=accept)
