"""Files of weights that are not part of this project, and where they are to be had.

Needs no packages, so that a configuration can be checked anywhere.
"""

import hashlib
import re
from pathlib import Path
from pickle import UnpicklingError
from zipfile import BadZipFile

from d3talker.artifacts import ArtifactError

ALEXNET_FILE = "alexnet-owt-7be5be79.pth"
ALEXNET_SHA256 = "7be5be79"  # the file's digest begins with what its name ends with
ALEXNET_SOURCE = (
    f"{ALEXNET_FILE} from https://download.pytorch.org/models/{ALEXNET_FILE}, described at"
    " https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.alexnet.html"
    " (torchvision: BSD-3-Clause; ImageNet, on which it was trained: for research)"
)
FAN_SOURCE = (
    "2DFAN4-cd938726ad.zip from"
    " https://www.adrianbulat.com/downloads/python-fan/2DFAN4-cd938726ad.zip, described at"
    " https://github.com/1adrianb/face-alignment (BSD-3-Clause; 300W-LP, on which it was trained:"
    " for research)"
)
S3FD_SOURCE = (
    "s3fd-619a316812.pth from"
    " https://www.adrianbulat.com/downloads/python-fan/s3fd-619a316812.pth, described at"
    " https://github.com/1adrianb/face-alignment (BSD-3-Clause; WIDER FACE, on which it was"
    " trained: for research)"
)
SYNCNET_SOURCE = (
    "syncnet_v2.model from"
    " https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model, described at"
    " https://www.robots.ox.ac.uk/~vgg/software/lipsync/ (code: MIT; of the weights nothing is"
    " said)"
)
DEEPSPEECH_SOURCE = (
    "a .safetensors that `.envs/torch/bin/python stages/convert_weights.py deepspeech` makes of"
    " deepspeech-0_1_0-b90017e8.pb, which is in the release v0.0.1 of"
    " https://github.com/osmr/deepspeech_features (Mozilla DeepSpeech 0.1.0: MPL-2.0)"
)
DEEPSPEECH_PYTORCH_SOURCE = (
    "a checkpoint of deepspeech.pytorch, such as librispeech_pretrained_v3.ckpt of the release V3.0"
    " of https://github.com/SeanNaren/deepspeech.pytorch (MIT)"
)
HUBERT_SOURCE = (
    "the folder of https://huggingface.co/facebook/hubert-large-ls960-ft: config.json,"
    " preprocessor_config.json and model.safetensors or pytorch_model.bin (Apache-2.0)"
)
WAV2VEC_SOURCE = (
    "the folder of https://huggingface.co/cpierse/wav2vec2-large-xlsr-53-esperanto: config.json,"
    " preprocessor_config.json and model.safetensors or pytorch_model.bin (Apache-2.0)"
)
AUDIO2SECC_SOURCE = (
    "model_ckpt_steps_400000.ckpt of 240210_real3dportrait_orig/audio2secc_vae, described at"
    " https://github.com/yerfor/Real3DPortrait (code: MIT; of the weights nothing is said)"
)
BFM_FRONT_SOURCE = (
    "an .npz that `.envs/torch/bin/python stages/convert_weights.py bfm_front` makes of"
    " BFM_model_front.mat, which https://github.com/sicxu/Deep3DFaceRecon_pytorch makes of the"
    " Basel Face Model 2009 (https://faces.dmi.unibas.ch/bfm: for research, by registration)"
)
SAPIENS_SOURCE = (
    "the TorchScript file of Sapiens 0.3b for {}, described at"
    " https://github.com/facebookresearch/sapiens (Sapiens' own licence: not commercial)"
)
# By the key of `models` in the configuration.
SOURCES = {
    "alexnet": ALEXNET_SOURCE,
    "fan": FAN_SOURCE,
    "s3fd": S3FD_SOURCE,
    "syncnet": SYNCNET_SOURCE,
    "deepspeech": DEEPSPEECH_SOURCE,
    "deepspeech_pytorch": DEEPSPEECH_PYTORCH_SOURCE,
    "hubert": HUBERT_SOURCE,
    "wav2vec": WAV2VEC_SOURCE,
    "audio2secc_vae": AUDIO2SECC_SOURCE,
    "bfm_front": BFM_FRONT_SOURCE,
    "sapiens_depth": SAPIENS_SOURCE.format("depth"),
    "sapiens_normal": SAPIENS_SOURCE.format("normals"),
}
# What readers of such files raise if one is damaged or something else.
UNREADABLE = (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, AttributeError)
UNREADABLE += (UnpicklingError, BadZipFile, ArtifactError)
DIGEST = re.compile(r"-([0-9a-f]{8,64})\.\w+$")  # in the name of a published file


def check_digest(path: str | Path) -> None:
    """Raise ArtifactError if a file is not the published one whose name it has.

    Published weights have the beginning of their sha256 in their name, as ...-619a316812.pth; a
    file of another name is taken as it is.
    """
    named = DIGEST.search(Path(path).name)
    if named is None:
        return
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(named[1]):
        raise ArtifactError(
            f"its sha256 begins with {digest[: len(named[1])]}, not with {named[1]}: it was cut off"
            " or is another file"
        )


def refusal(path: str | Path, key: str, error: Exception) -> ArtifactError:
    """Why a file is not the weights of `models.<key>`, and where those are to be had."""
    # torch lists every tensor after its first line.
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ArtifactError(f"{path}: not the weights of {key} ({reason}); expected {SOURCES[key]}")
