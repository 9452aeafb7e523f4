"""The training and rendering stages run one after the other on nothing but their inputs."""

import csv
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")

from d3talker import artifacts  # noqa: E402
from d3talker.avatar import Drive  # noqa: E402
from d3talker.backends import explain  # noqa: E402
from d3talker.export.ply import load_ply  # noqa: E402
from d3talker.face import parsing  # noqa: E402
from d3talker.face.model import FaceModel  # noqa: E402
from d3talker.fields import architecture  # noqa: E402
from d3talker.splat.rasterize import Camera  # noqa: E402
from d3talker.train.checkpoint import avatar_from_tensors  # noqa: E402
from d3talker.video import probe, write_video, write_wav  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "resources" / "face_model.npz"
SIZE, FRAMES, TEST = 128, 40, 10
SCENE = ("video", "labels", "background", "torso", "track", "ingest")


def run_stage(name: str, **options) -> None:
    """Run stages/<name>.py in this process with `options` as its command line."""
    argv = [name]
    for option, value in options.items():
        values = value if isinstance(value, list) else [value]
        argv += [f"--{option.replace('_', '-')}", *map(str, values)]
    old, sys.argv = sys.argv, argv
    try:
        runpy.run_path(str(ROOT / "stages" / f"{name}.py"), run_name="__main__")
    finally:
        sys.argv = old


def make_person(folder: Path) -> dict[str, Path]:
    """Artifacts of a swaying, textured disc with a mouth that opens and closes."""
    model = FaceModel.load(MODEL)
    time = np.arange(FRAMES) / 25
    opening = 0.5 + 0.5 * np.sin(8 * time)
    rotations = np.tile(np.diag([1.0, -1, -1]), (FRAMES, 1, 1)).astype(np.float32)
    translations = np.stack([0.02 * np.sin(3 * time), 0 * time, 0.6 + 0 * time], 1)
    focal = 1.95 * SIZE
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    frames, labels, torsos = [], [], []
    background = np.full((SIZE, SIZE, 3), 90, np.uint8)
    for t, gap in zip(translations, opening, strict=True):
        dx, dy = x - SIZE / 2 - focal * t[0] / t[2], y - SIZE / 2
        head = (dx / 30) ** 2 + (dy / 40) ** 2 < 1
        mouth = (dx / 10) ** 2 + ((dy - 17) / (1 + 5 * gap)) ** 2 < 1
        frame = background.copy()
        frame[head] = np.stack([180 + 0 * dx, 120 + 40 * np.sin(dx / 6), 100 + dy], -1)[head]
        frame[mouth] = (60, 20, 20)
        label = np.zeros((SIZE, SIZE), np.uint8)
        label[head], label[mouth] = parsing.FACE, parsing.INNER_MOUTH
        frames.append(frame.astype(np.uint8))
        labels.append(label)
        torsos.append(np.zeros((SIZE, SIZE, 4), np.uint8))
    pncc = np.full((FRAMES, 3, 128, 128), 128, np.uint8)
    pncc[:, :, 80:100, 50:78] = (128 + 100 * opening).astype(np.uint8)[:, None, None, None]
    names = {name: folder / f"{name}.npz" for name in ("track", "motion", "speech")} | {
        "video": folder / "video.mp4",
        "labels": folder / "parsing.zip",
        "background": folder / "background.png",
        "torso": folder / "torso.zip",
        "ingest": folder / "ingest.json",
        "audio": folder / "audio.wav",
    }
    write_video(names["video"], frames, fps=25, crf=4)
    artifacts.save_images(names["labels"], labels)
    artifacts.save_images(names["torso"], torsos)
    artifacts.save_image(names["background"], background)
    about = {"identity": folder.name, "frames": FRAMES, "size": SIZE, "jump_cuts": []}
    artifacts.save_json(names["ingest"], about)
    artifacts.save_arrays(
        names["track"],
        focal=np.float32(focal),
        R=rotations,
        t=translations.astype(np.float32),
        shape=model.mean,
        valid=np.ones(FRAMES, bool),
        au=np.zeros((FRAMES, 6), np.float32),
    )
    artifacts.save_arrays(
        names["motion"], pncc=pncc, canonical=np.full((3, 128, 128), 128, np.uint8)
    )
    speech = np.random.default_rng(0).normal(size=(FRAMES, 16, 29)).astype(np.float32)
    artifacts.save_arrays(names["speech"], features=speech)
    write_wav(names["audio"], np.zeros(FRAMES * 640, np.int16))
    return names


