"""One person as the dataset folder that InsTaG, TalkingGaussian, ER-NeRF and GaussianTalker read.

Names, shapes, colours and conventions are those of spec 1 and 2. What this project measures in
another way than they do stands in the folder's `d3talker.json`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from d3talker.artifacts import encode_png
from d3talker.face.action_units import NAMES as AU_NAMES
from d3talker.face.model import IBUG_68
from d3talker.face.parsing import BACKGROUND, CLOTH, FACE, HAIR, INNER_MOUTH, NECK, TEETH

# Colours of parsing/<i>.png, RGB as in the file (spec 1.4). Teeth are painted as skin: the loaders
# take them off the face and give them to the mouth by teeth_mask (spec 1.11), an exclusive or.
COLOURS = {
    BACKGROUND: (255, 255, 255),
    FACE: (0, 0, 255),
    HAIR: (0, 0, 0),
    INNER_MOUTH: (100, 100, 100),
    TEETH: (0, 0, 255),
    NECK: (0, 255, 0),
    CLOTH: (255, 0, 0),
}

# Files of speech features that are not shaped as DeepSpeech's (spec 1.2).
SPEECH_NAMES = {"hubert": ("aud_hu.npy",), "wav2vec": ("aud_eo.npy",)}
# x right, y down, z forward to x right, y up, z backward; of the camera's axes.
OPENCV_TO_OPENGL = np.diag([1.0, -1.0, -1.0])
WIDEST = 99  # percentile of the clip's mouth opening that counts as AU25 of 5
QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]


class Frame(NamedTuple):
    """The images of one frame, uint8."""

    image: np.ndarray  # (H,W,3) RGB, as filmed
    labels: np.ndarray  # (H,W)
    torso: np.ndarray  # (H,W,4) RGBA


def camera_to_world(rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
    """OpenGL matrices (T,4,4) float64 of OpenCV poses head to camera, (T,3,3) and (T,3) m.

    Spec 1.9: rotation R^T, translation -R^T t, where R and t are those of a camera that looks
    along -z.
    """
    R = OPENCV_TO_OPENGL @ rotations.astype(np.float64)
    t = translations.astype(np.float64) @ OPENCV_TO_OPENGL
    matrices = np.tile(np.eye(4), (len(R), 1, 1))
    matrices[:, :3, :3] = R.transpose(0, 2, 1)
    matrices[:, :3, 3] = -np.einsum("tji,tj->ti", R, t)
    return matrices


def transforms(matrices: np.ndarray, frames: Iterable[int], focal: float, size: int) -> dict:
    """Content of a transforms_*.json: `matrices` (T,4,4) of all frames, `frames` to be listed."""
    return {
        "focal_len": focal,
        "cx": size / 2,
        "cy": size / 2,
        "frames": [
            {"img_id": i, "aud_id": i, "transform_matrix": matrices[i].tolist()} for i in frames
        ],
    }


def action_unit_table(au: np.ndarray, opening: np.ndarray) -> str:
    """au.csv of the tracker's units (T,6) and the mouth's opening (T,), NaN without a face.

    The header has OpenFace's leading blanks. AU25 is the opening, 5 at its widest: the loaders
    read quantiles of it.
    """
    known = opening[~np.isnan(opening)]
    widest = np.percentile(known, WIDEST) if len(known) else 1.0
    parted = 5 * np.clip(np.nan_to_num(opening) / max(widest, 1e-6), 0, 1)
    header = ["frame", *(f" {name}_r" for name in (*AU_NAMES, "AU25"))]
    rows = [
        ", ".join([str(i + 1), *(f"{value:.3f}" for value in (*units, gap))])
        for i, (units, gap) in enumerate(zip(au, parted, strict=True))
    ]
    return "\n".join([",".join(header), *rows]) + "\n"


def parsing_image(labels: np.ndarray) -> np.ndarray:
    """Labels (H,W) uint8 in the colours of spec 1.4, (H,W,3) RGB."""
    palette = np.zeros((len(COLOURS), 3), np.uint8)
    for label, colour in COLOURS.items():
        palette[label] = colour
    return palette[labels]


def write_images(folder: Path, number: int, frame: Frame, background: np.ndarray) -> None:
    """The files of one frame; background (H,W,3) is the clean plate."""
    bare = np.where((frame.labels == BACKGROUND)[..., None], background, frame.image)
    write(folder / "ori_imgs" / f"{number}.jpg", frame.image)
    write(folder / "gt_imgs" / f"{number}.jpg", bare)
    write(folder / "parsing" / f"{number}.png", parsing_image(frame.labels))
    write(folder / "torso_imgs" / f"{number}.png", frame.torso)
    np.save(folder / "teeth_mask" / f"{number}.npy", frame.labels == TEETH)


def write(path: Path, image: np.ndarray) -> None:
    """Write an RGB image as JPEG, or one of RGB or RGBA as PNG, by the suffix."""
    if path.suffix == ".jpg":
        encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), QUALITY)[1].tobytes()
    else:
        encoded = encode_png(image)
    path.write_bytes(encoded)


def write_landmarks(folder: Path, points: np.ndarray) -> None:
    """ori_imgs/<i>.lms of points (T,n,2 or 3) px, 68 of iBUG or 478 of the face mesh."""
    chosen = points if points.shape[1] == len(IBUG_68) else points[:, IBUG_68]
    for number, frame in enumerate(chosen[..., :2]):
        np.savetxt(folder / "ori_imgs" / f"{number}.lms", frame, "%f")


def write_speech(folder: Path, features: np.ndarray, extractor: str) -> None:
    """Speech windows (T,W,C) under the names by which the programs look for them."""
    for name in SPEECH_NAMES.get(extractor, ("aud.npy", "aud_ds.npy")):
        np.save(folder / name, features.astype(np.float64))


def write_geometry(folder: Path, depth: np.ndarray, normals: np.ndarray) -> None:
    """A geometry prior of the first frames, depth (n,H,W) and normals (n,H,W,3)."""
    for kind, values in (("depth", depth), ("normal", normals)):
        place = folder / "sapiens" / kind / "sapiens_0.3b"
        place.mkdir(parents=True)
        for number, image in enumerate(values):
            np.save(place / f"{number}.npy", image.astype(np.float32))
