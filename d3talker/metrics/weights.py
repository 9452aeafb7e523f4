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
BISENET_SOURCE = (
    "79999_iter.pth (sha256 468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567) from"
    " https://github.com/YudongGuo/AD-NeRF/blob/master/data_util/face_parsing/79999_iter.pth?raw=true,"
    " described at https://github.com/zllrunning/face-parsing.PyTorch (MIT; CelebAMask-HQ, on which"
    " it was trained: non-commercial research)"
)
EASYPORTRAIT_SOURCE = (
    "fpn-fp-512.pth from"
    " https://rndml-team-cv.obs.ru-moscow-1.hc.sbercloud.ru/datasets/easyportrait/experiments/models/"
    "fpn-fp-512.pth, described at https://github.com/hukenovs/easyportrait (a variant of"
    " CC BY-SA 4.0, see there)"
)
BFM_SOURCE = (
    "the .npz that stages/convert_bfm.py makes of 01_MorphableModel.mat, given to who registers at"
    " https://faces.dmi.unibas.ch/bfm/main.php?nav=1-2&id=downloads (non-commercial research), and"
    " of topology_info.npy, exp_info.npy and keys_info.npy from"
    " https://github.com/YudongGuo/AD-NeRF/tree/master/data_util/face_tracking/3DMM (MIT)"
)
# By the key of `models` in the configuration.
SOURCES = {
    "alexnet": ALEXNET_SOURCE,
    "fan": FAN_SOURCE,
    "s3fd": S3FD_SOURCE,
    "syncnet": SYNCNET_SOURCE,
    "bisenet": BISENET_SOURCE,
    "easyportrait": EASYPORTRAIT_SOURCE,
    "bfm": BFM_SOURCE,
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
