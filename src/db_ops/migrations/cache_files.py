"""Name cache files by what they depend on, and write them atomically."""

from __future__ import annotations

import os
from binascii import crc32
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


def short_name(*parts: str) -> str:
    """Return a part of the name of a file whose content tells whether it is what was meant."""
    return f"{crc32(chr(0).join(parts).encode(errors='surrogateescape')):08x}"


def digest(*parts: str | bytes) -> str:
    """Return the digest of *parts*, which says where each of them ends."""
    # Its import loads OpenSSL: a command that finds nothing to do does without.
    from hashlib import blake2b

    state = blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode(errors="surrogateescape") if isinstance(part, str) else part
        state.update(len(encoded).to_bytes(8, "big") + encoded)
    return state.hexdigest()
