"""Are the files of weights what they are said to be? `python -m d3talker.metrics.check_weights`.

Arguments are key=file, with keys of `models` in the configuration. One line on the standard output
for each problem, and then exit status 1.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from d3talker.artifacts import ArtifactError


def loader(key: str) -> Callable[[str], object]:
    """What reads the weights of `models.<key>`, and refuses others."""
    if key == "alexnet":
        from d3talker.metrics.alexnet import load_alexnet as load
    elif key == "syncnet":
        from d3talker.metrics.syncnet import load_syncnet as load
    elif key == "fan":
        from d3talker.metrics.detectors import load_fan as load
    elif key == "s3fd":
        from d3talker.metrics.detectors import load_s3fd as load
    elif key == "bisenet":
        from d3talker.face.bisenet import load_bisenet as load
    elif key == "easyportrait":
        from d3talker.face.easyportrait import load_easyportrait as load
    elif key == "bfm":
        from d3talker.face.bfm import load_bfm as load
    elif key == "deepspeech":
        from d3talker.speech.deepspeech import load_deepspeech as load
    elif key == "deepspeech_pytorch":
        from d3talker.speech.deepspeech_pytorch import load_deepspeech_pytorch as load
    elif key in ("hubert", "wav2vec"):
        # What runs them is in an environment of its own; here the files are looked at.
        from d3talker.speech.pretrained_folder import CHECKS

        load = CHECKS[key]
    elif key == "audio2secc_vae":
        from d3talker.motion.audio2secc import load_audio2secc as load
    elif key == "bfm_front":
        from d3talker.face.bfm_front import load_front as load
    elif key in ("sapiens_depth", "sapiens_normal"):
        from d3talker.face.sapiens import LOADERS

        load = LOADERS[key]
    else:
        raise KeyError(f"no reader of models.{key}")
    return load


def problems(files: dict[str, str]) -> list[str]:
    """What is wrong with the files of weights, by key."""
    found = []
    for key, path in files.items():
        try:
            loader(key)(path)
        except ArtifactError as error:
            found.append(f"models.{key}: {error}")
        except ImportError as error:
            found.append(f"models.{key}: {Path(path).name} needs {error.name}: run `make setup`")
    return found


if __name__ == "__main__":
    answer = problems(dict(argument.split("=", 1) for argument in sys.argv[1:]))
    print("\n".join(answer))
    sys.exit(bool(answer))
