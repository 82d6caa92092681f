"""What is told to a worker of a fleet, as plain data, and the hints of one member."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from db_ops.errors.quote_ident import quote_ident
from db_ops.settings import DatabaseUrl, Settings, load
from db_ops.settings.fleet import FleetSettings
from db_ops.target.fleet_members import Member

_OF_FLEET = re.compile(r"\bdb-ops (upgrade|downgrade|status|verify|init|history)\b")
# Of the settings of a fleet: x, fingerprints, schemas, environment.
_NOTHING: tuple[Any, ...] = ((), True, None, ())
_PATHS = ("alembic_ini", "user_cache", "folder", "server_home")
_LOADED = ("url", "application_url", "scratch_url", "fleet", "sources", "notes", "branch")


def plain_settings(settings: Settings, url: DatabaseUrl, *, with_url: bool) -> dict[str, Any]:
    """Return *settings*, of a service whose database *url* leads to, as plain data.

    *with_url* puts the URL in, with its password. Without, whoever gets it finds it in the
    variables of its own process, and that it leads to the same place.
    """
    plain = {name: value for name, value in vars(settings).items() if name not in _LOADED}
    plain |= {name: str(plain[name]) for name in _PATHS if plain[name] is not None}
    plain["declared_environment"] = settings.declared_environment
    plain["leads_to"] = url.render()
    if settings.fleet is not None:
        fleet = settings.fleet
        plain["of_members"] = [list(fleet.x), fleet.fingerprints, fleet.schemas, fleet.environment]
    if with_url:
        plain["url"] = {"parameters": dict(url.parameters), "label": url.label}
    return plain


def settings_in(plain: Mapping[str, Any]) -> Settings:
    """Return the settings that *plain* data stand for."""
    known = Settings.fields()
    given: dict[str, Any] = {name: value for name, value in plain.items() if name in known}
    given |= {name: Path(given[name]) for name in _PATHS if given[name] is not None}
    given |= {name: tuple(given[name]) for name in ("x", "models", "seed", "variables")}
    if "url" in plain:
        given["url"] = DatabaseUrl(**plain["url"])
        loaded = Settings(alembic_ini=given["alembic_ini"])
    else:
        ini = given["alembic_ini"]
        loaded = load(given["folder"] or ini.parent, alembic_ini=str(ini))
    return Settings(**{**vars(loaded), **given, "fleet": fleet_in(plain)})


def fleet_in(plain: Mapping[str, Any]) -> FleetSettings:
    """Return what *plain* data say of the members of the fleet."""
    x, fingerprints, schemas, variables = plain.get("of_members", _NOTHING)
    return FleetSettings(
        x=tuple(x),
        environment=tuple((name, value) for name, value in variables),
        fingerprints=fingerprints,
        schemas=schemas,
    )


def hint_for(hint: str, member: Member, fleet: FleetSettings) -> str:
    """Return *hint* with the commands in it for *member*."""
    name = shlex.quote(member.name)
    found = _OF_FLEET.sub(lambda one: f"{one[0]} --only {name}", hint)
    if found != hint:
        return re.sub(r"--confirm \S+", "--confirm 1", found.replace("db-ops ", "db-ops fleet "))
    if "db-ops " not in hint:
        return hint
    x, variables = member.told(fleet)
    if x:
        variables = (*variables, ("DB_OPS_X", shlex.join(x)))
    typed = "".join(f"{name}={shlex.quote(value)} " for name, value in variables)
    where = "" if member.only_schema else "DATABASE_URL for this database"
    if member.schema is not None and not variables:
        path = quote(quote_ident(member.schema), safe="")
        path = f"options=-csearch_path%3D{path} in DATABASE_URL"
        where = path if not where else f"{where}, and {path}"
    hint = hint.replace("db-ops ", f"{typed}db-ops ")
    return f"with {where}: {hint}" if where else hint
