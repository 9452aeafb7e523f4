"""Measure a rendered video: image quality and lips against the truth, or lips against the speech.

Self-driven videos show the test frames and are compared with them. A video driven by another
audio has no true frames: only the lips are measured, against the loudness of that audio and, where
there is a video of who speaks it, against that mouth. A metric that cannot be measured is null,
with the reason under `missing`. docs/metrics.md defines all of them.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker import artifacts, cli
from d3talker.face.model import FaceModel
from d3talker.face.parsing import head_mask
from d3talker.metrics import image, lips, openface
from d3talker.metrics.bootstrap import mean_interval
from d3talker.metrics.face_crop import template
from d3talker.metrics.scores import Scores
from d3talker.metrics.truth import encoded_truth
from d3talker.video import iter_frames, read_wav

NO_TRUTH = "driven by another audio: there are no true frames to compare with"
OWN_SOUND = "driven by its own sound: mouth_corr compares it with who speaks"
NEEDS_ALEXNET = "needs the weights of AlexNet (models.alexnet), which are not given"
NEEDS_FAN = (
    "needs the weights of FAN and S3FD (models.fan, models.s3fd), which are not both given; "
    "lip_distance is the like measure on face mesh points"
)
NEEDS_SYNCNET = (
    "needs the weights of SyncNet and S3FD (models.syncnet, models.s3fd), which are not both given"
)
NO_DRIVER = "no video of the same name lies beside the driving audio"
SYNC = {"sync_c": "sync_c", "sync_d": "sync_d", "sync_offset": "offset"}
AUE = ("aue_lower", "aue_upper")
WITH_INTERVAL = ("psnr", "psnr_mouth", "ssim", "lip_distance")
# Of self-driven renders alone.
AGAINST_TRUTH = (*image.IMAGE_METRICS, "lpips", "lip_distance", "lmd", "mouth_corr", *AUE)
AGAINST_TRUTH += tuple(f"{name}_ci" for name in (*WITH_INTERVAL, "mouth_corr"))
DRIVER_SLACK = 12  # frames by which a video may differ in length from the sound of the same name


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--render", required=True, help="rendered video")
    parser.add_argument("--render-json", required=True, help="what was rendered, and how fast")
    parser.add_argument("--render-landmarks", required=True, help="landmarks of the render")
    parser.add_argument("--video", required=True, help="the person's clip: the truth")
    parser.add_argument("--landmarks", required=True, help="landmarks of the clip")
    parser.add_argument("--face-model", required=True, help="face_model.npz")
    parser.add_argument("--labels", required=True, help="parsing of the clip (.zip)")
    parser.add_argument("--ingest", required=True, help="ingest.json of the clip")
    parser.add_argument("--drive", required=True, help="'self', or the name of the audio")
    parser.add_argument("--audio", required=True, help="the whole driving audio (.wav)")
    parser.add_argument("--alexnet", help="weights of AlexNet, for lpips")
    parser.add_argument("--fan-render", help="FAN's points of the render, for lmd")
    parser.add_argument("--fan-truth", help="FAN's points of the clip's test frames, for lmd")
    parser.add_argument("--syncnet", help="syncnet.json of the render, for sync_c and sync_d")
    parser.add_argument("--openface-render", help="OpenFace's CSV of the render, for aue")
    parser.add_argument("--openface-truth", help="OpenFace's CSV of the clip, for aue")
    parser.add_argument("--driver-landmarks", help="landmarks of who speaks the driving audio")
    parser.add_argument("--identity", required=True)
    parser.add_argument("--variant", required=True)
    parser.add_argument("--secs", required=True, type=int, help="training seconds")
    parser.add_argument("--preset", required=True)
    parser.add_argument("--out", required=True, help="metrics.json")
    return parser.parse_args()


def mouth_opening(path: str, start: int, frames: int) -> tuple[dict, np.ndarray]:
    """Landmarks of `frames` frames from `start` on, and mouth opening (T,), NaN without a face."""
    arrays, _ = artifacts.load_arrays(path)
    arrays = {name: values[start : start + frames] for name, values in arrays.items()}
    if len(arrays["valid"]) != frames:
        raise artifacts.ArtifactError(
            f"{path}: {len(arrays['valid'])} frames from frame {start} on, but {frames} were "
            "rendered; make it again"
        )
    return arrays, np.where(arrays["valid"], arrays["mouth_openness"], np.nan)


def check_is_test_part(args: argparse.Namespace, start: int, stop: int) -> None:
    """Never measure frames that the avatar was trained on."""
    test_start, test_stop = artifacts.load_json(args.ingest)["test"]
    if start < test_start or stop > test_stop:
        raise artifacts.ArtifactError(
            f"{args.render_json}: shows frames {start} to {stop}, outside the test part "
            f"{test_start} to {test_stop} of {args.ingest}; render again"
        )


def perceptual_distance(path: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """LPIPS of two frames (H,W,3) uint8, with AlexNet's weights in the file `path`."""
    import torch

    from d3talker.metrics.alexnet import load_alexnet
    from d3talker.metrics.lpips import load_heads, lpips

    network, heads = load_alexnet(path), load_heads()

    def distance(render: np.ndarray, truth: np.ndarray) -> float:
        frames = torch.from_numpy(np.stack([render, truth])).permute(0, 3, 1, 2) / 255
        return lpips(network, heads, frames[:1], frames[1:]).item()

    return distance


