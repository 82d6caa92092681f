"""The database of the git branch that is checked out: its name, and settings that lead to it."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from db_ops.errors import InvalidSettings
from db_ops.frozen_data import replace
from db_ops.settings.git_checkout import GitCheckout
from db_ops.settings.model import DEVELOPMENT, EMBEDDED_DATABASE, Settings
from db_ops.settings.url import MAX_NAME_BYTES, DatabaseUrl

SETTING = "[tool.db_ops] database_per_branch"
COMMENT = "db_ops branch: "
# What is left for the branch has to tell people which one it is.
_LONGEST_BASE = 44


class BranchDatabases:
    """The names that the databases of the branches of a repository have.

    That of the `default` branch is the one that the settings name, the `base`. Another one's has
    what tells it from a branch of the same name: of another clone, or of one deleted before.
    """

    def __init__(self, checkout: GitCheckout, default: str, base: str) -> None:
        self.checkout, self.default, self.base = checkout, default, base

    @property
    def current(self) -> str:
        """The name of the database of the branch that is checked out."""
        return self.name(self.checkout.key)

    def name(self, key: str) -> str:
        """Return the name of the database of the branch *key*, made or not."""
        if key == self.default:
            return self.base
        return self._configured(key) or self.computed(key)

    def computed(self, key: str) -> str:
        """Return the name that the database of *key* is given when it is made."""
        shown = (one if one.isascii() and (one.isalnum() or one in "._-") else "-" for one in key)
        readable = "".join(shown).strip("-")
        readable = f"detached-{readable}".rstrip("-") if key.startswith(":") else readable
        born = self.checkout.creation(key)
        told = "\0".join((str(self.checkout.common), self.base, key, born))
        digest = blake2b(told.encode(errors="surrogateescape"), digest_size=3).hexdigest()
        room = MAX_NAME_BYTES - len(f"{self.base}~~{digest}".encode())
        return f"{self.base}~{readable[:room]}~{digest}"

    def _configured(self, key: str) -> str | None:
        """Return the name that the configuration of a branch has kept, as through a rename."""
        named = [(branch, name) for branch, name in self.checkout.configured if self.is_of(name)]
        for branch, name in named:
            if branch == key:
                others = [other for other, same in named if same == name and other != key]
                # `git branch -c` copies the configuration too: the name is that of the first one.
                taken = any(self.computed(other) == name for other in others)
                return None if taken else name
        return None

    def is_of(self, name: str) -> bool:
        """Tell whether a database of this *name* is one of a branch, beside the base."""
        return name != self.base and base_of(name) == self.base

    def living(self) -> dict[str, str]:
        """Return the names of the databases of all that is there now, and whose they are."""
        trees = self.checkout.working_trees_of_branches()
        keys = (*self.checkout.branches(), self.checkout.key, *trees)
        return {self.name(key): key for key in keys}

    def comment(self, name: str) -> str:
        """Return the line of the comment of a new database *name* that tells whose it is."""
        if name == self.base:
            return ""
        import json
        from datetime import UTC, datetime

        facts = {
            "branch": self.checkout.key,
            "of": self.base,
            "repository": str(self.checkout.common),
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return COMMENT + json.dumps(facts)


def base_of(name: str) -> str:
    """Return the name of the database beside which *name* is that of a branch, or *name*."""
    base, _, rest = name.rpartition("~")
    base, _, _ = base.rpartition("~")
    is_of_branch = base and len(rest) == 6 and not set(rest) - set("0123456789abcdef")
    return base if is_of_branch else name


def ignored_because(settings: Settings) -> str | None:
    """Return why `database_per_branch` has no effect, None where it has."""
    if not settings.database_per_branch:
        return f"{SETTING} is not set"
    if settings.in_ci:
        return f"{SETTING} is ignored in CI"
    if settings.environment != DEVELOPMENT:
        return f"{SETTING} is ignored: the environment is {settings.environment_for_people}"
    if GitCheckout.around(settings.root) is None:
        return f"{SETTING} is ignored: {settings.root} is in no git repository"
    return None


def branch_databases(settings: Settings) -> BranchDatabases | None:
    """Return what names the databases of branches, None where there is one for all of them.

    Raises `InvalidSettings` where nothing tells which branch keeps the database of the settings,
    or where its name leaves no room for another's.
    """
    if not settings.database_per_branch or settings.in_ci or settings.environment != DEVELOPMENT:
        return None
    checkout = GitCheckout.around(settings.root)
    if checkout is None:
        return None
    named = settings.database_per_branch
    default = named if isinstance(named, str) else checkout.default_branch
    if default is None:
        what = "no branch is main or master; instead of true, name the branch that keeps the"
        raise InvalidSettings({SETTING: f"{what} database of the settings"})
    base = EMBEDDED_DATABASE if settings.url is None else base_of(settings.url.database)
    if len(base.encode()) > _LONGEST_BASE:
        what = f"the name of the database, {base!r}, is longer than {_LONGEST_BASE} bytes, and"
        raise InvalidSettings({SETTING: f"{what} leaves no room for the name of a branch"})
    return BranchDatabases(checkout, default, base)


def on_branch(settings: Settings) -> Settings:
    """Return *settings* with the database of the branch that is checked out.

    Without a URL, they mean the embedded server. What calls this twice gets the same. Raises what
    `branch_databases` raises, and `InvalidSettings` for two names of one database.
    """
    databases = branch_databases(settings)
    if databases is None:
        return settings
    url, application = settings.url, settings.application_url
    name = databases.current
    if url is None:
        home = _server_home(settings.root, databases.checkout)
        settings = replace(settings, server_home=home)
    elif application is not None:
        if base_of(application.database) != databases.base:
            what = f"{application.source} names the database {application.database!r}, {url.source}"
            what += f" {url.database!r}; it needs one name for both"
            raise InvalidSettings({SETTING: what})
        application = application.with_database(name)
    return replace(
        settings,
        url=None if url is None else url.with_database(name),
        application_url=application,
        branch=databases,
    )


def url_on_branch(settings: Settings, url: DatabaseUrl) -> DatabaseUrl:
    """Return the way to the database of the branch, beside the one that *url* names."""
    return on_branch(replace(settings, url=url, application_url=None)).url or url


def _server_home(root: Path, checkout: GitCheckout) -> Path | None:
    """Return the folder of the embedded server of all working trees: that of the main one."""
    if checkout.directory == checkout.common or checkout.common.name != ".git":
        return None
    return checkout.common.parent / root.relative_to(checkout.top) / ".db_ops"
