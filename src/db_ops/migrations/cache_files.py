"""Write cache files atomically, named by a digest of what they depend on."""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write *path* atomically, and create its folder."""
    # For what is written only: a command that finds nothing to do does without.
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def digest(*parts: str | bytes) -> str:
    """Return the digest of *parts*, which says where each of them ends."""
    state = blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode(errors="surrogateescape") if isinstance(part, str) else part
        state.update(len(encoded).to_bytes(8, "big") + encoded)
    return state.hexdigest()
