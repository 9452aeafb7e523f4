"""Write a results folder of one made-up person whose frames show their own numbers.

Runs in the environment torch, which has ffmpeg: python make_results.py FOLDER. Bar k of a frame is
bright where bit k of its number, counted from the first test frame, is 1.
"""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from d3talker.artifacts import save_arrays, save_image, save_json
from d3talker.video import write_video, write_wav

ROOT = Path(__file__).resolve().parents[2]
SIZE, BARS, START, FRAMES, FPS = 96, 8, 50, 75, 25
VARIANTS = {"d3talker": 12, "static": 24}  # by how many grey levels their bars are too bright
NEED_WEIGHTS = ("lpips", "lmd", "sync_c", "sync_d")


def frame(number: int, brighter: int = 0) -> np.ndarray:
    """(SIZE,SIZE,3) uint8 that shows `number`."""
    bars = [180 if number >> bar & 1 else 30 for bar in range(BARS)]
    row = np.repeat(np.array(bars, np.uint8) + np.uint8(brighter), SIZE // BARS)
    return np.broadcast_to(row[None, :, None], (SIZE, SIZE, 3)).copy()


def main(results: Path) -> None:
    anna = results / "anna"
    seconds = np.arange((START + FRAMES) * 16000 // FPS) / 16000
    write_wav(results / "sound.wav", 0.3 * np.sin(2 * np.pi * 220 * seconds))
    numbers = [max(0, number - START) for number in range(START + FRAMES)]
    write_video(anna / "video.mp4", map(frame, numbers))
    save_image(anna / "track.png", frame(0b10101010))
    opening = 0.06 + 0.05 * np.sin(np.arange(START + FRAMES) / 3)
    save_landmarks(anna / "landmarks.npz", opening)
    clip = {"identity": "anna", "source": "anna.mp4", "seconds": 5.0, "size": SIZE, "fps": FPS}
    clip |= {"test": [START, START + FRAMES], "note": None, "warnings": ["the picture is soft"]}
    save_json(anna / "ingest.json", clip)
    lags = {"lags_ms": [-10, 0, 10], "verdict": "in step", "sound_moved_ms": 0}
    best = {"best_ms": 0, "agreement": 0.5, "agreement_as_recorded": 0.5}
    save_json(
        anna / "sync.json",
        lags | {"picture_after_sound": best | {"agreement_by_lag": [0.1, 0.5, 0.2]}},
    )
    for variant, brighter in VARIANTS.items():
        for drive in ("self", "speech"):
            run = anna / variant / "10s" / drive
            make_run(run, variant, drive, brighter, results / "sound.wav", opening[START:])
        with (anna / variant / "10s" / "avatar.curves.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["stage", "iteration", "loss", "psnr", "gaussians"])
            table.writerows(["adapt", 50 * n, 1 / n, 20 + n, 900] for n in range(1, 20))
    record = "s\th:m:s\tmax_rss\n12.5\t0:00:12\t345.6\n"
    for name in ("anna/track.tsv", "anna/d3talker/10s/adapt.tsv", "speech/anna.tsv"):
        path = results / "benchmarks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(record)


def save_landmarks(path: Path, opening: np.ndarray) -> None:
    valid = np.ones(len(opening), bool)
    save_arrays(path, valid=valid, mouth_openness=opening.astype(np.float32))


def make_run(
    run: Path, variant: str, drive: str, brighter: int, sound: Path, opening: np.ndarray
) -> None:
    """Everything that the report reads of one run, with a real compare.mp4 if it is self-driven."""
    specs = yaml.safe_load((ROOT / "config" / "paper_tables.yaml").read_text())["metrics"]
    about = {"identity": "anna", "variant": variant, "secs": 10, "drive": drive}
    timing = {"first_frame": START, "frames": FRAMES, "milliseconds": {"refine": 9.0}}
    save_json(run / "render.json", about | timing)
    frames = (frame(number, brighter) for number in range(FRAMES))
    write_video(run / "render.mp4", frames, audio=sound)
    save_landmarks(run / "landmarks.npz", opening * 0.8)
    metrics = about | timing | dict.fromkeys(specs, 0.5) | dict.fromkeys(NEED_WEIGHTS)
    metrics |= {"missing": dict.fromkeys(NEED_WEIGHTS, "no weights"), "preset": "quick"}
    metrics |= {"backends": {"rasterizer": "cpu"}, "versions": {"hardware": "2 CPU cores"}}
    save_json(run / "metrics.json", metrics | {"train_seconds_by_stage": {"adapt": 90.0}})
    if drive == "self":
        files = {"render": run / "render.mp4", "render-json": run / "render.json"}
        files |= {"video": run.parents[2] / "video.mp4", "out": run / "compare.mp4"}
        words = [word for name, path in files.items() for word in (f"--{name}", str(path))]
        subprocess.run([sys.executable, str(ROOT / "stages" / "compare.py"), *words], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
