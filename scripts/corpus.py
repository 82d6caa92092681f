"""Run every command in public projects that were not written for this one, and show a table.

`python -m scripts.corpus [NAME ...]`. The folder that `DB_OPS_CORPUS` names keeps each project as
it was fetched, with an environment of its own, what each command printed (`log.txt`) and the
results; nothing of theirs comes in here. What is fetched, and how it is set up, is in
`corpus.toml`. The server is started here: the embedded one, or the PostgreSQL whose programs
`DB_OPS_TEST_BINARIES` names. `uv` and `git` have to be installed. `python -m scripts.corpus --page`
writes the results into the documentation.
"""

from __future__ import annotations

import json
import operator
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql

from scripts.corpus_catalogs import compare_with_alembic
from tests.support.cluster import Cluster

ROOT = Path(__file__).parents[1]
DECLARED = Path(__file__).with_suffix(".toml")
ROLE = "corpus"
NOTE = "corpus_note"
TIMEOUT = 1800
PAGE = ROOT / "docs" / "adopting.md"
MARK = "<!-- python -m scripts.corpus --page -->"
END = "<!-- to here -->"
OK = "ok"
# What begins so is a difference that the project has of itself, and `alembic check` names too.
OWN = "own"
# Without differences, and the migrations were left out: nothing but the project's bootstrap makes
# what they make.
PART = "part"
# The second call and later are measured.
CALLS = 3
_FINE = {OWN: "own differences", PART: "`verify` in part"}
_OF_ALEMBIC = "models and database differ: "
# `alembic check` compares these only if env.py says so.
_OF_A_DEFAULT = re.compile(r"^column \S+: default: the models are ahead of the migrations$")
_NOT_PASSED_ON = re.compile("DB_OPS_|DATABASE_URL|PG|PYTEST|VIRTUAL_ENV|PYTHON")


@dataclass(frozen=True)
class Project:
    """A project as declared. What `{url}` stands for in it is the URL of its database."""

    name: str
    # What it is an example of.
    kind: str
    # Of a package of PyPI the version, of a repository of GitHub the commit.
    version: str
    package: str = ""
    repository: str = ""
    python: str = "3.12"
    install: tuple[str, ...] = ()
    # The folders of a package that are moved out of site-packages, as they are in a checkout.
    folders: tuple[str, ...] = ()
    # Where commands are typed.
    folder: str = "."
    # The file in which its own documentation has the user fill in `sqlalchemy.url`, and with what.
    url_in: str = ""
    url: str = "postgresql+psycopg2://{location}"
    # Whom its own documentation has own the database.
    role: str = ROLE
    # Where a package leaves out `script.py.mako`, which its repository has.
    template_in: str = ""
    # Files and variables that the service itself needs.
    files: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    # The plain command without `upgrade heads`, and the options of ours that say the same.
    plain: str = "alembic"
    plain_after: str = ""
    options: str = ""
    # What is there for `db-ops` alone: [tool.db_ops] in a pyproject.toml, and variables.
    settings: str = ""
    settings_in: str = "pyproject.toml"
    variables: Mapping[str, str] = field(default_factory=dict)
    # What is typed after `downgrade` and `create-migration` where there are several branches, and
    # after the first `downgrade` where the head of that branch has no way back.
    branch: str = ""
    first_reverted: str = ""
    # What the page says of it below the table: why a command does not do what it does elsewhere.
    note: str = ""
    # A model's file, a line of it, and what is put after it: a nullable column `corpus_note`.
    model: tuple[str, str, str] = ("", "", "")


@dataclass(frozen=True)
class Result:
    """What a command did: exit code, output, and CPU time with that of its children."""

    code: int
    out: str
    err: str
    cpu: float

    @property
    def problem(self) -> str:
        """The line that says what was wrong."""
        lines = self.err.strip().splitlines() or self.out.strip().splitlines() or [""]
        if any(line.startswith("Traceback") for line in lines):
            return f"traceback: {lines[-1]}"
        return next((line for line in lines if line.startswith("error:")), lines[-1])


