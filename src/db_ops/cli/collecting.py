"""Collect garbage seldom in a command's process; importing this is what does it.

Nearly all that a command allocates lives as long as the process: what it imports, a thousand
revision files, SQLAlchemy's schema objects. Python would look through it 400 times for garbage, and
the first times while the commands themselves are still being imported.
"""

import gc

gc.set_threshold(70_000)
