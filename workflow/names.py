"""Names of people, sounds and programs, as they stand in paths."""

import hashlib
import re
import unicodedata

LONGEST_NAME = 64  # characters; file systems allow 255 bytes and paths are built from names


class NameProblem(ValueError):
    """Two files would get the same name, or a file's name cannot be used."""


def safe_name(stem: str) -> str:
    """A name for `stem` made of ASCII letters, digits, '_' and '-', the same on every machine.

    Accents are dropped. Where letters of another script are lost or the name is very long, a short
    hash of the stem keeps different names different.
    """
    text = unicodedata.normalize("NFKD", stem)
    plain = text.encode("ascii", "ignore").decode()
    lost = any(c.isalnum() for c in text if not c.isascii() and not unicodedata.combining(c))
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_-")
    if name and not lost and len(name) <= LONGEST_NAME:
        return name
    normal = unicodedata.normalize("NFC", stem).encode(errors="surrogateescape")
    digest = hashlib.sha256(normal).hexdigest()[:8]
    return f"{name[: LONGEST_NAME - 9].strip('_-') or 'person'}_{digest}"
