"""The last comparison in which everything agreed, which need not be made again of the same.

Most of a comparison is `alembic check`, which reflects each table. Of the same models, the same
options of env.py and the same catalogs it says the same.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from db_ops.builds.schema_cache import content_key
from db_ops.migrations.build_inputs import BuildInputs, Files
from db_ops.migrations.cache_files import write_atomically
from db_ops.postgres.schema.serialization import to_json
from db_ops.results import Silenced, Verified
from db_ops.target.target import Target
from db_ops.verification.baseline import Rules
from db_ops.verification.schema_caches import migrations_key
from db_ops.verification.target_state import TargetState

_SIDES = {"database": "catalogs"} | dict.fromkeys(
    ("migrations", "models", "alembic check"), "cache"
)


@dataclass(frozen=True)
class Agreement:
    """What was compared, by its digest, and the file in which an agreement of it is kept.

    None for one whose comparison may depend on more than is known: env.py is not ours, or the
    database is not at the head.
    """

    path: Path | None
    key: str = ""

    @classmethod
    def of(cls, target: Target, inputs: BuildInputs, state: TargetState, rules: Rules) -> Agreement:
        """Return that of a comparison of *state* with what *inputs* make, under *rules*."""
        project, folder = target.project, target.settings.cache_folder
        is_whole = state.schema is not None and state.why_not is None
        is_at_head = not state.ahead and set(state.recorded or ()) == set(target.graph.heads)
        if not (folder and is_whole and is_at_head and project.is_ours and not project.tables):
            return cls(None)
        assert state.schema is not None
        # In whatever order the server has found them.
        schema = replace(state.schema, objects=dict(sorted(state.schema.objects.items())))
        inputs_key = migrations_key(target, inputs, state)
        compared = (to_json(schema), state.beyond_schema, state.owner or "", repr(rules))
        name = f"agreement-{content_key(str(target.settings.alembic_ini), target.location)[:16]}"
        return cls(folder / f"{name}.json", content_key(inputs_key, *compared))

    def found(self, target: Target, inputs: BuildInputs, rules: Rules) -> Verified | None:
        """Return the result of the comparison, if it was made of the same and all agreed."""
        if self.path is None:
            return None
        with suppress(OSError, ValueError, TypeError):
            key, files, silenced, stale = json.loads(self.path.read_bytes())
            if key == self.key and inputs.are_unchanged(files):
                return Verified(
                    location=target.location,
                    heads=target.graph.heads,
                    current=target.graph.heads,
                    differences=(),
                    unchecked=(),
                    ahead_is_different=target.settings.ahead_is_different,
                    sides=_SIDES,
                    alembic=(),
                    silenced=tuple(Silenced(*one) for one in silenced),
                    stale=tuple(stale),
                    baseline=target.project.display(rules.path),
                )
        return None

    def keep(self, verified: Verified, *used: Files | None) -> None:
        """Keep that *verified* names no difference, if it is certain what files were *used*."""
        files: dict[str, str] = {}
        for one in used:
            if one is None:
                return
            files |= one
        if self.path is not None and verified.agrees and verified.alembic == ():
            silenced = [(one.subject, one.reason) for one in verified.silenced]
            text = json.dumps((self.key, files, silenced, verified.stale))
            with suppress(OSError):
                write_atomically(self.path, text.encode())
