"""Camera, pose and expression from 68 landmarks and the Basel Face Model, as AD-NeRF (spec 1.8).

The focal length of those tried that explains some frames best; then all frames coarsely; then
again, smooth in time. The field's stage 3 and the colours of stage 4 compare a rendered mesh with
the picture; they are left out, and refine_pose fits the poses to the picture instead.

Lengths are decimetres inside, as the step sizes of the field want them, the camera looks along -z,
and pixels are those of a 512 px frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from d3talker.face.bfm import EXPRESSION, IDENTITY, LANDMARKS, BaselFaceModel
from d3talker.face.landmarks import bridge_gaps
from d3talker.face.tracking import HEAD_TO_CAMERA, REFERENCE_SIZE, steady_frames

DECIMETRES = 10.0  # in a metre


@dataclass(frozen=True)
class BfmSettings:
    """Numbers of the field's tracker; iterations of Adam and its rates."""

    focals: tuple = tuple(range(600, 1401, 100))  # px at 512
    every: int = 40  # a frame of so many shows the focal length
    distance: float = 7.0  # dm, of the head at the start
    search_pose: int = 2000
    search_all: int = 2500
    search_slower: int = 1500  # from here a fifth of the rate, as in coarse_slower
    coarse_pose: int = 1500
    coarse_pose_slower: int = 1000  # from here a tenth of the rate
    coarse_all: int = 2000
    coarse_slower: int = 1000
    search_rate: float = 0.1
    coarse_pose_rate: float = 0.1  # 1 in the field, which turns single heads upside down
    coarse_rate: float = 0.1
    identity_prior: float = 0.5  # of the mean squared coefficient, against squared px
    expression_prior: float = 0.4
    fine_frames: int = 32  # solved for at once
    fine_before: int = 5  # frames before them, which stay
    fine_iterations: int = 50
    fine_rate: float = 0.005
    fine_points: tuple = (8.0, 1.5)  # weight of the landmarks, up to and beyond fine_change
    fine_change: int = 30
    fine_smooth: float = 1e5  # of the squared second difference, dm^2
    fine_expression_prior: float = 1.0


@dataclass
class Fit:
    """T frames of C trials: euler (C,T,3), place (C,T,3) dm, identity (C,1,100), expression
    (C,T,79); focal (C,1,1) px."""

    euler: Tensor
    place: Tensor
    identity: Tensor
    expression: Tensor
    focal: Tensor


@dataclass(frozen=True)
class BfmTrack:
    """What was found: focal px; R (T,3,3), t (T,3) m from the model to an OpenCV camera; identity
    (100,), expression (T,79); error (T,) px, mean distance of the landmarks, NaN without a face."""

    focal: float
    R: np.ndarray
    t: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    error: np.ndarray


class Points:
    """The vertices that the tracker looks at, in dm: the `seen` ones, landmarks and contours, then
    those of bone. Coordinates come before points, which is far faster."""

    def __init__(self, model: BaselFaceModel) -> None:
        parts = model.keypoints, model.left_contour, model.right_contour, model.rigid
        chosen = np.concatenate([part.ravel() for part in parts])
        self.seen = LANDMARKS + model.left_contour.size + model.right_contour.size
        self.mean = DECIMETRES * torch.from_numpy(model.mean[chosen].T).float().contiguous()
        self.identity, self.expression = (
            DECIMETRES * torch.from_numpy(basis[:, chosen].transpose(0, 2, 1)).float().contiguous()
            for basis in (model.identity, model.expression)
        )

    def camera(self, fit: Fit, moved: bool = True, part: slice = slice(None)) -> Tensor:
        """Points `part` (C,T,3,n) in the camera's space; of the mean face unless `moved`."""
        face = self.mean[:, part]
        if moved:
            change = fit.identity @ self.identity[..., part].flatten(1)
            change = change + fit.expression @ self.expression[..., part].flatten(1)
            face = face + change.unflatten(-1, (3, -1))
        return rotation(fit.euler) @ face + fit.place[..., None]

    def landmarks(self, camera: Tensor, focal: Tensor) -> Tensor:
        """Landmarks (C,T,2,68) px from the image's middle, of points (C,T,3,n) that begin with the
        seen ones; contours are where the face ends."""
        x, y, z = camera[..., : self.seen].unbind(-2)
        points = torch.stack([-x / z, y / z], dim=-2) * focal[..., None]
        candidates = (self.seen - LANDMARKS) // 2
        fixed, left, right = points.split([LANDMARKS, candidates, candidates], dim=-1)
        left, right = outermost(left, -1), outermost(right, 1)
        return torch.cat([left, fixed[..., 8:9], right, fixed[..., 17:]], dim=-1)