def curve(path: Path) -> list[dict]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


SMALL = '{"teacher_iterations": 60, "max_face": 900, "initial_face": 600, "initial_mouth": 60}'
FEW = '{"iterations": 20, "max_face": 900, "contrast_points": 64, "contrast_start": 10}'
ADAPT = '{"iterations": 60, "max_face": 900, "fields_warmup": 10, "individual_start": 10}'


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Every stage from fit_static to render, run once on two people that look alike."""
    folder = tmp_path_factory.mktemp("person")
    person = make_person(folder)
    scene = {name: person[name] for name in SCENE}
    driven = scene | {"motion": person["motion"], "speech": person["speech"]}
    out = {name: folder / name for name in ("c1.csv", "c2.csv", "c3.csv", "c4.csv")}
    for name in ("static", "general", "c2f", "avatar", "refiner"):
        out[name] = folder / f"{name}.safetensors"
    out |= {"poses": folder / "poses.npz", "render": folder / "r.mp4", "json": folder / "r.json"}
    common = {"face_model": MODEL, "settings": SMALL, "out_curves": out["c1.csv"]}
    run_stage("fit_static", **scene, secs="all", out=out["static"], **common)
    few_steps = '{"steps": 4}'
    run_stage("refine_pose", **scene, static=out["static"], out=out["poses"], settings=few_steps)
    run_stage(
        "pretrain",
        **{name: [path, path] for name, path in driven.items()},
        static=[out["static"]] * 2,
        out_general=out["general"],
        out_c2f=out["c2f"],
        out_curves=out["c2.csv"],
        settings=FEW,
        refiner_settings='{"iterations": 2}',
    )
    adapted = driven | {"poses": out["poses"], "secs": 10}
    run_stage(
        "adapt",
        **adapted,
        static=out["static"],
        general=out["general"],
        out=out["avatar"],
        out_curves=out["c3.csv"],
        settings=ADAPT,
    )
    run_stage(
        "finetune_c2f",
        **adapted,
        avatar=out["avatar"],
        c2f=out["c2f"],
        out=out["refiner"],
        out_curves=out["c4.csv"],
        settings='{"iterations": 2}',
    )
    out |= {"person": person, "scene": scene}
    return out


def render(trained: dict, drive: str, **extra) -> dict:
    person = trained["person"]
    run_stage(
        "render",
        **trained["scene"],
        poses=trained["poses"],
        avatar=trained["avatar"],
        refiner=trained["refiner"],
        drive_motion=person["motion"],
        drive_speech=person["speech"],
        drive_audio=person["audio"],
        drive=drive,
        identity="disc",
        variant="d3talker",
        secs=10,
        preset="quick",
        out_video=trained["render"],
        out_json=trained["json"],
        **extra,
    )
    return artifacts.load_json(trained["json"])


def test_static_fit_improves_and_adaptation_improves_on_it(trained):
    static, adapted = curve(trained["c1.csv"]), curve(trained["c3.csv"])
    assert float(static[-1]["psnr"]) > float(static[0]["psnr"])
    assert float(adapted[-1]["psnr"]) > float(static[-1]["psnr"])
    assert {row["stage"] for row in curve(trained["c2.csv"])} == {"pretrain", "pretrain_c2f"}


def test_self_drive_renders_the_test_frames_with_sound(trained):
    report = render(trained, "self")
    assert report["frame_index"] == list(range(FRAMES - TEST, FRAMES))
    video = probe(trained["render"])
    assert (video.width, video.height, video.has_audio) == (SIZE, SIZE, True)
    assert report["fps"] > 0 and report["fps_coarse"] > report["fps"]
    seconds = report["train_seconds_by_stage"]
    assert list(seconds) == ["fit_static", "adapt", "finetune_c2f"]
    assert report["train_seconds"] == pytest.approx(sum(seconds.values()))


def test_a_render_says_by_what_it_was_made(trained):
    chosen = {"rasterizer": "reference", "encoding": "torch"}
    report = render(trained, "self", **chosen)
    assert report["backends"] == chosen | {
        "landmarks": "facemesh",
        "speech": "logmel",
        "audio_to_motion": "motionnet",
    }
    assert "CPU cores" in report["versions"]["hardware"]


def test_a_backend_that_cannot_run_here_stops_a_stage_with_its_name(trained, capsys):
    problem = explain("rasterizer", "gsplat")
    if problem is None:
        pytest.skip("gsplat can run here")
    with pytest.raises(SystemExit) as stopped:
        render(trained, "self", rasterizer="gsplat")
    assert stopped.value.code == 2
    assert problem in capsys.readouterr().err


def test_the_refiner_says_how_wide_it_is(trained):
    for name in ("c2f", "refiner"):
        assert artifacts.load_tensors(trained[name])[1]["refiner"] == "light"


@pytest.fixture(scope="module")
def viewed(trained):
    """The folder of the avatar's .ply files: rest.ply, and two frames in motion."""
    folder = trained["avatar"].parent / "viewed"
    run_stage(
        "export_ply",
        avatar=trained["avatar"],
        **{name: trained["person"][name] for name in ("motion", "speech", "track")},
        first=5,
        frames=2,
        out=folder / "rest.ply",
        out_frames=folder / "frames",
    )
    return folder


