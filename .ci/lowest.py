"""Print pip constraints that pin every runtime dependency to the lowest version allowed."""

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]

for requirement in PROJECT["dependencies"]:
    print(re.sub(r">=", "==", requirement))
