"""The options on the command line of the plain `alembic` command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PlainOptions:
    """Alembic's `-c`, `-n` and `-x`, as far as they were given."""

    config: str | None = None
    section: str | None = None
    x: tuple[str, ...] = ()

    def typed(self) -> tuple[str, ...]:
        """Return the same options as our own commands take them."""
        return self._typed("--config", "--name")

    def typed_for_alembic(self) -> tuple[str, ...]:
        return self._typed("-c", "-n")

    def _typed(self, config: str, name: str) -> tuple[str, ...]:
        options = [config, self.config] if self.config is not None else []
        options += [name, self.section] if self.section is not None else []
        for argument in self.x:
            options += ["-x", argument]
        return tuple(options)


def plain_options() -> PlainOptions:
    """Return the options of the `alembic` command that runs env.py now."""
    from alembic import context

    given = context.config.cmd_opts
    # Also where a variable of Alembic's own has named it.
    config = context.config.config_file_name
    usual = Path("alembic.ini").absolute()
    section = getattr(given, "name", None)
    return PlainOptions(
        config=None if config is None or Path(config).absolute() == usual else str(config),
        section=section if section != "alembic" else None,
        x=tuple(getattr(given, "x", None) or ()),
    )
