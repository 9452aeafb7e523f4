"""Head pose and expression of every frame from landmarks, by least squares over the whole clip.

Unknown are rotation, translation and expression of each frame, and the person's face: identity
coefficients and a small free offset of every point. Gauss-Newton on all frames at once: the
temporal priors couple each frame with the two before and after it, but not across a jump cut, so
the normal equations are block-banded. It alternates with a linear solve for the face. Poses that
are given stay as they are, and only expression and face are solved for. Frames whose
landmarks then fit badly (trusted.py) are bridged like those without a face, and the rest is solved
again.

The focal length is the prior's: such clips hardly show it (docs/preprocessing.md).

Inside, everything is scaled to a frame of REFERENCE_SIZE pixels, so that settings have one meaning.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solveh_banded
from scipy.spatial.transform import Rotation

from d3talker.face.alignment import similarity
from d3talker.face.given_cameras import SAME, bring_here, distance_between, find_head_space
from d3talker.face.landmarks import bridge_gaps
from d3talker.face.model import IRISES, LOWER_LIP, POINTS, RIGID, UPPER_LIP, FaceModel
from d3talker.face.normal_equations import frame_equations, point_equations
from d3talker.face.trusted import trusted_frames

log = logging.getLogger("d3talker")

REFERENCE_SIZE = 512
FRAMES_AT_ONCE = 500  # whose faces are in memory
POSE = 6  # unknowns of a frame's pose: rotation, then translation
HEAD_TO_CAMERA = np.diag([1.0, -1.0, -1.0])  # rotation of a head that looks into the camera


@dataclass(frozen=True)
class TrackSettings:
    """Weights of the tracker's energy.

    All terms are squared pixels of a REFERENCE_SIZE frame; the data term is a mean over points.
    Values are by judgement; a sweep over three clips found none clearly better.
    """

    focal: float = 1000.0  # px at REFERENCE_SIZE; a prior, it cannot be observed
    rounds: int = 8  # Gauss-Newton steps, each followed by a solve for the face
    rounds_again: int = 3  # after frames have been excluded
    robust: float = 1.0  # px, residual beyond which a landmark loses influence (Charbonnier)
    rigid_weight: float = 4.0  # of bony points, against 1
    iris_weight: float = 0.3  # of the irises, which follow the gaze
    smooth_pose: float = 0.3  # of the second difference of the pose, as movement on the image
    smooth_depth: float = 0.1  # of depth, relative to sideways movement of the same length
    smooth_expression: float = 0.002  # of the second difference of a coefficient
    expression_prior: float = 0.005  # of a squared coefficient (unit variance)
    identity_prior: float = 0.005  # of a squared coefficient (unit variance)
    offset_prior: float = 0.01  # of the personal offset of a point, as pixels
    rest_fraction: float = 0.2  # of frames, those with lips closest, that show the face at rest


@dataclass
class Track:
    """Pose and expression of T frames and the face of the person.

    focal px; R (T,3,3), t (T,3) m: X_camera = R X_head + t; shape (478,3) m, the person's face at
    rest; identity (I,); expression (T,E) relative to rest; reprojection_error (T,) px, mean over
    points, NaN where no face was found; valid (T,) bool: a face was found and its landmarks can be
    trusted. The other frames are bridged.
    """

    focal: float
    R: np.ndarray
    t: np.ndarray
    shape: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    reprojection_error: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Problem:
    """What the tracker is given: target (T,478,2) px from the image centre, weights (T,478).

    steady (T-2,): 1 where a frame and the next two are one movement, 0 across a jump cut.
    poses_given: the estimate's poses are right, and are kept.
    """

    model: FaceModel
    target: np.ndarray
    weights: np.ndarray
    steady: np.ndarray
    settings: TrackSettings
    poses_given: bool = False


@dataclass(frozen=True)
class Estimate:
    """What it looks for: R (T,3,3), t (T,3), expression (T,E), identity (I,), offset (478,3)."""

    R: np.ndarray
    t: np.ndarray
    expression: np.ndarray
    identity: np.ndarray
    offset: np.ndarray

    def shape(self, model: FaceModel) -> np.ndarray:
        """The person's face without expression (478,3)."""
        return model.mean + np.tensordot(self.identity, model.identity, 1) + self.offset


