"""UIDs that follow from content: the same result has the same UID whenever it is made, so no archive holds it twice."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any


def uid_of(*parts: Any) -> str:
    """A UID below 2.25, of the SHA-256 of texts and of what has bytes (arrays, buffers), in this order."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part.tobytes()
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return f"2.25.{uuid.UUID(bytes=digest.digest()[:16], version=5).int}"
