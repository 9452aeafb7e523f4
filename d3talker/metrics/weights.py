"""Files of weights that are not part of this project: how each is known, and where it is to be had.

What is known of them is data, config/models.yaml. Needs no package but PyYAML, so that a
configuration can be checked anywhere.
"""

import functools
import hashlib
import re
from pathlib import Path
from pickle import UnpicklingError
from typing import NamedTuple
from zipfile import BadZipFile

from d3talker.artifacts import ArtifactError

CATALOGUE = Path(__file__).resolve().parents[2] / "config" / "models.yaml"
# What readers of such files raise if one is damaged or something else.
UNREADABLE = (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, AttributeError)
UNREADABLE += (UnpicklingError, BadZipFile, ArtifactError)
FOLDER_WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # one of these is in an entry's folder
DIGEST = re.compile(r"-([0-9a-f]{8,64})\.\w+$")  # in the name of a published file


class Weights(NamedTuple):
    """An entry of config/models.yaml, which says what each field means."""

    name: str
    purpose: str
    page: str
    url: str | None
    file: str
    sha256: str | None
    mb: float | None
    licence: str
    get: str | None
    kind: str = "file"

    @property
    def size(self) -> str:
        """How large the file is, in words."""
        return "unknown size" if self.mb is None else f"{self.mb:.0f} MB"

    @property
    def source(self) -> str:
        """Where the file is to be had, and its licence, in words."""
        where = f"{self.file} from {self.url}" if self.url else f"{self.file}: {self.get}"
        return f"{where}, described at {self.page} ({self.licence})"


@functools.cache
def catalogue() -> dict[str, Weights]:
    """All files of weights that are known, by their key of `models` in the configuration."""
    import yaml

    entries = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))
    return {key: Weights(**entry) for key, entry in entries.items()}


def holder(path: str | Path) -> Path:
    """The file at `path`; of a folder the one in it that holds the weights."""
    if not Path(path).is_dir():
        return Path(path)
    found = (Path(path, name) for name in FOLDER_WEIGHTS)
    return next((file for file in found if file.is_file()), Path(path, FOLDER_WEIGHTS[0]))


def sha256_of(path: str | Path) -> str:
    """The sum of a file, 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sum(path: str | Path, beginning: str) -> None:
    """Raise ArtifactError if the sha256 of a file does not begin so."""
    digest = sha256_of(path)
    if not digest.startswith(beginning):
        raise ArtifactError(
            f"its sha256 begins with {digest[:10]}, not with {beginning[:10]}: it was cut off or is"
            " another file"
        )


def check_digest(path: str | Path, key: str | None = None) -> None:
    """Raise ArtifactError if a file is not the published one whose name it has.

    The sum of the file of `models.<key>` is in config/models.yaml. Others have the beginning of
    theirs in their name, as ...-619a316812.pth; a file of another name is taken as it is.
    """
    name = Path(path).name
    if key and name == catalogue()[key].file and catalogue()[key].sha256:
        check_sum(path, catalogue()[key].sha256)
    elif named := DIGEST.search(name):
        check_sum(path, named[1])


def refusal(path: str | Path, key: str, error: Exception) -> ArtifactError:
    """Why a file is not the weights of `models.<key>`, and where those are to be had."""
    # torch lists every tensor after its first line.
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    source = catalogue()[key].source
    return ArtifactError(f"{path}: not the weights of {key} ({reason}); expected {source}")
