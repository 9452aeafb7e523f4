"""Folders of speech networks as transformers reads them, looked at without that package."""

import json
from functools import partial
from pathlib import Path

from d3talker.artifacts import ArtifactError
from d3talker.metrics.weights import FOLDER_WEIGHTS, UNREADABLE, refusal

HUBERT_CHANNELS = 1024
FILES = ("config.json", "preprocessor_config.json")
# What config.json must say, by the key of `models`, and a tensor that the weights must have.
TYPES = {"hubert": "hubert", "wav2vec": "wav2vec2"}
ESPERANTO = 44  # letters of the wav2vec that the field uses


def weights_file(folder: str | Path) -> Path | None:
    """The file in a folder that holds the weights; None if there is none."""
    found = (Path(folder, name) for name in FOLDER_WEIGHTS)
    return next((path for path in found if path.is_file()), None)


def check_folder(key: str, folder: str | Path) -> dict:
    """The content of config.json, if all files of a folder are there, whole, and of that network.

    Raises ArtifactError, which says where the folder is to be had.
    """
    folder = Path(folder)
    try:
        if missing := [name for name in FILES if not (folder / name).is_file()]:
            raise ArtifactError(f"lacks {', '.join(missing)}")
        config = json.loads((folder / FILES[0]).read_text(encoding="utf-8"))
        if config.get("model_type") != TYPES[key]:
            raise ArtifactError(f"config.json is of {config.get('model_type')}, not {TYPES[key]}")
        width = config.get("hidden_size") if key == "hubert" else config.get("vocab_size")
        wanted = HUBERT_CHANNELS if key == "hubert" else ESPERANTO
        if width != wanted:
            raise ArtifactError(f"it gives {width} channels, not {wanted}")
        file = weights_file(folder)
        if file is None:
            raise ArtifactError(f"has neither {' nor '.join(FOLDER_WEIGHTS)}")
        _read(file)
    except UNREADABLE as error:
        raise refusal(folder, key, error) from error
    return config


def _read(file: Path) -> None:
    """Raise if a file of weights is damaged."""
    if file.suffix == ".safetensors":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(file, framework="pt"):  # compares the lengths with the file's
                return
        except SafetensorError as error:
            raise ArtifactError(f"{file.name}: {error}") from error
    import torch

    torch.load(file, map_location="cpu", weights_only=True, mmap=True)


CHECKS = {key: partial(check_folder, key) for key in TYPES}
