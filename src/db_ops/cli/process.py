"""What a command's process does otherwise than Python or Invoke; importing this is what does it.

It keeps what Python compiles, and collects garbage seldom, at its end not at all. Nearly all that a
command allocates lives as long as the process: what it imports, a thousand revision files,
SQLAlchemy's schema objects. Python would look through it 400 times for garbage, the first times
while the commands themselves are still being imported, and twice more before it lets everything go;
those last two took an eighth of the time of a command with nothing to do.
"""

import atexit
import gc

from db_ops.bytecode import keep_bytecode

gc.set_threshold(70_000)
atexit.register(gc.freeze)
keep_bytecode()