def outermost(candidates: Tensor, side: int) -> Tensor:
    """Of 8 x 20 candidates (...,2,160) px the 8 that lie farthest to the left (-1) or right (1)."""
    candidates = candidates.unflatten(-1, (8, -1))
    chosen = (side * candidates[..., 0, :, :]).argmax(dim=-1)[..., None, :, None]
    return candidates.gather(-1, chosen.expand(*candidates.shape[:-1], 1))[..., 0]


def rotation(euler: Tensor) -> Tensor:
    """R = Rx Ry Rz (...,3,3) of angles (...,3); Rz turns the other way, as in the field."""
    sin, cos = euler.sin(), euler.cos()
    zero, one = torch.zeros_like(sin[..., 0]), torch.ones_like(sin[..., 0])
    sx, sy, sz = sin.unbind(-1)
    cx, cy, cz = cos.unbind(-1)
    turns = (
        (one, zero, zero, zero, cx, -sx, zero, sx, cx),
        (cy, zero, sy, zero, one, zero, -sy, zero, cy),
        (cz, sz, zero, -sz, cz, zero, zero, zero, one),
    )
    x, y, z = (torch.stack(turn, dim=-1).unflatten(-1, (3, 3)) for turn in turns)
    return x @ y @ z


def start(focals: Sequence[float], frames: int, settings: BfmSettings) -> Fit:
    """Mean faces that look into the camera, for one trial of each focal length."""
    shape = len(focals), frames
    place = torch.zeros(*shape, 3)
    place[..., 2] = -settings.distance
    return Fit(
        euler=torch.zeros(*shape, 3),
        place=place,
        identity=torch.zeros(len(focals), 1, IDENTITY),
        expression=torch.zeros(*shape, EXPRESSION),
        focal=torch.tensor(focals, dtype=torch.float32)[:, None, None],
    )


def misfit(points: Points, fit: Fit, target: Tensor, moved: bool) -> Tensor:
    """Mean squared error (C,) px^2 of the landmarks target (T,2,68)."""
    found = points.landmarks(points.camera(fit, moved, slice(points.seen)), fit.focal)
    return (found - target).square().mean(dim=(1, 2, 3))


def descend(
    points: Points, fit: Fit, target: Tensor, steps: int, rate: float,
    slower: tuple[int, float],    settings: BfmSettings, moved: bool,
) -> None:  # fmt: skip
    """Adam on the poses, and if `moved` on the faces as well, in place.

    The trials are independent: Adam looks at each number for itself, so the sum of their losses
    gives each the steps that it would have alone. slower: from which step on, and by which factor.
    """
    unknowns = [fit.euler, fit.place] + ([fit.identity, fit.expression] if moved else [])
    optimizer = torch.optim.Adam([u.requires_grad_() for u in unknowns], lr=rate)
    slower_from, factor = slower
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (factor if step >= slower_from else 1.0)
        loss = misfit(points, fit, target, moved)
        if moved:
            loss = loss + settings.identity_prior * fit.identity.square().mean(dim=(1, 2))
            loss = loss + settings.expression_prior * fit.expression.square().mean(dim=(1, 2))
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
    for unknown in unknowns:
        unknown.requires_grad_(False)


def search_focal(points: Points, target: Tensor, settings: BfmSettings) -> float:
    """The focal length, px, with which some frames target (n,2,68) fit best."""
    fit, s = start(settings.focals, len(target), settings), settings
    descend(points, fit, target, s.search_pose, s.search_rate, (s.search_pose, 1.0), s, moved=False)
    descend(points, fit, target, s.search_all, s.search_rate, (s.search_slower, 0.2), s, moved=True)
    return float(settings.focals[int(misfit(points, fit, target, True).argmin())])


def coarse(points: Points, target: Tensor, focal: float, settings: BfmSettings) -> Fit:
    """All frames target (T,2,68), each for itself but for the identity."""
    fit, s = start([focal], len(target), settings), settings
    slower = (s.coarse_pose_slower, 0.1)
    descend(points, fit, target, s.coarse_pose, s.coarse_pose_rate, slower, s, moved=False)
    descend(points, fit, target, s.coarse_all, s.coarse_rate, (s.coarse_slower, 0.2), s, moved=True)
    return fit


