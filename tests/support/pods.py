"""What Kubernetes makes of a manifest, as far as a release needs it: its pods are processes here.

As `kubectl` it keeps what it was told in a file, and runs a Job's container in the checkout that is
called like the tag of the image, with the manifest's environment, as often as its policy says.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.support.doors import BIN, Outcome, run
from tests.support.project import REPOSITORY, Project

_FOLDER = "PODS_FOLDER"
_EMPTY: dict[str, Any] = {"jobs": {}, "rolled_out": []}


class Pods:
    """A namespace with nothing in it but the secret that holds the URL, and releases to run."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        self.env = {name: value for name, value in env.items() if name != "DATABASE_URL"}
        (folder / "url").write_text(env["DATABASE_URL"] + "\n")
        programs = folder / "programs"
        programs.mkdir()
        kubectl = programs / "kubectl"
        kubectl.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.support.pods "$@"\n')
        kubectl.chmod(0o755)
        self.env["PATH"] = os.pathsep.join(map(str, (programs, BIN, os.environ["PATH"])))
        self.env |= {"PYTHONPATH": str(REPOSITORY), _FOLDER: str(folder)}

    def checkout(self, tag: str, project: Project) -> Path:
        """Keep *project* as it is now as the release *tag*."""
        return Path(shutil.copytree(project.root, self.folder / tag))

    def release(self, tag: str) -> Outcome:
        """Run what a pipeline runs."""
        script = str(REPOSITORY / "ci" / "kubernetes" / "release.sh")
        return run([script, tag], cwd=self.folder, env=self.env)

    @property
    def exit_codes(self) -> dict[str, list[int]]:
        """The exit codes of the attempts of each Job."""
        jobs: dict[str, Any] = _read(self.folder)["jobs"]
        return {name: job["exit_codes"] for name, job in jobs.items()}

    @property
    def rolled_out(self) -> list[str]:
        """The tags of the Deployment, one after the other."""
        found: list[str] = _read(self.folder)["rolled_out"]
        return found


def _read(folder: Path) -> dict[str, Any]:
    path = folder / "state.json"
    state: dict[str, Any] = json.loads(path.read_text()) if path.exists() else _EMPTY
    return state


def _tag(manifest: dict[str, Any]) -> str:
    image: str = manifest["spec"]["template"]["spec"]["containers"][0]["image"]
    return image.rpartition(":")[2]


def _attempts(manifest: dict[str, Any], folder: Path) -> dict[str, Any]:
    spec = manifest["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    (mount,) = container["volumeMounts"]
    env = {
        one["name"]: one["value"].replace(mount["mountPath"], str(folder))
        for one in container["env"]
    }
    (fail,) = (one for one in spec["podFailurePolicy"]["rules"] if one["action"] == "FailJob")
    codes: list[int] = []
    logs = ""
    while len(codes) <= spec["backoffLimit"] and (not codes or codes[-1] != 0):
        done = subprocess.run(
            container["command"],
            cwd=folder / _tag(manifest),
            env=os.environ | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        codes.append(done.returncode)
        logs += done.stdout
        if done.returncode in fail["onExitCodes"]["values"]:
            break
    condition = "SuccessCriteriaMet Complete" if codes[-1] == 0 else "FailureTarget Failed"
    return {"spec": spec, "exit_codes": codes, "logs": logs, "conditions": condition}


def _apply(state: dict[str, Any], manifest: dict[str, Any], folder: Path) -> None:
    name = manifest["metadata"]["name"]
    if manifest["kind"] == "Deployment":
        state["rolled_out"].append(_tag(manifest))
    elif name not in state["jobs"]:
        state["jobs"][name] = _attempts(manifest, folder)
    elif state["jobs"][name]["spec"] != manifest["spec"]:
        sys.exit(f'The Job "{name}" is invalid: spec.template: field is immutable')


def _kubectl(arguments: list[str], folder: Path) -> None:
    state = _read(folder)
    match arguments:
        case ["apply", "-f", "-"]:
            _apply(state, yaml.safe_load(sys.stdin), folder)
        case ["get", "job", name, "--ignore-not-found", "-o", _]:
            print(state["jobs"].get(name, {}).get("conditions", ""), end="")
        case ["delete", "job", name]:
            del state["jobs"][name]
        case ["logs", *_, "--selector", selector]:
            print(state["jobs"][selector.removeprefix("job-name=")]["logs"])
        case ["rollout", "status", "deployment/agent-management-service", _]:
            # What a service that does not start leads to, in the end.
            if (folder / state["rolled_out"][-1] / "does_not_start").exists():
                sys.exit("error: timed out waiting for the condition")
        case ["rollout", "undo", "deployment/agent-management-service"]:
            state["rolled_out"].append(state["rolled_out"][-2])
        case _:
            sys.exit(f"kubectl {' '.join(arguments)}: not known here")
    (folder / "state.json").write_text(json.dumps(state))


if __name__ == "__main__":
    _kubectl(sys.argv[1:], Path(os.environ[_FOLDER]))
