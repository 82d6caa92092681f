"""Completion of commands and options in bash, zsh and fish."""

from __future__ import annotations

from pathlib import Path

from db_ops.cli.arguments import CommandLine
from db_ops.cli.commands import BY_NAME
from db_ops.cli.declaration import COMPLETION
from db_ops.errors import UsageError

SHELLS = ("bash", "zsh", "fish")
# The command to ask is what stands before the cursor, up to the program itself: a script is typed
# behind `python`.
_BASH = """\
_db_ops_complete() {{
    local at=0
    case "${{COMP_WORDS[0]##*/}}" in
        python*)
            at=1
            [[ "${{COMP_WORDS[1]}}" == -m ]] && at=2
            case "${{COMP_WORDS[at]}}" in db_ops|{script}) ;; *) return ;; esac ;;
    esac
    local IFS=$'\\n'
    local program=("${{COMP_WORDS[@]:0:at+1}}") typed=("${{COMP_WORDS[@]:at+1:COMP_CWORD-at}}")
    COMPREPLY=($("${{program[@]}}" --complete "${{typed[@]}}" 2>/dev/null))
}}
complete -o default -F _db_ops_complete {names}
"""
# Without a `compinit` in .zshrc, zsh has no `compdef`.
_ZSH = """\
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit }}
_db_ops_complete() {{
    local at=1
    case "${{words[1]:t}}" in
        python*)
            at=2
            [[ "${{words[2]}}" == -m ]] && at=3
            case "${{words[at]}}" in db_ops|{script}) ;; *) _default; return ;; esac ;;
    esac
    local program=("${{words[@]:0:$at}}") typed=("${{words[@]:$at:$((CURRENT-at))}}")
    local found=("${{(@f)$("${{program[@]}}" --complete "${{typed[@]}}" 2>/dev/null)}}")
    if [[ -n "$found" ]]; then compadd -- $found; return; fi
    compset -P '--*='
    _default
}}
compdef _db_ops_complete {names}
"""
_FISH = """\
function __db_ops_complete
    set -l before (commandline -opc)
    set -l at 1
    if string match -q -- 'python*' (basename $before[1])
        set at 2
        test "$before[2]" = -m; and set at 3
        string match -q -r -- '{fish}' "$before[$at]"; or return
    end
    set -l program $before[1..$at]
    set -l words $before[(math $at + 1)..-1]
    set -l current (commandline -ct)
    set -l found ($program --complete $words $current 2>/dev/null)
    if test -n "$found"
        printf '%s\\n' $found
    else
        # Where nothing of ours can stand, a file may; `-f` below takes those away everywhere.
        set -l flag (string match -r -- '^(?:--[^=]*=|)' $current)
        printf '%s\\n' $flag(__fish_complete_path (string replace -- "$flag" '' $current))
    end
end
{lines}"""


def completion_script(shell: str, program: str) -> str:
    """Return the script for *shell* that completes *program*, as it is typed.

    Raises `UsageError`.
    """
    if shell not in SHELLS:
        raise UsageError(
            f"--{COMPLETION.name}: {shell!r} is none of {', '.join(SHELLS)}",
            f"name one of them: db-ops --{COMPLETION.name} bash",
        )
    script = Path(program.split()[-1]).name
    names = ["db-ops"]
    if program.startswith("python"):
        names += [script, "python", "python3"] if script.endswith(".py") else ["python", "python3"]
    if shell == "fish":
        lines = "".join(
            f"complete -c {name} {'' if name.startswith('python') else '-f '}"
            "-a '(__db_ops_complete)'\n"
            for name in names
        )
        return _FISH.format(fish=f"^db_ops$|(^|/){script}$".replace(".", "\\."), lines=lines)
    template = _BASH if shell == "bash" else _ZSH
    return template.format(script=f"{script}|*/{script}", names=" ".join(names))


def completion_candidates(words: list[str]) -> list[str]:
    """Return what may stand in the place of the last of *words*."""
    *before, current = words or [""]
    line, awaits, missing = CommandLine(), False, 0
    for word in before:
        if awaits:
            # Bash splits `--config=FILE` into three words.
            awaits = word == "="
        elif word.startswith("-"):
            flag = word if word.startswith("--") else f"-{word[-1]}"
            awaits = any(flag in one.flags and one.takes_value for one in line.options)
        elif missing:
            missing -= 1
        elif word in BY_NAME:
            line.commands.append((BY_NAME[word], []))
            missing = len(BY_NAME[word].positionals)
    if awaits:
        asked = before[-1] == f"--{COMPLETION.name}"
        return [shell for shell in SHELLS if asked and shell.startswith(current)]
    if current.startswith("-"):
        names = [flag for option in line.options for flag in option.flags if flag[:2] == "--"]
        return sorted(name for name in names if name.startswith(current))
    return [] if missing else [name for name in BY_NAME if name.startswith(current)]