def fine(
    points: Points, fit: Fit, target: Tensor, weights: Tensor, steady: Tensor, settings: BfmSettings
) -> None:
    """Make a Fit smooth in time, in place, some frames after the others.

    target (T,2,68) px; weights (T,) 0 where there are no landmarks; steady (T-2,) 0 across a cut.
    """
    frames = target.shape[0]
    for first in range(0, frames, settings.fine_frames):
        batch = slice(first, min(first + settings.fine_frames, frames))
        before = slice(max(first - settings.fine_before, 0), first)
        fixed = points.camera(part(fit, before), part=slice(points.seen, None))
        free = part(fit, batch)
        unknowns = [free.euler, free.place, free.expression]
        optimizer = torch.optim.Adam([u.requires_grad_() for u in unknowns], settings.fine_rate)
        smooth = steady[before.start : max(batch.stop - 2, 0)]
        for step in range(settings.fine_iterations):
            camera = points.camera(free)
            error = points.landmarks(camera, free.focal) - target[batch]
            error = (weights[batch, None, None] * error.square()).mean()
            weight = settings.fine_points[step > settings.fine_change]
            prior = settings.fine_expression_prior * free.expression.square().mean()
            loss = weight * error + prior
            bone = torch.cat([fixed, camera[..., points.seen :]], dim=1)
            if len(smooth):
                bend = bone[:, 1:-1] - 0.5 * (bone[:, :-2] + bone[:, 2:])
                loss = (
                    loss
                    + settings.fine_smooth * (bend.square().mean(dim=(0, 2, 3)) * smooth).mean()
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        for name in ("euler", "place", "expression"):
            getattr(fit, name)[:, batch] = getattr(free, name).detach()


def part(fit: Fit, frames: slice) -> Fit:
    """A copy of some frames."""
    moving = (getattr(fit, name)[:, frames].clone() for name in ("euler", "place"))
    return Fit(*moving, fit.identity, fit.expression[:, frames].clone(), fit.focal)


def track_bfm(
    model: BaselFaceModel,
    landmarks: np.ndarray,
    valid: np.ndarray,
    size: int,
    settings: BfmSettings = BfmSettings(),
    jump_cuts: Sequence[int] = (),
) -> BfmTrack:
    """Track landmarks (T,68,2) px of a size x size frame; valid (T,) bool marks faces found.

    There must be one at least. The other frames are bridged.
    """
    scale = REFERENCE_SIZE / size
    points = Points(model)
    target = torch.from_numpy(landmarks * scale - REFERENCE_SIZE / 2).float()
    target = target.transpose(1, 2).contiguous()
    seen = np.flatnonzero(valid)
    focal = search_focal(points, target[seen[:: settings.every]], settings)
    fit = bridge(coarse(points, target[seen], focal, settings), valid)
    steady = torch.from_numpy(steady_frames(len(target), jump_cuts)).float()
    fine(points, fit, target, torch.from_numpy(valid).float(), steady, settings)
    with torch.no_grad():
        found = points.landmarks(points.camera(fit), fit.focal)[0]
        error = (found - target).norm(dim=1).mean(dim=1).numpy() / scale
        R = HEAD_TO_CAMERA @ rotation(fit.euler[0]).double().numpy()
    return BfmTrack(
        focal=focal / scale,
        R=R,
        t=fit.place[0].double().numpy() @ HEAD_TO_CAMERA / DECIMETRES,
        identity=fit.identity[0, 0].numpy(),
        expression=fit.expression[0].numpy(),
        error=np.where(valid, error, np.nan),
    )


def bridge(fit: Fit, valid: np.ndarray) -> Fit:
    """A Fit of the valid frames as one of all T, interpolated between them."""

    def everywhere(values: Tensor) -> Tensor:
        frames = np.zeros((len(valid), 1, values.shape[-1]), np.float32)
        frames[valid, 0] = values[0].numpy()
        return torch.from_numpy(bridge_gaps(frames, valid)[None, :, 0])

    moving = map(everywhere, (fit.euler, fit.place))
    return Fit(*moving, fit.identity, everywhere(fit.expression), fit.focal)
