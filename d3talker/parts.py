"""The paper's own parts of sound, motion and geometry beside the embedded ones.

Which of them `backends` in the configuration may name, and what each needs. Needs no packages, so
that a configuration can be checked anywhere.
"""

from typing import NamedTuple


class Part(NamedTuple):
    """One implementation of a part."""

    models: tuple[str, ...] = ()  # keys of `models` in the configuration that it needs
    environment: str = "torch"  # in which its networks run


HUBERT_CHANNELS = 1024
# By the key of `backends`; the first name of each is the default.
PARTS: dict[str, dict[str, Part]] = {
    "speech": {
        "logmel": Part(),
        "deepspeech": Part(("deepspeech",)),
        "deepspeech_pytorch": Part(("deepspeech_pytorch",)),
        "hubert": Part(("hubert",), "speech"),
        "wav2vec": Part(("wav2vec",), "speech"),
    },
    "audio_to_motion": {
        "motionnet": Part(),
        "real3dportrait": Part(("hubert", "audio2secc_vae", "bfm_front"), "speech"),
    },
    "geometry": {
        "folder": Part(),
        "sapiens": Part(("sapiens_depth", "sapiens_normal")),
    },
}
# Files of `models` that are programs: they are opened only if their SHA-256 is in `sha256`.
PROGRAMS = ("sapiens_depth", "sapiens_normal")
# Keys of `models` that are folders, as transformers reads them.
FOLDERS = ("hubert", "wav2vec")
FOLDER_WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # one of these holds the weights


def default(key: str) -> str:
    """The embedded implementation of the part `key`."""
    return next(iter(PARTS[key]))