def track_face(
    model: FaceModel,
    points: np.ndarray,
    valid: np.ndarray,
    size: int,
    settings: TrackSettings = TrackSettings(),
    jump_cuts: Sequence[int] = (),
    given: tuple[np.ndarray, np.ndarray] | None = None,
) -> Track:
    """Track landmarks `points` (T,478,3) px of a size x size frame; `valid` (T,) marks faces found.

    jump_cuts: frames that do not continue the movement of the frame before. Frames that are not
    valid, or turn out not to be trusted, are bridged by the temporal priors. given: another
    tracker's poses R (T,3,3), t (T,3) m for the focal length of `settings`; they are brought into
    our head space and kept.
    """
    scale = REFERENCE_SIZE / size
    model = model.astype(np.float64)
    problem = Problem(
        model=model,
        target=points[..., :2] * np.float64(scale) - REFERENCE_SIZE / 2,
        weights=point_weights(settings) * valid[:, None],
        steady=steady_frames(len(points), jump_cuts),
        settings=settings,
    )
    R, t = initial_pose(model.mean, points, size, settings.focal / scale)
    estimate = Estimate(
        R=R,
        t=t,
        expression=np.zeros((len(points), len(model.expression))),
        identity=np.zeros(len(model.identity)),
        offset=np.zeros_like(model.mean),
    )
    estimate = improve(problem, estimate, settings.rounds)
    if given is not None:
        R, t = in_our_space(given, estimate, valid, model)
        problem = replace(problem, poses_given=True)
        estimate = improve(problem, replace(estimate, R=R, t=t), settings.rounds)
    trusted = valid & trusted_frames(distances(problem, estimate), estimate.R, valid)
    if (trusted != valid).any():
        weights = problem.weights * trusted[:, None]
        estimate = improve(replace(problem, weights=weights), estimate, settings.rounds_again)

    error = distances(problem, estimate).mean(1) / scale
    rest = rest_expression(estimate.expression, points, trusted, settings)
    return Track(
        focal=settings.focal / scale,
        R=estimate.R,
        t=estimate.t,
        shape=estimate.shape(model) + np.tensordot(rest, model.expression, 1),
        identity=estimate.identity,
        expression=estimate.expression - rest,
        reprojection_error=np.where(valid, error, np.nan),
        valid=trusted,
    )


def in_our_space(
    given: tuple[np.ndarray, np.ndarray], estimate: Estimate, valid: np.ndarray, model: FaceModel
) -> tuple[np.ndarray, np.ndarray]:
    """The poses `given` in our head space: as they are, if they were in it."""
    space = find_head_space(given, (estimate.R, estimate.t), valid)
    apart = distance_between(space, model.mean)
    turn = np.degrees(Rotation.from_matrix(space.R).magnitude())
    log.info(
        "the given poses are of a head space %.1f mm from ours (%.1f degrees, scale %.3f)%s",
        1000 * apart,
        turn,
        space.scale,
        "" if apart > SAME else ": the same",
    )
    return bring_here(*given, space) if apart > SAME else given


def steady_frames(frames: int, jump_cuts: Sequence[int]) -> np.ndarray:
    """1 (T-2,) float64 where frames i, i+1, i+2 are one movement, 0 where a cut is among them."""
    steady = np.ones(max(frames - 2, 0))
    for cut in jump_cuts:
        steady[max(cut - 2, 0) : cut] = 0
    return steady


def improve(problem: Problem, estimate: Estimate, rounds: int) -> Estimate:
    """The estimate after `rounds` steps for the frames, each followed by one for the face."""
    for _ in range(rounds):
        estimate = face_step(problem, frames_step(problem, estimate))
    return estimate


def distances(problem: Problem, estimate: Estimate) -> np.ndarray:
    """Distance (T,478) float32 of the projected points from the landmarks, px of REFERENCE_SIZE."""
    shape, basis = estimate.shape(problem.model), problem.model.expression
    distance = np.empty(problem.target.shape[:2], np.float32)
    for start in range(0, len(distance), FRAMES_AT_ONCE):
        part = slice(start, start + FRAMES_AT_ONCE)
        faces = shape + np.tensordot(estimate.expression[part], basis, 1)
        points = project(faces, estimate.R[part], estimate.t[part], problem.settings.focal)
        distance[part] = np.linalg.norm(points - problem.target[part], axis=2)
    return distance


