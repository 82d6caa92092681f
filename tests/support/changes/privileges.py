"""Changes of owners and rights, which are compared only when that is asked for."""

from __future__ import annotations

from tests.support.changes.case import Case, case

PRIVILEGES: tuple[Case, ...] = (
    case(
        "table granted",
        "GRANT SELECT ON agents TO pg_monitor",
        "grant table public.agents to pg_monitor",
        in_models=False,
    ),
    case(
        "column granted",
        "GRANT UPDATE (name) ON agents TO pg_monitor",
        "grant column public.agents.name to pg_monitor",
        in_models=False,
    ),
    case(
        "schema granted",
        "GRANT USAGE ON SCHEMA billing TO PUBLIC",
        "grant schema billing to PUBLIC",
        in_models=False,
    ),
    case(
        "function revoked",
        "REVOKE EXECUTE ON FUNCTION touch() FROM PUBLIC",
        "grant function public.touch() to PUBLIC",
        in_models=False,
    ),
    case(
        "owner's right revoked",
        "REVOKE DELETE ON agents FROM CURRENT_USER",
        "grant table public.agents to its owner: privileges",
        in_models=False,
    ),
    case(
        "grant option",
        "GRANT EXECUTE ON FUNCTION touch() TO pg_monitor WITH GRANT OPTION",
        "grant function public.touch() to pg_monitor",
        in_models=False,
    ),
    case(
        "table's owner",
        "ALTER TABLE agents OWNER TO pg_monitor",
        "owner table public.agents: role",
        in_models=False,
    ),
    case(
        "sequence granted",
        "GRANT USAGE ON SEQUENCE ticket TO pg_monitor",
        "grant sequence public.ticket to pg_monitor",
        in_models=False,
    ),
    case(
        "type revoked",
        "REVOKE USAGE ON TYPE state FROM PUBLIC",
        "grant type public.state to PUBLIC",
        in_models=False,
    ),
    case(
        "default privileges",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO pg_monitor",
        "default privileges tables of db_ops_admin in public to pg_monitor",
        in_models=False,
    ),
    case(
        "server granted",
        "GRANT USAGE ON FOREIGN SERVER archive TO pg_monitor",
        "grant foreign server archive to pg_monitor",
        in_models=False,
    ),
    case(
        "function's owner",
        "ALTER FUNCTION touch() OWNER TO pg_monitor",
        "owner function public.touch(): role",
        in_models=False,
    ),
)
