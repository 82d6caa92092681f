"""The list of public projects that `scripts/corpus.py` runs."""

from __future__ import annotations

import re

from scripts.corpus import declared

_COMMIT = re.compile(r"[0-9a-f]{40}\Z")


def test_every_project_of_the_corpus_is_pinned_and_says_where_its_model_is() -> None:
    projects = list(declared())
    assert len(projects) >= 12
    assert len({project.name for project in projects}) == len(projects)
    for project in projects:
        assert bool(project.package) != bool(project.repository), project.name
        assert bool(_COMMIT.match(project.version)) == bool(project.repository), project.name
        assert all(project.model), project.name
        assert "corpus_note" in project.model[2], project.name