def point_weights(settings: TrackSettings) -> np.ndarray:
    """Weights (478,) of the landmarks, summing to one."""
    weights = np.ones(POINTS)
    weights[RIGID] = settings.rigid_weight
    weights[IRISES] = settings.iris_weight
    return weights / weights.sum()


def initial_pose(
    mean: np.ndarray, points: np.ndarray, size: int, focal: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weak-perspective pose R (T,3,3), t (T,3) of each frame from landmarks (T,478,3).

    Landmarks and `focal` are in px of a size x size frame.
    """
    observed = points[:, RIGID] - np.array([size / 2, size / 2, 0])
    scale, to_head, _ = similarity(observed @ HEAD_TO_CAMERA, mean[RIGID])
    R = HEAD_TO_CAMERA @ to_head.transpose(0, 2, 1)
    depth = focal * scale
    centre = observed.mean(1)
    centre = np.column_stack([centre[:, :2] * scale[:, None], depth])
    return R, centre - R @ mean[RIGID].mean(0)


def project(faces: np.ndarray, R: np.ndarray, t: np.ndarray, focal: float) -> np.ndarray:
    """Pixels (T,n,2), relative to the image centre, of points (T,n,3) in HEAD space."""
    camera = faces @ R.transpose(0, 2, 1) + t[:, None]
    return focal * camera[..., :2] / camera[..., 2:]


def frames_step(problem: Problem, estimate: Estimate) -> Estimate:
    """One Gauss-Newton step for poses and expressions, the person's face held."""
    settings, t, expression = problem.settings, estimate.t, estimate.expression
    hessian, gradient = equations(frame_equations, problem, estimate)
    coefficients = np.arange(POSE, hessian.shape[1])
    hessian[:, coefficients, coefficients] += settings.expression_prior
    gradient[:, POSE:] += settings.expression_prior * expression
    smooth = smoothness_weights(np.median(t[:, 2]), len(coefficients), settings)
    second = second_difference(estimate.R, t, expression) * problem.steady[:, None]
    for shift, factor in enumerate((1, -2, 1)):
        gradient[shift : shift + len(second)] += factor * smooth * second
    step = np.zeros_like(gradient)
    sought = np.s_[POSE:] if problem.poses_given else np.s_[:]
    step[:, sought] = -solve_banded(
        hessian[:, sought, sought], gradient[:, sought], smooth[sought], problem.steady
    )
    return replace(
        estimate,
        R=Rotation.from_rotvec(step[:, :3]).as_matrix() @ estimate.R,
        t=t + step[:, 3:POSE],
        expression=expression + step[:, POSE:],
    )


def equations(kernel: Callable, problem: Problem, estimate: Estimate) -> tuple:
    """Matrices and gradients of the data term, by one of the two compiled kernels."""
    return kernel(
        estimate.shape(problem.model),
        problem.model.expression,
        estimate.R,
        estimate.t,
        estimate.expression,
        problem.target,
        problem.weights,
        problem.settings.focal,
        problem.settings.robust,
    )


def smoothness_weights(depth: float, components: int, settings: TrackSettings) -> np.ndarray:
    """Weight (D,) of the squared second difference of each unknown of a frame."""
    pixels = settings.focal / depth  # of one metre at the head
    lever = 0.1  # m, from the head's centre to the face: a turn moves the face that far
    sideways = settings.smooth_pose * pixels**2
    return np.array(
        [sideways * lever**2] * 3
        + [sideways, sideways, sideways * settings.smooth_depth**2]
        + [settings.smooth_expression] * components
    )


def second_difference(R: np.ndarray, t: np.ndarray, expression: np.ndarray) -> np.ndarray:
    """Second differences (T-2,D) in time of all unknowns."""
    turn = Rotation.from_matrix(R[1:] @ R[:-1].transpose(0, 2, 1)).as_rotvec()
    return np.concatenate(
        [np.diff(turn, axis=0), np.diff(t, 2, axis=0), np.diff(expression, 2, axis=0)], axis=1
    )


def solve_banded(
    hessian: np.ndarray, gradient: np.ndarray, smooth: np.ndarray, steady: np.ndarray
) -> np.ndarray:
    """Solve (blocks `hessian` (T,D,D) + second-difference prior) x = `gradient` (T,D).

    The prior has weights smooth (D,) of the unknowns times steady (T-2,) of the frames.
    """
    frames, unknowns = gradient.shape
    # [j, i-j] of the lower triangle: LAPACK's own order, so that it need not copy.
    bands = np.zeros((frames, unknowns, 2 * unknowns + 1))
    for below in range(unknowns):
        columns = np.arange(unknowns - below)
        bands[:, columns, below] = hessian[:, columns + below, columns]
    bands[..., 0] += 1e-9 * bands[..., 0].max(axis=0)  # solvable even if too few show a face
    factors = (1, -2, 1)
    for i in range(3):
        for j in range(i + 1):
            band = bands[j : j + max(frames - 2, 0), :, (i - j) * unknowns]
            band += factors[i] * factors[j] * smooth * steady[:, None]
    bands = bands.reshape(-1, 2 * unknowns + 1).T
    solution = solveh_banded(
        bands, gradient.ravel(), lower=True, overwrite_ab=True, check_finite=False
    )
    return solution.reshape(frames, unknowns)


def face_step(problem: Problem, estimate: Estimate) -> Estimate:
    """Solve for the person's face, identity first and then offset, the frames held."""
    settings, basis = problem.settings, problem.model.identity
    hessian, gradient = equations(point_equations, problem, estimate)
    frames = problem.weights.sum()  # the weights of a valid frame sum to one

    prior = frames * settings.identity_prior
    matrix = np.einsum("ani,nij,bnj->ab", basis, hessian, basis, optimize=True)
    slope = np.einsum("ani,ni->a", basis, gradient) + prior * estimate.identity
    change = -np.linalg.solve(matrix + prior * np.eye(len(basis)), slope)
    moved = np.tensordot(change, basis, 1)
    gradient += np.einsum("nij,nj->ni", hessian, moved)

    pixels = settings.focal / np.median(estimate.t[:, 2])
    prior = frames * settings.offset_prior * pixels**2 / POINTS
    gradient += prior * estimate.offset
    shift = -np.linalg.solve(hessian + prior * np.eye(3), gradient[..., None])[..., 0]
    return replace(estimate, identity=estimate.identity + change, offset=estimate.offset + shift)


def rest_expression(
    expression: np.ndarray, points: np.ndarray, valid: np.ndarray, settings: TrackSettings
) -> np.ndarray:
    """Median coefficients (E,) of the frames whose lips are closest together.

    They become the personal face, so that zero expression means the same for all people.
    """
    gap = np.linalg.norm(points[:, UPPER_LIP, :2] - points[:, LOWER_LIP, :2], axis=1)
    rest = valid & (gap <= np.quantile(gap[valid], settings.rest_fraction))
    return np.median(expression[rest], axis=0)


def head_points(model: FaceModel, track: Track, points: np.ndarray, size: int) -> np.ndarray:
    """Observed landmarks (T,478,3) px brought to HEAD space (T,478,3) float32 m: pose removed.

    Each pixel is put back at the depth that the tracked face has there. Frames that are not valid
    are interpolated.
    """
    head = np.empty(points.shape, np.float32)
    for start in range(0, len(points), FRAMES_AT_ONCE):
        part = slice(start, start + FRAMES_AT_ONCE)
        R, t = track.R[part], track.t[part, None]
        depth = (tracked_faces(model, track, part) @ R.transpose(0, 2, 1) + t)[..., 2:]
        ray = (points[part, :, :2] - size / 2) / track.focal
        head[part] = (np.concatenate([ray * depth, depth], axis=2) - t) @ R
    return bridge_gaps(head, track.valid)


def tracked_faces(model: FaceModel, track: Track, frames: slice | np.ndarray) -> np.ndarray:
    """The face (n,478,3) m in HEAD space that was tracked in some frames."""
    return track.shape + np.tensordot(track.expression[frames], model.expression, 1)


def mouth_opening(head: np.ndarray) -> np.ndarray:
    """Lip gap (T,) in metres of landmarks (T,478,3) in HEAD space."""
    return np.linalg.norm(head[:, UPPER_LIP] - head[:, LOWER_LIP], axis=1)
