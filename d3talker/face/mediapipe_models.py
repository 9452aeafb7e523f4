"""MediaPipe's face detector, face mesh and person segmentation, from the models in its wheel.

Only the media environment has MediaPipe; import this module nowhere else.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

os.environ.setdefault("GLOG_minloglevel", "3")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import mediapipe as mp
import numpy as np

MESH_POINTS = 478  # 468 of the face and 5 of each iris


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hide what MediaPipe's C++ side prints while a graph starts; no setting turns it off."""
    sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "w") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _start(solution, **options):
    with _quiet_stderr():
        model = solution(**options)
        model.process(np.zeros((64, 64, 3), np.uint8))
    return model


class FaceDetector:
    """Boxes of all faces of single images; finds small and distant ones too."""

    def __init__(self):
        # model_selection 1: the full-range model, faces up to about 5 m away
        self._model = _start(
            mp.solutions.face_detection.FaceDetection,
            model_selection=1,
            min_detection_confidence=0.5,
        )

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """image: (H,W,3) uint8 RGB. Returns (n,4) float: x, y, width, height in px."""
        height, width = image.shape[:2]
        found = self._model.process(image).detections or []
        boxes = [d.location_data.relative_bounding_box for d in found]
        relative = np.array([(b.xmin, b.ymin, b.width, b.height) for b in boxes]).reshape(-1, 4)
        return relative * [width, height, width, height]


class FaceMesh:
    """Face meshes of the consecutive frames of a clip."""

    def __init__(self, max_faces: int = 2):
        self._model = _start(
            mp.solutions.face_mesh.FaceMesh,
            static_image_mode=False,
            max_num_faces=max_faces,
            refine_landmarks=True,
            min_detection_confidence=0.5,
            min_tracking_confidence=0.5,
        )

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """image: (H,W,3) uint8 RGB. Returns (n,478,3) float32 px; z grows away from the camera."""
        height, width = image.shape[:2]
        found = self._model.process(image).multi_face_landmarks or []
        points = [[(p.x, p.y, p.z) for p in face.landmark] for face in found]
        points = np.array(points, np.float32).reshape(-1, MESH_POINTS, 3)
        return points * np.array([width, height, width], np.float32)


class PersonSegmenter:
    """Probability that a pixel shows a person."""

    def __init__(self):
        # model_selection 0: the general model, 256 x 256; 1 is for landscape pictures
        self._model = _start(mp.solutions.selfie_segmentation.SelfieSegmentation, model_selection=0)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """image: (H,W,3) uint8 RGB. Returns (H,W) float32 in [0,1]."""
        return self._model.process(image).segmentation_mask
