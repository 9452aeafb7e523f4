"""FAN's 68 points of a face and S3FD's boxes, by the package face-alignment.

The weights are the user's; the package would download its own, which never happens here.
"""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import torch
from face_alignment import FaceAlignment, LandmarksType
from face_alignment.detection.sfd import detect
from face_alignment.detection.sfd.bbox import nms
from face_alignment.detection.sfd.sfd_detector import SFDDetector

from d3talker.artifacts import ArtifactError
from d3talker.metrics.weights import UNREADABLE, check_digest, refusal

FAN_INPUT, FAN_OUTPUT = (1, 3, 256, 256), (1, 68, 64, 64)
# Of SyncNet's face detection (spec 7.6).
SYNCNET_SCALE, SYNCNET_CONFIDENCE, SYNCNET_OVERLAP = 0.25, 0.9, 0.1
S3FD_OVERLAP = 0.3  # of boxes that are the same face, within the detector


class Fan(FaceAlignment):
    """The package's FAN with weights from a file: the TorchScript archive of 2DFAN4."""

    def __init__(self, fan: str | Path, s3fd: str | Path) -> None:
        self._network = load_fan(fan)
        load_s3fd(s3fd)
        super().__init__(
            LandmarksType.TWO_D,
            device="cpu",
            flip_input=False,  # as the field's scripts have it
            compile=False,
            face_detector_kwargs={"path_to_detector": str(s3fd)},
        )

    def _load_native(self, *_) -> torch.nn.Module:
        """Called by the package, which downloads here."""
        return self._network


def load_fan(path: str | Path) -> torch.jit.ScriptModule:
    """2DFAN4. Raises ArtifactError, which says where the file is to be had, for any other file."""
    try:
        check_digest(path, "fan")
        network = torch.jit.load(str(path), map_location="cpu").eval()
        with torch.no_grad():
            made = network(torch.zeros(FAN_INPUT))
        # One set of heat maps for each hourglass, or the last of them alone.
        shape = tuple((made[-1] if isinstance(made, (list, tuple)) else made).shape)
        if shape != FAN_OUTPUT:
            raise ArtifactError(f"it makes {shape} of a face, not {FAN_OUTPUT}")
    except UNREADABLE as error:
        raise refusal(path, "fan", error) from error
    return network


def load_s3fd(path: str | Path) -> SFDDetector:
    """S3FD. Raises ArtifactError, which says where the file is to be had, for any other file."""
    try:
        check_digest(path, "s3fd")
        return SFDDetector(device="cpu", path_to_detector=str(path))
    except UNREADABLE as error:
        raise refusal(path, "s3fd", error) from error


def fan_points(
    fan: Fan, frames: Iterable[np.ndarray], first: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """68 points of a face of every frame, and whether there is one.

    Of several faces it is the last detected (spec 7.5), or the `first` (spec 1.7).

    frames: (H,W,3) uint8 RGB. Returns points (T,68,2) float32 px, zeros without a face, and valid
    (T,) bool.
    """
    points, valid = [], []
    for frame in frames:
        boxes = fan.face_detector.detect_from_image(frame.copy())
        found = len(boxes) > 0
        # One face is enough.
        chosen = boxes[:1] if first else boxes[-1:]
        faces = fan.get_landmarks_from_image(frame, chosen) if found else [np.zeros((68, 2))]
        points.append(np.asarray(faces[-1], np.float32))
        valid.append(found)
    return np.array(points).reshape(-1, 68, 2), np.array(valid, bool)


def syncnet_boxes(detector: SFDDetector, frame: np.ndarray) -> np.ndarray:
    """Faces as SyncNet's pipeline looks for them: (n,4) px, left, top, right, bottom (spec 7.6).

    frame: (H,W,3) uint8 RGB, looked at in a quarter of its size.
    """
    small = cv2.resize(
        frame, None, fx=SYNCNET_SCALE, fy=SYNCNET_SCALE, interpolation=cv2.INTER_LINEAR
    )
    found = detect.detect(detector.face_detector, small, device="cpu")[0]
    if len(found) == 0:
        return np.zeros((0, 4))
    found = found[nms(found, S3FD_OVERLAP)]
    found = found[found[:, 4] > SYNCNET_CONFIDENCE]
    return found[nms(found, SYNCNET_OVERLAP)].reshape(-1, 5)[:, :4] / SYNCNET_SCALE
