"""Generated weights and a face of the shapes that Real3D-Portrait's backend reads."""

import numpy as np
import scipy.io
import torch

from d3talker.face import bfm_front as bfm
from d3talker.motion import audio2secc

ROWS, COLUMNS = 188, 189  # of the grid of vertices; a few are left over
MOUTH = 135  # row of the slit
EYE = 0.55, 0.35, 0.22  # column, row and radius of the left eye opening, about dm
KEY = np.linspace(0, 2 * np.pi, 7)[:-1]


def checkpoint(path, seed=0, **changes):
    """A checkpoint with all that is read, beside what training leaves; `changes` by name."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in audio2secc.manifest().items():
        scale = 1.0 if name.endswith(("weight_g", "running_var")) else 0.1
        state[name] = scale * torch.rand(shape, generator=generator) + 0.01
        if not name.endswith(("weight_g", "running_var")):
            state[name] -= scale / 2
    state["vae.encoder.out_proj.bias"] = torch.zeros(32)  # for training only
    state["mel_encoder.1.num_batches_tracked"] = torch.tensor(400000)
    state |= changes
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    torch.save({"global_step": 400000, "state_dict": {"model": state}}, path)


def front_face():
    """Fields of a BFM_model_front.mat: a bowl with the bulge to the front, a mouth that opens."""
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, COLUMNS), np.linspace(-1, 1, ROWS)), -1)
    points = grid[::-1].reshape(-1, 2)  # rows from the top
    mean = np.zeros((bfm.VERTICES, 3))
    mean[:] = [0, 0.9, 0]  # those that are left over, in no triangle
    mean[: len(points), :2] = points * 0.9
    mean[: len(points), 2] = 0.8 - 0.6 * (points**2).sum(1)
    a = (np.arange(ROWS - 1)[:, None] * COLUMNS + np.arange(COLUMNS - 1)).ravel()
    lower = np.stack([a, a + COLUMNS, a + COLUMNS + 1], 1)
    upper = np.stack([a, a + COLUMNS + 1, a + 1], 1)
    triangles = np.concatenate([lower, upper])
    # The mouth: a row of triangles is missing, and the first component drops what is below it.
    row = np.tile(a // COLUMNS, 2)
    slit = (np.abs(mean[triangles].mean(1)[:, 0]) < 0.3) & (row == MOUTH)
    triangles = triangles[~slit]
    expression = np.zeros((bfm.EXPRESSIONS, bfm.VERTICES, 3), np.float32)
    rows = np.arange(len(points)) // COLUMNS
    below = (np.abs(points[:, 0]) < 0.3) & (rows > MOUTH) & (rows < MOUTH + 25)
    expression[0, : len(points)][below, 1] = -0.08
    keypoints = np.zeros(bfm.KEYPOINTS, int)
    for side, eye in ((-1, bfm.RIGHT_EYE), (1, bfm.LEFT_EYE)):
        x, y, radius = EYE
        for point, angle in zip(eye, KEY, strict=True):
            spot = side * x + radius * np.cos(angle), y + radius * np.sin(angle) / 2
            keypoints[point] = np.square(mean[: len(points), :2] - spot).sum(1).argmin()
    return {
        "meanshape": mean.reshape(1, -1) + 0.25,  # not centred, as the published one
        "idBase": np.zeros((3 * bfm.VERTICES, bfm.IDENTITIES), np.float32),
        "exBase": expression.reshape(bfm.EXPRESSIONS, -1).T,
        "tri": triangles + 1.0,
        "keypoints": keypoints[None] + 1.0,
    }


def write_mat(path, **changes):
    """A BFM_model_front.mat; fields that are None are left out."""
    fields = front_face() | changes
    kept = {name: field for name, field in fields.items() if field is not None}
    scipy.io.savemat(path, kept, do_compression=True)