class Workplace:
    """One project, fetched and set up, and a copy of it to run the commands in."""

    def __init__(self, project: Project, corpus: Path, server: Cluster) -> None:
        self.project, self.server = project, server
        self.home = corpus / project.name
        self.fetched, self.copy = self.home / "fetched", self.home / "copy"
        self.programs = self.home / "venv" / "bin"
        self.database = re.sub(r"\W", "_", project.name)

    def prepare(self) -> None:
        """Fetch and install what is not there yet, and put this checkout beside it."""
        project, done = self.project, self.home / "installed"
        wanted = json.dumps([project.version, project.python, project.install, project.folders])
        if not done.is_file() or done.read_text() != wanted:
            # A repository that somebody has put there is not fetched again.
            if not project.repository:
                shutil.rmtree(self.fetched, ignore_errors=True)
            self.fetched.mkdir(parents=True, exist_ok=True)
            _uv("venv", "--clear", "--python", _python(project.python), self.home / "venv")
            site = next((self.home / "venv").glob("lib/python3*")) / "site-packages"
            if project.repository and not any(self.fetched.iterdir()):
                self._clone()
            packages = [f"{project.package}=={project.version}"] if project.package else []
            self._install(*packages, *(word.format(here=self.fetched) for word in project.install))
            for name in project.folders:
                (self.fetched / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(site / name, self.fetched / name)
            if project.folders:
                (site / "corpus.pth").write_text(f"{self.copy}\n")
            done.write_text(wanted)
        self._install("--editable", str(ROOT))
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.fetched, self.copy, symlinks=True)
        for name, text in project.files.items():
            (self.copy / name).parent.mkdir(parents=True, exist_ok=True)
            (self.copy / name).write_text(self.filled(text))
        if project.template_in:
            alembics = next((self.home / "venv").glob("lib/python3*/site-packages/alembic"))
            template = alembics / "templates" / "generic" / "script.py.mako"
            shutil.copy(template, self.copy / project.template_in)
        if project.settings:
            with (self.copy / project.settings_in).open("a") as file:
                file.write(f"\n[tool.db_ops]\n{project.settings}")
        if project.url_in:
            path = self.copy / project.url_in
            line = self.filled(f"sqlalchemy.url = {project.url}")
            text = re.sub(r"(?m)^sqlalchemy\.url *=.*$", "", path.read_text())
            path.write_text(text.replace("[alembic]", f"[alembic]\n{line}", 1))

    def _clone(self) -> None:
        url = f"https://github.com/{self.project.repository}"
        for words in (
            ("init", "--quiet"),
            ("fetch", "--quiet", "--depth=1", url, self.project.version),
            ("checkout", "--quiet", "FETCH_HEAD"),
        ):
            subprocess.run(["git", "-C", self.fetched, *words], check=True)
        shutil.rmtree(self.fetched / ".git")

    def _install(self, *what: str) -> None:
        _uv("pip", "install", "--link-mode=copy", "--python", self.programs / "python", *what)

    def filled(self, text: str) -> str:
        values = {
            "url": "postgresql://{location}",
            "location": f"{self.project.role}:{ROLE}@127.0.0.1:{{port}}/{{database}}",
            "port": self.server.port,
            "database": self.database,
            "copy": self.copy,
        }
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    def run(self, *words: str, ours: bool = True) -> Result:
        """Run a program of the project's environment in its folder."""
        variables = {k: v for k, v in os.environ.items() if not _NOT_PASSED_ON.match(k)}
        theirs = {**self.project.environment, **(self.project.variables if ours else {})}
        variables |= {name: self.filled(value) for name, value in theirs.items()}
        # Where `check-models` makes its database.
        variables["DB_OPS_TEST_URL"] = self.filled("{url}")
        # Of two foreign keys that are alike, Alembic names the one that comes first in a set.
        variables["PYTHONHASHSEED"] = "0"
        variables["PATH"] = f"{self.programs}:{variables['PATH']}"
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=self.copy / self.project.folder,
                env=variables,
                start_new_session=True,
            )
            signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
            signal.alarm(TIMEOUT)
            _, status, usage = os.wait4(process.pid, 0)
            signal.alarm(0)
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            return Result(
                process.returncode, out.read(), err.read(), usage.ru_utime + usage.ru_stime
            )

    def ours(self, *words: str) -> Result:
        return self.run("db-ops", *shlex.split(self.filled(self.project.options)), *words)

    def plain(self, *words: str) -> Result:
        before, after = (
            shlex.split(self.filled(text))
            for text in (self.project.plain, self.project.plain_after)
        )
        return self.run(*before, *words, *after, ours=False)

    def sql(self, text: str) -> list[Any]:
        """Say something to the project's database, as somebody with psql."""
        url = self.filled("{url}")
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(text)
            return cursor.fetchall() if cursor.description else []

    def maintain(self, statement: sql.Composed) -> None:
        """Say something to the server, as the owner of the project's database."""
        url = self.filled("{url}").rpartition("/")[0]
        with closing(psycopg2.connect(f"{url}/postgres")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)

    def files(self) -> set[Path]:
        """Return the project's Python files, to see which are new."""
        return {path for path in self.copy.rglob("*.py") if "__pycache__" not in path.parts}


