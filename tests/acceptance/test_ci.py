"""What `ci/` offers to copy: it parses, and the commands in it run and do what they are for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from db_ops.errors import ExitCode
from db_ops.settings import Settings
from tests.support.doors import run
from tests.support.pods import Pods
from tests.support.project import REPOSITORY, Project, query
from tests.test_annotations import ONE

TABLES = "".join(
    ONE.replace("One", name.title()).replace("one", name) for name in ("one", "two", "three")
)


@pytest.fixture
def agreeing(migrated: Project, server_url: str) -> Project:
    """A project whose models and migrations agree, on the server of the tests."""
    migrated.models(TABLES)
    migrated.env["DB_OPS_TEST_URL"] = server_url
    return migrated


def read(path: str) -> Any:
    return yaml.safe_load((REPOSITORY / path).read_text())


def shell(project: Project, script: str, **env: str) -> Any:
    return run(["bash", "-eo", "pipefail", "-c", script], cwd=project.root, env=project.env | env)


def action_steps(**inputs: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the script and the environment of each step of the action but the installation."""
    action = read("ci/github/action.yml")
    given = {name: about["default"] for name, about in action["inputs"].items()} | inputs
    assert action["runs"]["using"] == "composite"
    for step in action["runs"]["steps"]:
        assert step["shell"] == "bash"

        def value(found: re.Match[str]) -> str:
            return given[found[1]]

        env = {
            name: re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", value, text)
            for name, text in step.get("env", {}).items()
        }
        assert "${{" not in step["run"], "a script that holds an expression can be injected into"
        if "pip install" not in step["run"]:
            yield step["run"], env


def test_the_github_action_verifies_and_annotates(agreeing: Project) -> None:
    for script, env in action_steps():
        shell(agreeing, script, GITHUB_ACTIONS="true", **env).succeeded()
    agreeing.models(ONE)
    (script, env), _ = action_steps()
    outcome = shell(agreeing, script, GITHUB_ACTIONS="true", **env)
    assert outcome.code == 3
    assert "::error title=db-ops verify::" in outcome.err


def test_the_github_action_runs_other_commands_too(agreeing: Project) -> None:
    (script, env), _ = action_steps(commands="status --check -q")
    assert "0003" in shell(agreeing, script, **env).succeeded().out


def test_the_gitlab_template_verifies_and_reports(agreeing: Project) -> None:
    job = read("ci/gitlab.yml")[".db-ops"]
    agreeing.models(ONE)
    env = {"CI": "true", "GITLAB_CI": "true", "CI_PROJECT_DIR": str(agreeing.root)}
    env |= job["variables"]
    assert all("pip install" in line for line in job["before_script"])
    assert shell(agreeing, "\n".join(job["script"]), **env).code == 3
    shell(agreeing, "\n".join(job["after_script"]), **env).succeeded()
    report = agreeing.root / job["artifacts"]["reports"]["codequality"]
    assert yaml.safe_load(report.read_text())


