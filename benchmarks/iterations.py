"""Whole iterations of training and whole frames, as the stages run them, on a made-up person."""

import io
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import replace

import numpy as np
import torch

from benchmarks.scenes import head_avatar, head_scene, person, random_drive
from benchmarks.table import Row
from benchmarks.timing import interleaved, seconds_of, summary, threads
from d3talker.refine.styleunet import LIGHT, StyleUNet, for_display, refine
from d3talker.render import WARM_UP, Clock, render_frames
from d3talker.train.loop import train
from d3talker.train.phases import Phase
from d3talker.train.refiner import train_refiner
from d3talker.train.scene import boxes
from d3talker.train.settings import AdaptSettings, RefinerSettings, StaticSettings

OURS = "cpu"
FRAMES = 6  # of the made-up clip
SHORT, LONG = 1, 6  # iterations of two runs; their difference has no start-up in it


def training_runs(gaussians: int, size: int) -> dict[str, Callable[[int], object]]:
    """Functions that train for a number of iterations; poses are corrected from the first."""
    static = person(gaussians, FRAMES, size, moving=False)
    moving = person(gaussians, FRAMES, size, moving=True)
    refiner = StyleUNet(LIGHT)

    def fit(count):
        settings = StaticSettings(pose_start=0)
        train([static], None, settings, Phase("fit_static", count), 0)

    def adapt(count):
        settings = AdaptSettings(pose_start=0)
        train([moving], moving.avatar.general, settings, Phase("adapt", count), 0)

    def finetune(count):
        train_refiner(refiner, [moving], RefinerSettings(iterations=count), "refiner", 0)

    return {"static iteration": fit, "adaptation iteration": adapt, "refiner iteration": finetune}


def seconds_per_iteration(run: Callable[[int], object]) -> float:
    """From the difference of a long and a short run."""
    with redirect_stderr(io.StringIO()):  # progress bars
        short, long = (seconds_of(lambda count=count: run(count)) for count in (SHORT, LONG))
    return (long - short) / (LONG - SHORT)


def training_rows(gaussians: int, size: int, numbers: tuple[int, ...], rounds: int) -> list[Row]:
    """Iterations of the static fit, of adaptation and of the refiner, taken in turn."""
    runs = training_runs(gaussians, size)
    samples = {(name, number): [] for name in runs for number in numbers}
    for done in range(rounds + 1):
        for name, number in samples:
            with threads(number):
                seconds = seconds_per_iteration(runs[name])
            if done:  # the first round compiles
                samples[name, number].append(seconds)
    rows = []
    for (name, number), seconds in samples.items():
        timing = summary(seconds)
        about = {"gaussians": gaussians, "size": size, "threads": number}
        rows.append(Row(name, OURS, ms=timing.median, least=timing.least, **about))
    return rows


def refiner_rows(size: int, numbers: tuple[int, ...], seconds: float) -> list[Row]:
    """The light refiner on a whole frame, as rendering uses it."""
    refiner = for_display(StyleUNet(LIGHT).eval())
    image = torch.rand(size, size, 3)
    rows = []
    for number in numbers:
        with threads(number):
            timing = interleaved({"": lambda: refine(refiner, image)}, seconds)[""]
        about = {"size": size, "threads": number}
        rows.append(Row("refiner forward", OURS, ms=timing.median, least=timing.least, **about))
    return rows


def frame_times(gaussians: int, size: int, frames: int) -> Callable[[], dict[str, float]]:
    """A function that renders `frames` and gives the milliseconds of each part of one."""
    avatar = head_avatar(gaussians, moving=True)
    scene = head_scene(FRAMES, size, whole=True)
    windows = boxes(scene.heads, size)
    refiner = StyleUNet(LIGHT).eval()
    order = np.arange(WARM_UP + frames) % FRAMES
    clip = avatar.all_signals(random_drive(FRAMES))
    signals = [clip.at(i) for i in order]

    def run():
        clock = Clock()
        for _ in render_frames(avatar, refiner, scene, windows, order, signals, clock):
            pass
        return clock.milliseconds()

    return run


def frame_rows(
    gaussians: int, size: int, numbers: tuple[int, ...], frames: int, rounds: int
) -> list[Row]:
    """Times of the parts of a frame and of all together, over `rounds` clips."""
    render = frame_times(gaussians, size, frames)
    samples = {number: [] for number in numbers}
    for _ in range(rounds):
        for number in numbers:
            with threads(number):
                parts = render()
            samples[number].append(parts | {"all": sum(parts.values())})
    rows = []
    for number, clips in samples.items():
        for part in clips[0]:
            timing = summary([1e-3 * clip[part] for clip in clips])
            row = Row(f"frame, {part}", OURS, gaussians, size, number, timing.median)
            remark = f"{1e3 / timing.median:.1f} frames per second" if part == "all" else ""
            rows.append(replace(row, least=timing.least, remark=remark))
    return rows
