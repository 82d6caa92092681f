"""What a command's process does otherwise than Python or Invoke; importing this is what does it.

It keeps what Python compiles, and collects garbage seldom. Nearly all that a command allocates
lives as long as the process: what it imports, a thousand revision files, SQLAlchemy's schema
objects. Python would look through it 400 times for garbage, and the first times while the commands
themselves are still being imported.
"""

import gc

from db_ops.bytecode import keep_bytecode

gc.set_threshold(70_000)
keep_bytecode()