def test_a_ply_shows_the_picture_of_the_avatar(trained, viewed):
    tensors, meta = artifacts.load_tensors(trained["avatar"])
    tensors.pop("pose_corrections")
    avatar = avatar_from_tensors(tensors, architecture.from_meta(meta))
    motion, speech, track = (
        artifacts.load_arrays(trained["person"][name])[0] for name in ("motion", "speech", "track")
    )
    drive = Drive.from_artifacts(motion, speech, track["au"])
    place = track["R"][0], track["t"][0], float(track["focal"])
    camera = Camera(*place, SIZE / 2, SIZE / 2, SIZE, SIZE)
    backdrop = torch.full((SIZE, SIZE, 3), 0.3)
    mouths = len(tensors["mouth.means"])
    files = {"rest.ply": None, "frames/000005.ply": avatar.all_signals(drive).at(5)}
    for name, signals in files.items():
        with torch.no_grad():
            want = avatar.compose(*avatar.deform(signals), camera, backdrop)
        cloud = load_ply(viewed / name)
        face = {part: values[mouths:] for part, values in cloud.items()}
        mouth = {part: values[:mouths] for part, values in cloud.items()}
        found = avatar.compose(face, mouth, camera, backdrop)
        assert want.face_alpha.max() > 0.5 and want.mouth_alpha.max() > 0.5
        assert torch.allclose(found.image, want.image, atol=1e-4)
        # Viewers sort all by depth, which matters only where there is something of the mouth.
        as_one = avatar.rasterize(**cloud, camera=camera, background=backdrop).color
        no_mouth = want.mouth_alpha == 0
        assert no_mouth[want.face_alpha > 0.5].any()
        assert torch.allclose(as_one[no_mouth], want.image[no_mouth], atol=1e-4)


def test_the_avatar_is_written_for_viewers_at_rest_and_in_motion(trained, viewed):
    tensors, _ = artifacts.load_tensors(trained["avatar"])
    rest = load_ply(viewed / "rest.ply")
    means = torch.cat([tensors["mouth.means"], tensors["face.means"]])
    assert torch.equal(rest["means"], means)
    files = sorted((viewed / "frames").iterdir())
    assert [file.name for file in files] == ["000005.ply", "000006.ply"]
    first, second = (load_ply(file)["means"] for file in files)
    assert 0 < (first - means).abs().max() < 0.05
    assert not torch.equal(first, second)


def test_foreign_drive_lasts_as_long_as_its_audio(trained):
    report = render(trained, "other")
    assert report["frames"] == FRAMES
    assert set(report["frame_index"]) == set(range(FRAMES - TEST, FRAMES))


def test_refined_poses_keep_frames_that_were_not_seen(trained):
    poses, meta = artifacts.load_arrays(trained["poses"])
    assert poses["R"].shape == (FRAMES, 3, 3) and poses["t"].shape == (FRAMES, 3)
    assert meta["frozen_gaussians"] == list(range(FRAMES - TEST, FRAMES))


def test_unknown_setting_stops_with_its_name(trained, capsys):
    with pytest.raises(SystemExit) as stopped:
        run_stage(
            "refine_pose",
            **trained["scene"],
            static=trained["static"],
            out=trained["poses"],
            settings='{"stepz": 3}',
        )
    assert stopped.value.code == 2
    assert "unknown setting 'stepz'" in capsys.readouterr().err


def test_what_is_pretrained_says_on_whom_and_how(trained):
    general, c2f = (artifacts.load_tensors(trained[name])[1] for name in ("general", "c2f"))
    assert general["people"] == c2f["people"] == [trained["general"].parent.name] * 2
    assert general["settings"]["contrast_points"] == 64 and general["seed"] == 0
    assert c2f["settings"]["iterations"] == 2