@dataclass
class Walk:
    """All commands in one project, in order; `cells` is what each did."""

    place: Workplace
    cells: dict[str, tuple[str, float]] = field(default_factory=dict)
    revisions: int = 0

    def log(self, words: str, result: Result) -> None:
        with (self.place.home / "log.txt").open("a") as file:
            file.write(f"$ {words}  # exit {result.code}, {result.cpu:.2f} s\n")
            file.write(f"{result.out}{result.err}\n")

    def step(self, cell: str, *words: str, allowed: tuple[int, ...] = (0,)) -> Result:
        """Run a command of ours; its cell is "ok", or the line that says what was wrong."""
        return self.judge(cell, self.place.ours(*words), shlex.join(words), allowed)

    def judge(
        self, cell: str, result: Result, words: str, allowed: tuple[int, ...] = (0,)
    ) -> Result:
        failed = result.code not in allowed or "Traceback (most recent" in result.err
        self.say(cell, f"exit {result.code}: {result.problem}" if failed else OK, result.cpu)
        self.log(words, result)
        return result

    def say(self, cell: str, said: str, cpu: float = 0.0) -> None:
        """Note what a command did; the first thing that was wrong stays, then what is theirs."""
        before, spent = self.cells.get(cell, (OK, 0.0))
        keeps = before != OK and (said == OK or _is_fine(said) or not _is_fine(before))
        self.cells[cell] = (before if keeps else said, spent + cpu)

    def all(self) -> None:
        """Run the whole list; what cannot go on is left out, and has no cell."""
        branch = shlex.split(self.place.project.branch)
        found = self.step("doctor", "doctor", allowed=(0, 3)).out
        # The plain command cannot list those of every project.
        self.revisions = int(re.search(r"files +(\d+) in|$", found)[1] or 0)
        if self.step("init", "init").code:
            return
        self.at_head("init")
        self.time()
        self.step("status", "status")
        own = self.verify("verify")
        first = shlex.split(self.place.project.first_reverted) or branch
        self.step("downgrade", "downgrade", "-s", "1", *first)
        self.step("upgrade", "upgrade")
        self.at_head("upgrade")
        self.verify("upgrade", own)
        self.unchanged(own, branch)
        self.by_hand()
        self.changed(own, branch)
        for _ in range(2):
            self.step("recreate", "recreate")
        self.verify("recreate", None)
        self.step("history", "history")
        self.step("snapshot", "snapshot", "one")
        self.step("restore", "restore", "one")
        self.at_head("restore")
        self.step("check-models", "check-models", allowed=(0, 3) if own else (0,))
        self.step("delete-db", "delete-db")
        if self.step("init", "init").code == 0:
            self.step("delete-db", "delete-db")
        compare_with_alembic(self)

    def at_head(self, cell: str) -> None:
        """Ask the plain command, without ours, whether all heads are applied."""
        heads = set(re.findall(r"(?m)^(\w+)\b.*\(head\)", self.place.plain("heads").out))
        current = self.place.plain("current")
        applied = set(re.findall(r"(?m)^(\w+)\b.*\(head\)", current.out))
        if current.code == 0 and (not heads or heads != applied):
            self.say(cell, f"the plain command is not at its heads: {current.problem}")

    def time(self) -> None:
        ours = [self.place.ours("init") for _ in range(CALLS)]
        plain = [self.place.plain("upgrade", "heads") for _ in range(CALLS)]
        self.judge("init again", ours[-1], "init")
        self.log("the plain upgrade", plain[-1])
        ours_cpu, plain_cpu = (min(one.cpu for one in runs) for runs in (ours, plain))
        self.cells["init again"] = (self.cells["init again"][0], ours_cpu)
        self.cells["alembic upgrade"] = ("ok" if not plain[-1].code else "fails", plain_cpu)

    def verify(self, cell: str, expected: frozenset[str] | None = None) -> frozenset[str]:
        """Verify; what differs is *expected*, or told beside what `alembic check` says."""
        result = self.step(cell, "verify", "--json", allowed=(0, 3))
        if result.code not in (0, 3):
            return frozenset()
        found = json.loads(result.out)
        if "verified" in found:
            found = found["verified"]
        subjects = frozenset(one["description"] for one in found["differences"])
        if cell == "verify":
            check = self.place.plain("check")
            says = "agrees" if check.code == 0 else "fails"
            if "New upgrade operations detected" in check.out + check.err:
                says = "differs"
            partial = ", partial" if found["partial"] else ""
            if subjects or check.code or partial:
                beyond = _beyond_check(found["differences"]) if check.code == 0 else ""
                if beyond:
                    says = f"agrees, which does not compare {beyond} here"
                    whose = f"{OWN}: "
                else:
                    whose = f"{OWN}: " if subjects and check.code else ""
                if partial and not subjects:
                    whose = f"{PART}: "
                count = f"{len(subjects)} differences{partial}"
                self.say(cell, f"{whose}{count}; `alembic check` {says}")
            self.log("alembic check", check)
        elif expected is not None and subjects != expected:
            self.say(cell, f"afterwards verify names {len(subjects ^ expected)} differences more")
        return subjects

    def unchanged(self, own: frozenset[str], branch: list[str]) -> None:
        """Ask for a migration where no model has changed: no file, unless the project differs."""
        before = self.place.files()
        allowed = (0, 1, 2, 3) if own else (0,)
        self.step("no change", "create-migration", "-m", "nothing", *branch, allowed=allowed)
        written = self.place.files() - before
        if written:
            self.say("no change", f"{OWN}: a file of them" if own else "a file")
        for path in written:
            path.unlink()

    def changed(self, own: frozenset[str], branch: list[str]) -> None:
        """Add a nullable column to a model, and take it through its life."""
        name, after, column = self.place.project.model
        path = self.place.copy / name
        source = path.read_text()
        if after not in source:
            self.say("changed model", f"{name} has no line {after!r}")
            return
        line = next(line for line in source.splitlines(keepends=True) if after in line)
        path.write_text(source.replace(line, f"{line}{column}\n", 1))
        before = self.place.files()
        words = ("create-migration", "-m", "corpus note", "--no-rename", *branch)
        result = self.step("changed model", *words, "--json", allowed=(0, 3))
        if result.code == 3:
            self.incomplete(json.loads(result.out))
        written = self.place.files() - before
        if not any(NOTE in path.read_text() for path in written):
            self.say("changed model", "no file with the new column")
        else:
            self.step("changed model", "upgrade")
            more = self.verify("changed model") - own
            # What nobody but Alembic sees: it has asked for the revision itself, and goes on to.
            if any(not one.startswith(_OF_ALEMBIC) for one in more):
                self.say("changed model", "verify names what was not there before")
            elif more:
                check = self.place.plain("check")
                whose = f"{OWN}: " if "New upgrade operations detected" in check.err else ""
                self.say("changed model", f"{whose}`alembic check` names {len(more)} more")
            self.step("changed model", "downgrade", "-s", "1", *branch)
            self.step("plan", "upgrade", "--plan")
        path.write_text(source)
        for path in written:
            path.unlink()
        if written:
            self.step("changed model", "recreate")

    def incomplete(self, created: dict[str, Any]) -> None:
        """Say why a revision is not complete: what the server refuses is the project's own."""
        left_out = created["left_out"]
        if created["todos"] or created["unproven"]:
            first = (*created["todos"], *created["unproven"])[0]
            self.say("changed model", f"the file is not complete: {first}")
        elif left_out:
            said = f"{OWN}: the server refuses {len(left_out)} of its indexes and constraints"
            self.say("changed model", said)

    def by_hand(self) -> None:
        """Change six things by hand; verify names each, and what it prints undoes it."""
        before = self.verify("by hand")
        made = [change for change in map(self.place.sql, _BY_HAND) if change]
        statements = [statement for ((statement,),) in made]
        for statement in statements:
            self.place.sql(statement)
        result = self.step("by hand", "verify", "--json", allowed=(3,))
        if result.code != 3:
            return
        found = json.loads(result.out)
        new = [one for one in found["differences"] if one["description"] not in before]
        # A table that no model has, where env.py tells autogenerate to leave such out.
        tables = [
            one["subject"].removeprefix("table ")
            for one in found["silenced"]
            if "by_hand" in one["subject"] and one["reason"].startswith("left out by ")
        ]
        if len(new) + len(tables) < len(statements):
            self.say("by hand", f"{len(new)} of {len(statements)} named")
        elif tables:
            self.say("by hand", f"{OWN}: a new table is left out, as `env.py` says")
        for table in tables:
            self.place.sql(f"DROP TABLE {table}")
        for one in new:
            # None if it is the same once more, as `alembic check` names it.
            statements = [text for text in one["remedies"] if not text.startswith("db-ops ")]
            try:
                for statement in statements:
                    self.place.sql(statement)
            except psycopg2.Error as error:
                self.say("by hand", f"{one['remedy']}: {error}")
        self.verify("by hand", before)


