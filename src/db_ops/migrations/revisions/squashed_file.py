"""The revision file that takes the place of those that are squashed into it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db_ops.frozen_data import FrozenData
from db_ops.migrations.autogenerate.revision_text import escape_parameters, list_in_docstring
from db_ops.migrations.autogenerate.write_errors import revision_not_written
from db_ops.migrations.autogenerate.write_hooks import hooks_of
from db_ops.migrations.config_options import escape_percent
from db_ops.migrations.project import Project

if TYPE_CHECKING:
    from alembic.script import Script, ScriptDirectory

_INDENT = "    "
_BACKSLASH = "\\"


class SquashedFile(FrozenData):
    """What the new file says: SQL for its `upgrade` and `downgrade`, and what it replaces.

    `notes` are listed in its docstring. Where there is no way back, `irreversible` says why.
    `checksum` is that of the file that had the identifier `revision` before.
    """

    revision: str
    message: str
    replaces: tuple[str, ...]
    checksum: str | None
    labels: tuple[str, ...]
    depends: tuple[str, ...]
    upgrade: Sequence[str]
    downgrade: Sequence[str]
    irreversible: str | None = None
    notes: Sequence[str] = ()

    def write(self, project: Project, folder: Path, known: Iterable[Script]) -> Path:
        """Write it by the project's template and file name into *folder*, and import it.

        *known* are the revisions that it depends on. Raises `RevisionNotWritten`.
        """
        from alembic.script.revision import RevisionMap

        scripts, config = _directory(project, folder)
        copies = [_copied(one) for one in known]
        scripts.revision_map = RevisionMap(lambda: copies)
        setattr(scripts, hooks_of(scripts), type(getattr(scripts, hooks_of(scripts)))())
        down = _body(self.downgrade)
        if self.irreversible is not None:
            down = f"raise NotImplementedError({self.irreversible!r})"
        try:
            script = scripts.generate_revision(
                self.revision,
                self.message,
                head="base",
                branch_labels=self.labels or None,
                version_path=str(folder),
                depends_on=self.depends or None,
                upgrades=_body(self.upgrade),
                downgrades=down,
                imports="",
                config=config,
            )
        except Exception as error:
            raise revision_not_written(project, error) from error
        assert script is not None
        path = Path(script.path)
        path.write_text(self._with_constants(path.read_text(encoding="utf-8")), encoding="utf-8")
        list_in_docstring(path, self.notes)
        return path

    def _with_constants(self, source: str) -> str:
        """Put what is replaced in front of the first function."""
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        line = next(one.lineno for one in ast.parse(source).body if isinstance(one, functions))
        lines = source.split("\n")
        names = "".join(f"{_INDENT}{one!r},\n" for one in self.replaces)
        said = (
            "# A database at one of these needs the files from before they were squashed.\n"
            f"replaces = (\n{names})\n"
            f"# Of the file that {self.revision} was, for databases that it ran in.\n"
            f"replaced_checksum = {self.checksum!r}\n\n"
        )
        lines[line - 1 : line - 1] = said.split("\n")
        return "\n".join(lines)


def scripts_with(project: Project, path: Path, others: Iterable[Script]) -> ScriptDirectory:
    """Return Alembic's view of a project with the revision file at *path* and these *others*."""
    from alembic.script import Script
    from alembic.script.revision import RevisionMap
    from alembic.util import load_python_file

    scripts, _ = _directory(project, path.parent)
    module = load_python_file(path.parent, path.name)
    found = [Script(module, module.revision, str(path)), *(_copied(one) for one in others)]
    scripts.revision_map = RevisionMap(lambda: found)
    return scripts


def _directory(project: Project, folder: Path) -> tuple[ScriptDirectory, Any]:
    from alembic.script import ScriptDirectory

    config = project.alembic_config()
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_path_separator", "os")
    config.set_main_option("version_locations", escape_percent(folder))
    return ScriptDirectory.from_config(config), config


def _copied(script: Script) -> Script:
    """Return *script* as one that belongs to no graph yet."""
    from alembic.script import Script

    return Script(script.module, script.revision, script.path)


def _body(statements: Sequence[str]) -> str:
    """Return the calls that send *statements*, as a template takes them: behind an indentation."""
    return f"\n{_INDENT}".join(map(_call, statements)) or "pass"


def _call(statement: str) -> str:
    """Return the call that sends *statement*, with the line breaks that it has."""
    text = escape_parameters(statement)
    if "\n" not in text or '"""' in text or text.endswith(("\\", '"')) or not _is_plain(text):
        return f"op.execute({text!r})"
    return f'op.execute({"r" if _BACKSLASH in text else ""}"""{text}""")'


def _is_plain(text: str) -> bool:
    """Tell whether a source file gives *text* back as it is; Python makes its line ends others."""
    return text.replace("\n", "").replace("\t", "").isprintable()
