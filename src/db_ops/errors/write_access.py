"""Servers, and what stands before them, through which nothing can be written safely."""

from __future__ import annotations

from collections.abc import Mapping

from db_ops.errors.base import URL_VARIABLE, ExitCode
from db_ops.errors.server import ServerError


class TransactionPooler(ServerError):
    """A pooler gives every transaction another session, so that no lock and no SET would hold."""

    what = "{location}: is behind a transaction pooler, through which migrations cannot run"
    then = "name the server itself, or a pool in session mode, in {place}"
    source: str = URL_VARIABLE

    def described(self) -> Mapping[str, object]:
        own = self.source.startswith("DB_OPS_")
        place = self.source if own else f"DB_OPS_MIGRATION_URL, beside {self.source}"
        return {**super().described(), "place": place}


class BalancingPooler(TransactionPooler):
    """Pgpool-II answers what only reads itself, or lets a standby answer, maybe of a moment ago."""

    what = "{location}: is behind Pgpool-II with {setting} = on, through which reads may come late"
    then = "name the primary itself in {place}, or set {setting} = off in pgpool.conf"
    setting: str = "load_balance_mode"


class ReadOnlyServer(ServerError):
    """The server takes no writes from us."""

    what = "{location}: does not accept writes: {reason}"
    then = "{remedy}"
    reason: str
    remedy: str


class StandbyServer(ReadOnlyServer):
    """The server is a standby: the wrong one, or a primary until a moment ago.

    For a while, a proxy leads to the latter, and who tries again is led to the new primary.
    """

    exit_code = ExitCode.TRY_AGAIN
    then = (
        "let {source} name the primary, or all hosts and append target_session_attrs=read-write; "
        "during a failover, run the same command again"
    )
    reason: str = "it is a standby"
    remedy: str = ""
    source: str = URL_VARIABLE