def measure_images(scores: Scores, args: argparse.Namespace, start: int, truth: dict) -> None:
    """Everything that compares pictures, of the rendered frames from clip frame `start` on.

    The truth is encoded as the render was, and both are compared as decoded (spec 7.1).
    """
    stop = start + len(truth["valid"])
    more = {"lpips": perceptual_distance(args.alexnet)} if args.alexnet else {}
    if not more:
        scores.lack(["lpips"], NEEDS_ALEXNET)
    heads = head_mask(artifacts.load_images(args.labels, range(start, stop)))
    frames = cli.progress(iter_frames(args.render), stop - start, "evaluate")
    with encoded_truth(args.video, start, stop) as encoded:
        per_frame = image.compare_frames(
            frames,
            iter_frames(encoded),
            heads,
            truth["points"],
            truth["valid"],
            template(FaceModel.load(args.face_model)),
            more,
        )
    for name, values in per_frame.items():
        measure_mean(scores, name, values, image.mean_score)


def measure_mean(
    scores: Scores, name: str, values: np.ndarray, mean: Callable[[np.ndarray], float]
) -> None:
    """A score that is a mean over frames, values (T,), with its interval if it has one."""
    scores.measure(name, lambda: mean(values))
    if name in WITH_INTERVAL:
        scores.measure(f"{name}_ci", lambda: mean_interval(values))


def measure_self(scores: Scores, args: argparse.Namespace, start: int, frames: int) -> None:
    """Everything that needs the true frames."""
    check_is_test_part(args, start, start + frames)
    truth, true_opening = mouth_opening(args.landmarks, start, frames)
    render, opening = mouth_opening(args.render_landmarks, 0, frames)
    measure_images(scores, args, start, truth)
    both = truth["valid"] & render["valid"]
    distances = lips.lip_distances(render["points"], truth["points"], both)
    measure_mean(scores, "lip_distance", distances, lips.mean_distance)
    scores.measure("mouth_corr", lambda: lips.pearson(opening, true_opening))
    scores.measure("mouth_corr_ci", lambda: lips.correlation_interval(opening, true_opening))
    scores.measure("av_offset_frames", lambda: lips.best_lag(opening, true_opening))
    measure_lmd(scores, args, start, frames)
    measure_action_units(scores, args, start, frames)


def measure_lmd(scores: Scores, args: argparse.Namespace, start: int, frames: int) -> None:
    """The field's landmark distance, of the points that the stage fan found in both videos."""
    if not (args.fan_render and args.fan_truth):
        scores.lack(["lmd"], NEEDS_FAN)
        return
    found = []
    for path, first in ((args.fan_render, 0), (args.fan_truth, start)):
        arrays, meta = artifacts.load_arrays(path)
        part = slice(first - meta["first_frame"], first - meta["first_frame"] + frames)
        found.append((arrays["points"][part], arrays["valid"][part]))
        if len(found[-1][1]) != frames:
            raise artifacts.ArtifactError(f"{path}: lacks some of {frames} frames; make it again")
    (render, seen), (truth, known) = found
    distances = lips.fan_distances(render, truth, seen & known)
    measure_mean(scores, "lmd", distances, lips.mean_distance)


def measure_action_units(scores: Scores, args: argparse.Namespace, start: int, frames: int) -> None:
    """Errors of the action units that OpenFace found, where the user gives its files."""
    if not (args.openface_render and args.openface_truth):
        name = openface.file_name(args.identity, args.variant, args.secs, args.drive)
        scores.lack(AUE, f"needs OpenFace's {args.identity}.csv and {name} in the folder openface")
        return
    clip = artifacts.load_json(args.ingest)["frames"]
    render, truth = (
        openface.test_part(path, openface.load_intensities(path), start, frames, clip)
        for path in (args.openface_render, args.openface_truth)
    )
    if len(render) != len(truth):
        raise artifacts.ArtifactError(f"{args.openface_render}: {len(render)} frames, not {frames}")
    scores.values |= openface.aue(render, truth)