def test_the_pre_commit_hook_needs_no_database_of_the_user_s(agreeing: Project) -> None:
    (hook,) = read(".pre-commit-hooks.yaml")
    assert hook["pass_filenames"] is False
    agreeing.env["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"
    outcome = shell(agreeing, hook["entry"]).succeeded()
    agreeing.models(ONE)
    outcome = shell(agreeing, hook["entry"])
    assert outcome.code == 3
    assert "two" in outcome.out


def test_the_hook_leaves_no_database_behind(agreeing: Project, server_url: str) -> None:
    agreeing.run("check-models").succeeded()
    kept = query(server_url, "SELECT datname FROM pg_database WHERE datname LIKE 'db_ops_test%%'")
    assert kept == []


def containers(path: str) -> list[dict[str, Any]]:
    (manifest,) = yaml.safe_load_all((REPOSITORY / path).read_text())
    template = manifest["spec"]["template"]["spec"]
    assert template["securityContext"]["runAsNonRoot"]
    mounted = {volume["name"] for volume in template["volumes"]}
    found: list[dict[str, Any]] = template.get("initContainers") or template["containers"]
    for one in [*found, *template["containers"]]:
        assert {mount["name"] for mount in one["volumeMounts"]} <= mounted
    return found


@pytest.mark.parametrize("path", ["ci/kubernetes/job.yaml", "ci/kubernetes/init-container.yaml"])
def test_a_pod_s_command_migrates_with_the_environment_of_the_manifest(
    project: Project, tmp_path: Path, path: str
) -> None:
    project.table("0001", "one")
    (container,) = containers(path)
    (mount,) = container["volumeMounts"]
    env = {one["name"]: one["value"] for one in container["env"]}
    secret = tmp_path / "secret"
    secret.mkdir()
    url = project.env.pop("DATABASE_URL")
    (secret / "url").write_text(url + "\n")
    env["DATABASE_URL_FILE"] = env["DATABASE_URL_FILE"].replace(mount["mountPath"], str(secret))
    outcome = run(container["command"], cwd=project.root, env=project.env | env).succeeded()
    assert '"event": "Ended"' in outcome.err
    project.url = url
    assert project.tables == ["alembic_version", "one"]


def test_the_job_gives_up_where_another_attempt_would_not_help() -> None:
    spec = read("ci/kubernetes/job.yaml")["spec"]
    # A pod that was evicted is not judged by its exit code: the first rule that fits counts.
    ignore, fail = spec["podFailurePolicy"]["rules"]
    assert ignore["action"] == "Ignore"
    assert ignore["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert fail["action"] == "FailJob"
    hopeless = {ExitCode.FAILED, ExitCode.MISUSED, ExitCode.REFUSED}
    assert set(fail["onExitCodes"]["values"]) == hopeless
    assert fail["onExitCodes"]["containerName"] == spec["template"]["spec"]["containers"][0]["name"]
    assert spec["backoffLimit"] > 0
    # Kubernetes refuses a policy with another one.
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_nobody_s_deadline_ends_a_wait_for_another_migrator() -> None:
    wait = Settings.migration_lock_timeout
    assert read("ci/kubernetes/job.yaml")["spec"]["activeDeadlineSeconds"] > 2 * wait
    assert read("ci/kubernetes/init-container.yaml")["spec"]["progressDeadlineSeconds"] > 2 * wait


@pytest.fixture
def releases(migrated: Project) -> Pods:
    """Two releases of a project; the database is that of the first one."""
    pods = Pods(migrated.root.parent, migrated.env)
    pods.checkout("1.0", migrated)
    migrated.table("0004", "four")
    pods.checkout("1.1", migrated)
    return pods


def test_each_release_has_a_job_of_its_own_and_is_rolled_out_after_it(
    releases: Pods, migrated: Project
) -> None:
    releases.release("1.0").succeeded()
    releases.release("1.1").succeeded()
    assert "four" in migrated.tables
    assert releases.exit_codes == {"migrate-1-0": [0], "migrate-1-1": [0]}
    assert releases.rolled_out == ["1.0", "1.1"]
    # The code goes back: its Job is there, and has nothing to do.
    releases.release("1.0").succeeded()
    assert "four" in migrated.tables


def test_a_failed_migration_stops_the_release_and_the_same_line_tries_again(
    releases: Pods, migrated: Project
) -> None:
    releases.release("1.0").succeeded()
    migrated.query("CREATE TABLE four ()")
    outcome = releases.release("1.1")
    assert outcome.code == 1
    assert releases.exit_codes["migrate-1-1"] == [1], "another attempt was made"
    assert "four" in outcome.out
    assert "already exists" in outcome.out
    assert "nothing was rolled out" in outcome.err
    assert releases.rolled_out == ["1.0"]
    migrated.query("DROP TABLE four")
    releases.release("1.1").succeeded()
    assert releases.rolled_out == ["1.0", "1.1"]


def test_where_no_server_answers_the_job_tries_again_as_often_as_it_says(
    releases: Pods,
) -> None:
    releases.env["DB_OPS_WAIT_TIMEOUT"] = "0.1"
    (releases.folder / "url").write_text("postgresql://nobody@127.0.0.1:1/nothing\n")
    assert releases.release("1.1").code == 1
    limit = read("ci/kubernetes/job.yaml")["spec"]["backoffLimit"]
    assert releases.exit_codes == {"migrate-1-1": [ExitCode.TRY_AGAIN] * (limit + 1)}
    assert releases.rolled_out == []


def test_a_release_that_does_not_start_is_undone_and_the_database_stays_ahead_of_it(
    releases: Pods, migrated: Project
) -> None:
    releases.release("1.0").succeeded()
    (releases.folder / "1.1" / "does_not_start").touch()
    assert releases.release("1.1").code == 1
    assert releases.rolled_out == ["1.0", "1.1", "1.0"]
    assert "four" in migrated.tables
    old = replace(migrated, root=releases.folder / "1.0")
    assert "ahead of this checkout by 1 revision (0004)" in old.run("init").succeeded().out
