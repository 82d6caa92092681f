"""What a command's process does otherwise than Python or Invoke; importing this is what does it.

It collects garbage seldom. Nearly all that a command allocates lives as long as the process: what
it imports, a thousand revision files, SQLAlchemy's schema objects. Python would look through it 400
times for garbage, and the first times while the commands themselves are still being imported.

It keeps what Python compiles. Invoke forbids that, for the sake of `tasks.py`; but not every
installer compiles what it installs, and compiling SQLAlchemy takes longer than most commands.
"""

import gc
import sys


def keep_bytecode() -> None:
    """Let Python write `__pycache__`, unless `-B` or `PYTHONDONTWRITEBYTECODE` forbids it."""
    sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)


gc.set_threshold(70_000)
keep_bytecode()
