"""Measure a rendered video: image quality and lips against the truth, or lips against the speech.

Self-driven videos show the test frames and are compared with them. A video driven by another
audio has no true frames: only the lips are measured, against the loudness of that audio. A metric
that cannot be measured is null, with the reason under `missing`.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from d3talker import artifacts, cli
from d3talker.face.parsing import head_mask
from d3talker.metrics import image, lips
from d3talker.metrics.scores import Scores
from d3talker.video import iter_frames, read_wav, write_video

NO_TRUTH = "driven by another audio: there are no true frames to compare with"
NEEDS_WEIGHTS = {
    "lpips": "needs the AlexNet and LPIPS v0.1 weights, which are not given",
    "lmd": "needs the FAN 68-point detector, which is not given; lip_distance is the like measure "
    "on face mesh points",
    "sync_c": "needs the SyncNet v2 weights, which are not given",
    "sync_d": "needs the SyncNet v2 weights, which are not given",
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--render", required=True, help="rendered video")
    parser.add_argument("--render-json", required=True, help="what was rendered, and how fast")
    parser.add_argument("--render-landmarks", required=True, help="landmarks of the render")
    parser.add_argument("--video", required=True, help="the person's clip: the truth")
    parser.add_argument("--landmarks", required=True, help="landmarks of the clip")
    parser.add_argument("--labels", required=True, help="parsing of the clip (.zip)")
    parser.add_argument("--ingest", required=True, help="ingest.json of the clip")
    parser.add_argument("--drive", required=True, help="'self', or the name of the audio")
    parser.add_argument("--audio", required=True, help="the whole driving audio (.wav)")
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


def measure_images(scores: Scores, args: argparse.Namespace, start: int, truth: dict) -> None:
    """PSNR and SSIM of the rendered test frames from clip frame `start` on.

    The truth is encoded as the render was, and both are compared as decoded (spec 7.1).
    """
    stop = start + len(truth["valid"])
    heads = head_mask(artifacts.load_images(args.labels, range(start, stop)))
    frames = cli.progress(iter_frames(args.render), stop - start, "evaluate")
    with tempfile.TemporaryDirectory() as folder:
        encoded = Path(folder) / "truth.mp4"
        write_video(encoded, iter_frames(args.video, start, stop))
        per_frame = image.compare_frames(
            frames, iter_frames(encoded), heads, truth["points"], truth["valid"]
        )
    for name, values in per_frame.items():
        scores.measure(name, lambda values=values: image.mean_score(values))


def measure_self(scores: Scores, args: argparse.Namespace, start: int, frames: int) -> None:
    """Everything that needs the true frames."""
    check_is_test_part(args, start, start + frames)
    truth, true_opening = mouth_opening(args.landmarks, start, frames)
    render, opening = mouth_opening(args.render_landmarks, 0, frames)
    measure_images(scores, args, start, truth)
    both = truth["valid"] & render["valid"]
    scores.measure(
        "lip_distance", lambda: lips.lip_distance(render["points"], truth["points"], both)
    )
    scores.measure("mouth_corr", lambda: lips.pearson(opening, true_opening))
    scores.measure("mouth_corr_ci", lambda: lips.correlation_interval(opening, true_opening))
    scores.measure("av_offset_frames", lambda: lips.best_lag(opening, true_opening))


def measure_speech(scores: Scores, args: argparse.Namespace, start: int, frames: int) -> None:
    """Lips against the loudness of the driving audio, whose frame `start` is the first one."""
    _, opening = mouth_opening(args.render_landmarks, 0, frames)
    energy = lips.speech_energy(read_wav(args.audio)[0])[start : start + frames]
    if len(energy) != frames:
        raise artifacts.ArtifactError(
            f"{args.audio}: ends before the {frames} rendered frames do; render again"
        )
    scores.measure("mouth_energy_corr", lambda: lips.pearson(opening, energy))
    if args.drive != "self":
        scores.measure("av_offset_frames", lambda: lips.best_lag(opening, energy))


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
    for name, reason in NEEDS_WEIGHTS.items():
        scores.lack([name], reason)
    self_driven = args.drive == "self"
    start = rendered["first_frame"] if self_driven else 0
    if self_driven:
        measure_self(scores, args, start, rendered["frames"])
    else:
        compared = (*image.IMAGE_METRICS, "lip_distance", "mouth_corr", "mouth_corr_ci")
        scores.lack(compared, NO_TRUTH)
    measure_speech(scores, args, start, rendered["frames"])
    measure_speed(scores, rendered)
    artifacts.save_json(
        args.out,
        labels
        | {"frames": rendered["frames"]}
        | scores.values
        | {
            "av_offset_against": "true mouth opening" if self_driven else "speech loudness",
            "train_seconds_by_stage": rendered["train_seconds_by_stage"],
            "preset": args.preset,
            "backends": rendered["backends"],
            "versions": rendered["versions"],
            "missing": scores.missing,
        },
    )


if __name__ == "__main__":
    cli.run(main)
