"""A stage that is killed goes on where it last wrote its state, to the same bits."""

import logging
import os
import signal
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")

from test_training import MODEL, SCENE, curve, make_person, run_stage  # noqa: E402

from d3talker import artifacts  # noqa: E402
from d3talker.train.curves import Meter  # noqa: E402
from d3talker.train.run import Run, unfinished  # noqa: E402

# Gaussians come and go, poses and fields move, and states are written in the middle of a row.
DENSITY = '"density": {"start": 4, "interval": 4, "gradient": 1e-5}, "max_face": 700'
STATIC = f'{{"teacher_iterations": 24, "initial_face": 500, "initial_mouth": 60, "pose_start": 2,\
 "checkpoint_every": 7, {DENSITY}}}'
PRETRAIN = '{"iterations": 16, "checkpoint_every": 6, "contrast_points": 64, "contrast_start": 4}'
REFINER = '{"iterations": 6, "checkpoint_every": 2}'
ADAPT = f'{{"face_iterations": 9, "mouth_iterations": 9, "iterations": 9, "fuse_iterations": 9,\
 "individual_start": 2, "pose_start": 2, "checkpoint_every": 4, {DENSITY}}}'


class Killed(BaseException):
    """Stands for the end of the process: no stage expects it."""


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """Options of each stage but its outputs, and the results of running each without a break."""
    folder = tmp_path_factory.mktemp("unbroken")
    person = make_person(folder)
    scene = {name: person[name] for name in SCENE}
    driven = scene | {"motion": person["motion"], "speech": person["speech"]}
    static, poses, general = (folder / name for name in ("static", "poses.npz", "general"))
    c2f, avatar = folder / "c2f", folder / "avatar"
    adapted = driven | {"poses": poses, "secs": 10}
    options = {
        "fit_static": scene | {"secs": "all", "face_model": MODEL, "settings": STATIC},
        "pretrain": {name: [path, path] for name, path in driven.items()}
        | {"static": [static, static], "settings": PRETRAIN, "refiner_settings": REFINER},
        "adapt": adapted | {"static": static, "general": general, "settings": ADAPT},
        "finetune_c2f": adapted | {"avatar": avatar, "c2f": c2f, "settings": REFINER},
    }
    run(options, "fit_static", folder)
    run_stage("refine_pose", **scene, static=static, out=poses, settings='{"steps": 1}')
    for stage in ("pretrain", "adapt", "finetune_c2f"):
        run(options, stage, folder)
    return folder, options


OUTPUTS = {
    "fit_static": {"out": "static"},
    "pretrain": {"out_general": "general", "out_c2f": "c2f"},
    "adapt": {"out": "avatar"},
    "finetune_c2f": {"out": "refiner"},
}


def run(options: dict, stage: str, folder: Path) -> None:
    outputs = {option: folder / name for option, name in OUTPUTS[stage].items()}
    run_stage(stage, **options[stage], **outputs, out_curves=folder / f"{stage}.csv")


def state_file(stage: str, folder: Path) -> Path:
    return unfinished(folder / next(iter(OUTPUTS[stage].values())))


def interrupt(monkeypatch, options: dict, stage: str, folder: Path, iteration: int, how) -> None:
    """Run a stage and call `how` in its iteration `iteration`, counted over all its phases."""
    done = []

    def count(meter, *args):
        done.append(args)
        if len(done) == iteration:
            how()
        add(meter, *args)

    add = Meter.add
    with monkeypatch.context() as patch:
        patch.setattr(Meter, "add", count)
        run(options, stage, folder)


def kill(monkeypatch, options: dict, stage: str, folder: Path, iteration: int) -> None:
    """Run a stage and end it in the middle of an iteration."""

    def die():
        raise Killed

    with pytest.raises(Killed):
        interrupt(monkeypatch, options, stage, folder, iteration, die)