def measure_syncnet(scores: Scores, args: argparse.Namespace) -> None:
    """What the stage syncnet found."""
    if not args.syncnet:
        scores.lack(SYNC, NEEDS_SYNCNET)
        return
    measured = artifacts.load_json(args.syncnet)
    if "missing" in measured:
        scores.lack(SYNC, measured["missing"])
        return
    scores.values |= {name: measured[theirs] for name, theirs in SYNC.items()}


def measure_driver(scores: Scores, args: argparse.Namespace, frames: int) -> np.ndarray | None:
    """The mouth against that of who speaks the driving audio; how open that one is, (T,)."""
    names = ("mouth_driver_corr", "mouth_driver_corr_ci")
    if args.driver_landmarks is None:
        scores.lack(names, OWN_SOUND if args.drive == "self" else NO_DRIVER)
        return None
    _, opening = mouth_opening(args.render_landmarks, 0, frames)
    arrays, _ = artifacts.load_arrays(args.driver_landmarks)
    seen, heard = len(arrays["valid"]), len(read_wav(args.audio)[0]) // lips.SAMPLES_PER_FRAME
    if abs(seen - heard) > DRIVER_SLACK:
        scores.lack(names, f"its video has {seen} frames, but its sound {heard}: not one recording")
        return None
    driver = np.full(max(frames, seen), np.nan)
    driver[:seen] = np.where(arrays["valid"], arrays["mouth_openness"], np.nan)
    driver = driver[:frames]
    scores.measure(names[0], lambda: lips.pearson(opening, driver))
    scores.measure(names[1], lambda: lips.correlation_interval(opening, driver))
    return driver


def measure_speech(scores: Scores, args: argparse.Namespace, start: int, frames: int) -> str:
    """Lips against the driving audio, whose frame `start` is the first one, and who speaks it.

    Returns what av_offset_frames is measured against.
    """
    _, opening = mouth_opening(args.render_landmarks, 0, frames)
    energy = lips.speech_energy(read_wav(args.audio)[0])[start : start + frames]
    if len(energy) != frames:
        raise artifacts.ArtifactError(
            f"{args.audio}: ends before the {frames} rendered frames do; render again"
        )
    scores.measure("mouth_energy_corr", lambda: lips.pearson(opening, energy))
    driver = measure_driver(scores, args, frames)
    if args.drive == "self":
        return "true mouth opening"
    reference, what = (energy, "speech loudness") if driver is None else (driver, "driving speaker")
    scores.measure("av_offset_frames", lambda: lips.best_lag(opening, reference))
    return what


def measure_speed(scores: Scores, rendered: dict) -> None:
    """Frames per second and training time, as the stages before measured them."""
    for name in ("fps", "fps_coarse", "train_seconds"):
        scores.values[name] = rendered[name]
        if rendered[name] is None:
            unknown = "not measured: the video is too short for a timing"
            scores.lack([name], rendered.get("missing", {}).get(name, unknown))


def main() -> None:
    args = parse_arguments()
    rendered = artifacts.load_json(args.render_json)
    labels = {name: getattr(args, name) for name in ("identity", "variant", "secs", "drive")}
    if any(rendered[name] != value for name, value in labels.items()):
        raise artifacts.ArtifactError(f"{args.render_json}: is not the render of {labels}")
    scores = Scores()
    self_driven = args.drive == "self"
    start = rendered["first_frame"] if self_driven else 0
    if self_driven:
        measure_self(scores, args, start, rendered["frames"])
    else:
        scores.lack(AGAINST_TRUTH, NO_TRUTH)
    measured_against = measure_speech(scores, args, start, rendered["frames"])
    measure_syncnet(scores, args)
    measure_speed(scores, rendered)
    artifacts.save_json(
        args.out,
        labels
        | {"frames": rendered["frames"]}
        | scores.values
        | {
            "av_offset_against": measured_against,
            "train_seconds_by_stage": rendered["train_seconds_by_stage"],
            "preset": args.preset,
            "backends": rendered["backends"],
            "versions": rendered["versions"],
            "missing": scores.missing,
        },
    )


if __name__ == "__main__":
    cli.run(main)