_TABLES = """pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'db_ops', 'pg_toast')
    AND t.relkind = 'r' AND t.relname NOT LIKE 'alembic%%'"""
_NAME = "quote_ident(n.nspname) || '.' || quote_ident(t.relname)"
_COLUMNS = f"""{_TABLES} JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0
    AND NOT a.attisdropped AND NOT a.attidentity <> '' AND NOT EXISTS (
        SELECT FROM pg_constraint c WHERE c.conrelid = t.oid AND c.contype = 'p'
        AND a.attnum = ANY (c.conkey))"""
_ALTER = f"'ALTER TABLE ' || {_NAME} || ' "
# Each is a query for the statement to run: on the first thing of its kind that is found.
_BY_HAND = (
    f"SELECT {_ALTER}ADD COLUMN by_hand integer' FROM {_TABLES} ORDER BY 1 LIMIT 1",
    f"""SELECT {_ALTER}ALTER COLUMN ' || quote_ident(a.attname) || ' DROP NOT NULL'
        FROM {_COLUMNS} WHERE a.attnotnull ORDER BY 1 LIMIT 1""",
    f"""SELECT {_ALTER}ALTER COLUMN ' || quote_ident(a.attname) || ' SET DEFAULT ''by hand'''
        FROM {_COLUMNS} WHERE a.atttypid IN (25, 1043) AND NOT a.atthasdef
        AND (a.atttypmod = -1 OR a.atttypmod > 20) ORDER BY 1 LIMIT 1""",
    f"""SELECT 'DROP INDEX ' || i.indexrelid::regclass FROM {_TABLES} JOIN pg_index i
        ON i.indrelid = t.oid AND NOT EXISTS (SELECT FROM pg_constraint c
        WHERE c.conindid = i.indexrelid) ORDER BY 1 LIMIT 1""",
    f"""SELECT {_ALTER}DROP CONSTRAINT ' || quote_ident(c.conname) FROM {_TABLES}
        JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype = 'f' ORDER BY 1 LIMIT 1""",
    f"""SELECT 'CREATE TABLE ' || quote_ident(n.nspname) || '.by_hand (id integer)'
        FROM {_TABLES} ORDER BY 1 LIMIT 1""",
)


