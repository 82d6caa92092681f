"""What is installed, and under which name."""

from __future__ import annotations

import re

from tests.support.project import REPOSITORY

# On the package index, this name is somebody else's.
OLD_NAME = re.compile(
    r"(?<![\w-])db-ops\[|pip install[^\n|&`]*[ '\"]db-ops\b|^name = \"db-ops\"", re.M
)
PLACES = ("*.md", "*.toml", "*.yml", "Dockerfile", "ci/**/*", "docs/*", "scripts/*", "src/**/*.py")


def test_nothing_says_to_install_the_package_of_somebody_else() -> None:
    paths = {path for place in PLACES for path in REPOSITORY.glob(place) if path.is_file()}
    assert REPOSITORY / "README.md" in paths
    found = [
        f"{path.relative_to(REPOSITORY)}: {match[0]}"
        for path in sorted(paths)
        if (match := OLD_NAME.search(path.read_text(errors="replace")))
    ]
    assert found == []


def test_the_old_name_would_be_found() -> None:
    for text in ("pip install db-ops", "pip install 'db-ops[embedded]'", "run: db-ops[squawk]"):
        assert OLD_NAME.search(text)
    for text in ("alembic-db-ops[embedded]", "pip install -e . && db-ops init", "`db-ops init`"):
        assert not OLD_NAME.search(text)