# In every phase of every stage; the first of a phase is before its first state is written.
MOMENTS = [("fit_static", 20), ("pretrain", 15), ("pretrain", 21), ("finetune_c2f", 5)]
MOMENTS += [("adapt", 6), ("adapt", 11), ("adapt", 16), ("adapt", 26), ("adapt", 36)]


@pytest.mark.parametrize(("stage", "iteration"), MOMENTS)
def test_a_killed_stage_ends_as_if_it_had_not_been(monkeypatch, tmp_path, stages, stage, iteration):
    whole, options = stages
    kill(monkeypatch, options, stage, tmp_path, iteration)
    assert not any((tmp_path / name).exists() for name in OUTPUTS[stage].values())
    done = artifacts.load_tensors(state_file(stage, tmp_path))[1]["iteration"]
    assert done > 0
    run(options, stage, tmp_path)
    for name in OUTPUTS[stage].values():
        expected, meta = artifacts.load_tensors(whole / name)
        tensors, other = artifacts.load_tensors(tmp_path / name)
        assert expected.keys() == tensors.keys()
        assert [key for key in tensors if not torch.equal(tensors[key], expected[key])] == []
        assert meta["train_seconds_by_stage"].keys() == other["train_seconds_by_stage"].keys()
    assert curve(tmp_path / f"{stage}.csv") == curve(whole / f"{stage}.csv")
    assert not state_file(stage, tmp_path).exists()


# Neither is an iteration after which a state is written anyway; the last ends its phase.
SIGNALS = [("fit_static", 19, signal.SIGTERM), ("adapt", 17, signal.SIGUSR1)]
SIGNALS += [("adapt", 18, signal.SIGTERM), ("finetune_c2f", 3, signal.SIGUSR1)]


@pytest.mark.parametrize(("stage", "iteration", "number"), SIGNALS)
def test_a_stage_that_is_told_to_stop_loses_no_iteration(
    monkeypatch, tmp_path, stages, stage, iteration, number
):
    whole, options = stages
    with pytest.raises(SystemExit) as stopped:
        interrupt(
            monkeypatch, options, stage, tmp_path, iteration, lambda: os.kill(os.getpid(), number)
        )
    assert stopped.value.code == 128 + number
    meta = artifacts.load_tensors(state_file(stage, tmp_path))[1]
    in_phase = (iteration - 1) % 9 + 1 if stage == "adapt" else iteration
    assert meta["iteration"] == in_phase
    run(options, stage, tmp_path)
    (name,) = OUTPUTS[stage].values()
    expected, tensors = (artifacts.load_tensors(folder / name)[0] for folder in (whole, tmp_path))
    assert [key for key in tensors if not torch.equal(tensors[key], expected[key])] == []
    assert curve(tmp_path / f"{stage}.csv") == curve(whole / f"{stage}.csv")


def test_a_stage_that_is_told_to_stop_before_it_trains_does_so_at_once(monkeypatch, tmp_path):
    Run(tmp_path / "avatar.safetensors")
    with pytest.raises(SystemExit) as stopped:
        os.kill(os.getpid(), signal.SIGTERM)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["settings", "input", "damaged"])
def test_the_state_of_another_training_is_left_alone(monkeypatch, tmp_path, stages, caplog, change):
    _, options = stages
    kill(monkeypatch, options, "fit_static", tmp_path, 20)
    if change == "settings":
        options = {"fit_static": options["fit_static"] | {"seed": 1}}
    elif change == "input":
        plate = tmp_path / "background.png"
        artifacts.save_image(plate, 1 + artifacts.load_image(options["fit_static"]["background"]))
        options = {"fit_static": options["fit_static"] | {"background": plate}}
    else:
        state_file("fit_static", tmp_path).write_bytes(b"half")
    with caplog.at_level(logging.INFO, logger="d3talker"):
        run(options, "fit_static", tmp_path)
    assert any("training begins anew" in record.message for record in caplog.records)
    assert not any("goes on" in record.message for record in caplog.records)
    assert not state_file("fit_static", tmp_path).exists()