def _beyond_check(differences: list[dict[str, Any]]) -> str:
    """Say what `alembic check` has not compared, if that is all of *differences*."""
    named: dict[str, None] = {}
    keys: list[tuple[str, str]] = []
    for one in differences:
        models, migrations = (one["values"].get(side) or "" for side in ("models", "migrations"))
        if _OF_A_DEFAULT.search(one["description"]):
            named["server defaults"] = None
        elif _is_predicate(models, migrations):
            named["predicates of indexes"] = None
        elif models.startswith("PRIMARY KEY") or migrations.startswith("PRIMARY KEY"):
            named["primary keys"] = None
        elif (models or migrations).startswith("FOREIGN KEY"):
            keys.append((models, migrations))
            named["names of foreign keys"] = None
        else:
            return ""
    sides = (sorted(filter(None, side)) for side in zip(*keys, strict=True))
    return "" if keys and operator.ne(*sides) else ", ".join(named)


def _is_predicate(models: str, migrations: str) -> bool:
    """Tell whether these are definitions of one index that differ in what stands after WHERE."""
    found = [one.partition(" WHERE ")[0] for one in (models, migrations)]
    return found[0] == found[1] and re.match("CREATE (UNIQUE )?INDEX ", models) is not None


def _uv(*words: object) -> None:
    beside = Path(sys.executable).parent
    program = shutil.which("uv", path=f"{beside}:{os.environ['PATH']}")
    if program is None:
        sys.exit("uv is not installed; python -m pip install uv")
    subprocess.run([program, "--quiet", *map(str, words)], check=True)


