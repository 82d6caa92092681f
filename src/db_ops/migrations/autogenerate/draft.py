"""The operations that autogenerate would write into a revision, as Python text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db_ops.errors import EnvironmentBroken
from db_ops.migrations.autogenerate.rendering import Changed, Operation, Renderer
from db_ops.migrations.autogenerate.revision_text import has_downgrade
from db_ops.migrations.autogenerate.run import run_autogenerate
from db_ops.migrations.autogenerate.table_operations import Definitions
from db_ops.migrations.autogenerate.write_errors import PlaceholderMissing
from db_ops.migrations.autogenerate.write_hooks import finish_file, hooks_of
from db_ops.migrations.env.runner import Database
from db_ops.migrations.env.runtime import MAX_REVISION_ID
from db_ops.migrations.project import Project
from db_ops.migrations.scripts import without_bytecode

if TYPE_CHECKING:
    from alembic.autogenerate import RevisionContext
    from alembic.operations import MigrationScript
    from sqlalchemy import Connection

_ALWAYS_KNOWN = "from alembic import op", "import sqlalchemy as sa"


@dataclass(frozen=True)
class Draft:
    """The operations that Alembic generates to make a database match the models."""

    context: RevisionContext
    script: MigrationScript
    renderer: Renderer

    @cached_property
    def _hooks(self) -> Any:
        scripts = self.context.script_directory
        return getattr(scripts, hooks_of(scripts))

    def upgrade(self, changed: Changed, constraints: Definitions) -> tuple[Operation, ...]:
        """Return the upgrade operations for what is *changed*; tables get these *constraints*."""
        return self._operations(self.script.upgrade_ops_list, changed, constraints)

    def downgrade(self, changed: Changed, constraints: Definitions) -> tuple[Operation, ...]:
        """Return the downgrade operations for what is *changed*; tables had these *constraints*."""
        return self._operations(self.script.downgrade_ops_list, changed, constraints)

    @property
    def imports(self) -> tuple[str, ...]:
        """The import statements that what was rendered so far needs."""
        return (*_ALWAYS_KNOWN, *sorted(self.renderer.context.imports))

    def execute(self, connection: Connection, code: str) -> None:
        """Run *code*, operations as they stand in a revision file, on *connection*."""
        from alembic.migration import MigrationContext
        from alembic.operations import Operations

        namespace: dict[str, Any] = {}
        exec("\n".join(self.imports), namespace)
        with Operations.context(MigrationContext.configure(connection)):
            exec(compile(code, "<operations>", "exec"), namespace)

    def write(self, message: str, upgrade: Sequence[str], downgrade: Sequence[str]) -> Path:
        """Write the project's template with this code, under the configured file name.

        Raises `PlaceholderMissing`, and what Alembic raises for a file that does not import. The
        file is there then.
        """
        self.script.message = message.replace("\\", "\\\\").replace('"', '\\"')
        way_back = str(self.script.downgrade_ops_list[0].downgrade_token)
        parts = {
            str(self.script.upgrade_ops_list[0].upgrade_token): _body(upgrade),
            way_back: _body(downgrade),
            "imports": "\n".join(sorted(self.renderer.context.imports)),
        }
        template: dict[str, Any] = self.context.template_args
        template |= parts
        # It is rendered already, as Alembic renders it, but for what was left out.
        self.script._needs_render = False
        # A hook of the project may have emptied the list: Alembic saw nothing to write.
        self.context.generated_revisions[:] = [self.script]
        scripts = self.context.script_directory
        hooks, kept = hooks_of(scripts), self._hooks
        setattr(scripts, hooks, type(kept)())
        try:
            # Alembic imports what it writes, and the file is still to be edited.
            with without_bytecode():
                (written,) = self.context.generate_scripts()
        finally:
            setattr(scripts, hooks, kept)
        assert written is not None
        path = Path(written.path)
        text = path.read_text(encoding="utf-8")
        for name, part in parts.items():
            if part not in text and (name != way_back or has_downgrade(text)):
                raise PlaceholderMissing(f"${{{name}}}")
        return path

    def finish(self, path: Path) -> str | None:
        """Run the project's own post-write hooks on the file, or format it: see `finish_file`."""
        return finish_file(path, self._hooks)

    def _operations(
        self, parts: Iterable[Any], changed: Changed, constraints: Definitions
    ) -> tuple[Operation, ...]:
        return tuple(
            operation
            for part in parts
            for operation in self.renderer.operations(part, changed, constraints)
        )


def _body(statements: Sequence[str]) -> str:
    """Return *statements* as Alembic puts them into a template: all but the first line indented."""
    lines = [line for statement in statements for line in statement.split("\n")]
    if all(line.startswith("#") for line in lines):
        lines.append("pass")
    return "\n    ".join(lines)


def draft_revision(
    project: Project, database: Database, head: str = "head", schemas: tuple[str, ...] = ()
) -> Draft:
    """Let Alembic compare the models with *database*: see `run_autogenerate`."""
    found = run_autogenerate(project, database, head, schemas)
    compared, script = found.context._last_autogen_context, found.script
    if len(str(script.rev_id)) > MAX_REVISION_ID:
        reason = f"it names a revision {script.rev_id!r}, longer than {MAX_REVISION_ID} characters"
        raise EnvironmentBroken(project.display(project.env_py), reason)
    default = compared.dialect.default_schema_name or "public"
    return Draft(found.context, script, Renderer(compared, default))