def _python(version: str) -> str:
    """Return an interpreter of this version, also one that pyenv has installed."""
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    return str(installed[-1]) if installed else version


def declared() -> Iterator[Project]:
    """Yield the projects of the corpus."""
    for table in tomllib.loads(DECLARED.read_text())["project"]:
        lists = {name: tuple(value) for name, value in table.items() if isinstance(value, list)}
        yield Project(**table | lists)


def results(corpus: Path) -> Iterator[tuple[Project, int, dict[str, tuple[str, float]]]]:
    """Yield each project that was run, the number of its revisions, and what the commands did."""
    for project in declared():
        path = corpus / project.name / "result.json"
        if path.is_file():
            found = json.loads(path.read_text())
            yield project, found["revisions"], found["cells"]


def table(corpus: Path) -> str:
    """Return project x command with CPU seconds, and below it every cell that is not "ok"."""
    every = list(results(corpus))
    columns = list(dict.fromkeys(name for _, _, cells in every for name in cells))
    lines = [_row("project", *columns), _row(*["--"] * (len(columns) + 1))]
    notes = []
    for project, _, cells in every:
        said = [(column, *cells.get(column, ("-", 0.0))) for column in columns]
        shown = [
            text if text in (OK, "-") else text.partition(":")[0] if _is_fine(text) else "no"
            for _, text, _ in said
        ]
        seconds = [f" {cpu:.1f}" if cpu else "" for _, _, cpu in said]
        lines.append(_row(project.name, *map("".join, zip(shown, seconds, strict=True))))
        notes += [
            f"- {project.name}, {column}: {text}"
            for column, text, _ in said
            if text not in (OK, "-")
        ]
    return "\n".join([*lines, "", *notes])


def summary(corpus: Path) -> str:
    """Return the table of the documentation."""
    heading = ("project", "version", "kind", "revisions", "configured", "result", "`init` at head")
    lines = [_row(*heading), _row(*["--"] * len(heading))]
    for project, revisions, cells in results(corpus):
        bad = [name for name, (text, _) in cells.items() if text != OK and not _is_fine(text)]
        wrong = [name for name in bad if name != "alembic upgrade"]
        kinds = {text.partition(":")[0] for text, _ in cells.values()}
        fine = [said for kind, said in _FINE.items() if kind in kinds]
        result = f"not {', '.join(wrong)}" if wrong else ", ".join(("all", *fine))
        configured = ", ".join((*re.findall(r"(?m)^\w+", project.settings), *project.variables))
        again, plain = (cells.get(name, ("", 0.0))[1] for name in ("init again", "alembic upgrade"))
        share = f"{again / plain:.2f}" if plain else "-"
        named = (project.name, project.version[:12], project.kind)
        lines.append(_row(*named, str(revisions or "-"), configured or "nothing", result, share))
    notes = [f"- *{one.name}*: {one.note}" for one, _, _ in results(corpus) if one.note]
    return "\n".join([*lines, "", *notes])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _is_fine(said: str) -> bool:
    return said.partition(":")[0] in _FINE


def main() -> None:
    """Run the corpus, or the projects of it that are named; with `--page`, write the page."""
    folder = os.environ.get("DB_OPS_CORPUS")
    if not folder:
        sys.exit("set DB_OPS_CORPUS to the folder that is to keep the projects")
    corpus, named = Path(folder).resolve(), sys.argv[1:]
    if named == ["--page"]:
        text = PAGE.read_text()
        before, mark, rest = text.partition(MARK)
        rest = rest[rest.index(END) :]
        PAGE.write_text(f"{before}{mark}\n\n{summary(corpus)}\n\n{rest}")
        return
    only = "--catalogs" in named
    named = [name for name in named if name != "--catalogs"]
    # The server is stopped then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    server = Cluster()
    try:
        with closing(psycopg2.connect(server.url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            for role in {project.role for project in declared()}:
                cursor.execute(f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{ROLE}'")
        for project in declared():
            if not named or project.name in named:
                print(project.name, flush=True)
                run_project(Workplace(project, corpus, server), only)
    finally:
        server.remove()
    text = f"{summary(corpus)}\n\n{table(corpus)}\n"
    (corpus / "table.md").write_text(text)
    print(text)


def run_project(place: Workplace, only_catalogs: bool = False) -> None:
    """Run all commands in a project, or only what compares the catalogs, and keep what they did."""
    walk = Walk(place)
    try:
        place.prepare()
        (place.home / "log.txt").unlink(missing_ok=True)
        if only_catalogs:
            compare_with_alembic(walk)
            print(json.dumps(walk.cells, indent=1), flush=True)
            return
        walk.all()
    except Exception as error:
        # The other projects are worth hours.
        walk.say("walk", f"{type(error).__name__}: {error}")
    written = {"cells": walk.cells, "revisions": walk.revisions}
    (place.home / "result.json").write_text(json.dumps(written, indent=1))


if __name__ == "__main__":
    main()
