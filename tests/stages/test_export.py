"""What other programs find in an exported dataset folder: a checker written from spec 1 and 2."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")
pandas = pytest.importorskip("pandas")
plyfile = pytest.importorskip("plyfile")

from test_training import run_stage  # noqa: E402

from d3talker import artifacts  # noqa: E402
from d3talker.face import parsing  # noqa: E402
from d3talker.video import read_frames, write_video, write_wav  # noqa: E402

SIZE, FRAMES, FOCAL = 48, 12, 100.0
TEST = FRAMES // 4

INSTAG = {"aud", "lms", "parsing", "gt", "torso", "bc", "teeth", "au", "sapiens", "transforms"}
READ_BY = {  # spec 2: what each program reads
    "InsTaG, pre-training": INSTAG - {"torso", "bc", "sapiens"},
    "InsTaG": INSTAG,
    "TalkingGaussian": INSTAG - {"sapiens"},
    "ER-NeRF": {"aud", "lms", "gt", "torso", "bc", "au", "transforms"},
    "GaussianTalker": {"aud", "ori", "lms", "parsing", "gt", "torso", "bc", "au", "transforms"},
}


@pytest.fixture(scope="module")
def person(tmp_path_factory):
    """A clip's artifacts with random labels, and what is in them."""
    folder = tmp_path_factory.mktemp("person")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, (FRAMES, 6, 6)).astype(np.uint8).repeat(8, 1).repeat(8, 2)
    torso = rng.integers(0, 256, (FRAMES, SIZE, SIZE, 4)).astype(np.uint8)
    torso[..., 3] = 255 * (torso[..., 3] > 99)
    frames = np.full((FRAMES, SIZE, SIZE, 3), 128, np.uint8)
    frames[:] += np.arange(FRAMES, dtype=np.uint8)[:, None, None, None] * 8
    angle = rng.normal(size=(FRAMES, 3)) * 0.3
    R = np.stack([cv2.Rodrigues(a)[0] for a in angle]) @ np.diag([1.0, -1, -1])
    t = np.array([0.01, -0.02, 0.6]) + 0.02 * rng.normal(size=(FRAMES, 3))
    points = rng.uniform(0, SIZE, (FRAMES, 478, 3)).astype(np.float32)
    names = {name: folder / f"{name}.npz" for name in ("landmarks", "track", "speech", "geometry")}
    names |= {"video": folder / "video.mp4", "audio": folder / "audio.wav"}
    names |= {"labels": folder / "labels.zip", "torso": folder / "torso.zip"}
    names |= {"background": folder / "bg.png", "ingest": folder / "ingest.json"}
    write_video(names["video"], frames, fps=25, crf=1)
    write_wav(names["audio"], np.zeros(640 * FRAMES, np.int16))
    artifacts.save_images(names["labels"], labels)
    artifacts.save_images(names["torso"], torso)
    plate = np.full((SIZE, SIZE, 3), (10, 200, 60), np.uint8)
    artifacts.save_image(names["background"], plate)
    about = {"identity": "anna", "frames": FRAMES, "size": SIZE}
    artifacts.save_json(names["ingest"], about)
    au = rng.uniform(0, 2, (FRAMES, 6)).astype(np.float32)
    artifacts.save_arrays(names["track"], R=R, t=t, focal=np.float32(FOCAL), au=au)
    valid, gap = np.ones(FRAMES, bool), np.linspace(0, 0.4, FRAMES).astype(np.float32)
    valid[3] = False
    artifacts.save_arrays(names["landmarks"], points=points, valid=valid, mouth_openness=gap)
    speech = rng.normal(size=(FRAMES, 16, 29)).astype(np.float32)
    artifacts.save_arrays(names["speech"], {"extractor": "logmel"}, features=speech)
    depth = rng.random((FRAMES, SIZE, SIZE)).astype(np.float16)
    normals = np.repeat(depth[..., None], 3, -1)
    artifacts.save_arrays(names["geometry"], depth=depth, normals=normals)
    truth = {"labels": labels, "torso": torso, "R": R, "t": t, "au": au, "speech": speech}
    return names, truth | {"points": points, "plate": plate}


@pytest.fixture(scope="module")
def folder(person, tmp_path_factory):
    out = tmp_path_factory.mktemp("export") / "anna"
    run_stage("export_dataset", **person[0], out=out)
    return out


def per_frame(folder: Path, suffix: str) -> list[Path]:
    """Files <i><suffix> for i = 0, 1, ... without gaps, and no others of that suffix."""
    paths = [folder / f"{i}{suffix}" for i in range(FRAMES)]
    assert set(folder.glob(f"*{suffix}")) == set(paths), folder
    return paths


def read_rgb(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image.dtype == np.uint8
    return cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def check_aud(folder):
    for name in ("aud.npy", "aud_ds.npy"):
        windows = np.load(folder / name)
        assert windows.shape == (FRAMES, 16, 29) and windows.dtype == np.float64


def check_images(name, suffix, channels):
    def check(folder):
        for path in per_frame(folder / name, suffix):
            assert read_rgb(path).shape == (SIZE, SIZE, channels)

    return check


def check_lms(folder):
    for path in per_frame(folder / "ori_imgs", ".lms"):
        assert np.loadtxt(path).shape == (68, 2)


def check_bc(folder):
    assert read_rgb(folder / "bc.jpg").shape == (SIZE, SIZE, 3)


def check_teeth(folder):
    for path in per_frame(folder / "teeth_mask", ".npy"):
        mask = np.load(path)
        assert mask.shape == (SIZE, SIZE) and mask.dtype == bool


def check_au(folder):
    table = pandas.read_csv(folder / "au.csv")
    assert len(table) == FRAMES
    for unit in ("01", "04", "05", "06", "07", "25", "45"):
        assert table[f" AU{unit}_r"].between(0, 5).all()


def check_sapiens(folder):
    for kind, shape in (("depth", (SIZE, SIZE)), ("normal", (SIZE, SIZE, 3))):
        for path in per_frame(folder / "sapiens" / kind / "sapiens_0.3b", ".npy"):
            values = np.load(path)
            assert values.shape == shape and values.dtype == np.float32


def check_transforms(folder):
    train = json.loads((folder / "transforms_train.json").read_text())
    val = json.loads((folder / "transforms_val.json").read_text())
    assert train["cx"] == train["cy"] == SIZE / 2 and train["focal_len"] == FOCAL
    assert [f["img_id"] for f in train["frames"]] == list(range(FRAMES - TEST))
    # Without the last entry, which the loader drops, the test part.
    assert [f["img_id"] for f in val["frames"]][:-1] == list(range(FRAMES - TEST, FRAMES))
    for frame in train["frames"] + val["frames"]:
        assert frame["aud_id"] == frame["img_id"]
        assert np.shape(frame["transform_matrix"]) == (4, 4)


CHECKS = {
    "aud": check_aud,
    "lms": check_lms,
    "ori": check_images("ori_imgs", ".jpg", 3),
    "gt": check_images("gt_imgs", ".jpg", 3),
    "parsing": check_images("parsing", ".png", 3),
    "torso": check_images("torso_imgs", ".png", 4),
    "bc": check_bc,
    "teeth": check_teeth,
    "au": check_au,
    "sapiens": check_sapiens,
    "transforms": check_transforms,
}


@pytest.mark.parametrize("program", READ_BY)
def test_a_program_finds_all_that_it_reads(folder, program):
    for part in READ_BY[program]:
        CHECKS[part](folder)


def test_the_loaders_cameras_are_ours(folder, person):
    truth = person[1]
    content = json.loads((folder / "transforms_train.json").read_text())
    for frame in content["frames"]:
        i = frame["img_id"]
        camera = np.array(frame["transform_matrix"])
        # Spec 1.9, for the head's origin: u = -f tx/tz + W/2, v = f ty/tz + H/2.
        x, y, z = -camera[:3, :3].T @ camera[:3, 3]
        u, v = -FOCAL * x / z + SIZE / 2, FOCAL * y / z + SIZE / 2
        want = FOCAL * truth["t"][i, :2] / truth["t"][i, 2] + SIZE / 2
        assert np.allclose((u, v), want, atol=1e-6)
        # As the Gaussian loaders do: columns 1 and 2 flipped, then inverted.
        camera[:3, 1:3] *= -1
        world_to_camera = np.linalg.inv(camera)
        assert np.allclose(world_to_camera[:3, :3], truth["R"][i], atol=1e-6)
        assert np.allclose(world_to_camera[:3, 3], truth["t"][i], atol=1e-6)


def test_the_loaders_masks_are_ours(folder, person):
    """Spec 1.11: the teeth are taken off the face by an exclusive or."""
    for i, labels in enumerate(person[1]["labels"]):
        seen = read_rgb(folder / "parsing" / f"{i}.png")
        teeth = np.load(folder / "teeth_mask" / f"{i}.npy")
        face = (seen == (0, 0, 255)).all(axis=2) ^ teeth
        hair = (seen == (0, 0, 0)).all(axis=2)
        mouth = (seen == (100, 100, 100)).all(axis=2) | teeth
        assert (face == (labels == parsing.FACE)).all()
        assert (hair == (labels == parsing.HAIR)).all()
        assert (mouth == parsing.mouth_mask(labels)).all()


def test_pictures_are_the_frames_with_the_plate_behind(folder, person):
    names, truth = person
    frames = read_frames(names["video"])
    for i in (0, FRAMES - 1):
        assert np.abs(read_rgb(folder / "ori_imgs" / f"{i}.jpg") - frames[i].astype(int)).max() < 6
        shown = read_rgb(folder / "gt_imgs" / f"{i}.jpg").astype(int)
        behind = truth["labels"][i] == parsing.BACKGROUND
        inner = cv2.erode(behind.astype(np.uint8), np.ones((7, 7))) > 0
        assert np.abs(shown - truth["plate"])[inner].mean() < 12
        assert (read_rgb(folder / "torso_imgs" / f"{i}.png") == truth["torso"][i]).all()


def test_points_units_and_speech_are_those_of_the_frame(folder, person):
    truth = person[1]
    points = np.loadtxt(folder / "ori_imgs" / "5.lms")
    # Outer corners of the eyes and of the lips, tip of the chin: 36, 45, 48, 54, 8 of the 68.
    want = truth["points"][5][[33, 263, 61, 291, 152], :2]
    assert np.allclose(points[[36, 45, 48, 54, 8]], want, atol=1e-4)
    table = pandas.read_csv(folder / "au.csv")
    assert np.allclose(table[" AU45_r"], truth["au"][:, 5], atol=1e-3)
    opening = table[" AU25_r"]
    assert opening[3] == 0 and opening.max() == 5 and opening[6] == pytest.approx(2.73, abs=0.05)
    assert np.allclose(np.load(folder / "aud.npy"), truth["speech"])


def test_the_folder_says_what_is_measured_otherwise(folder):
    about = artifacts.load_json(folder / "d3talker.json")
    assert about["speech_features"] == "logmel" and about["not_there"] == ["track_params.pt"]


def test_a_damaged_input_leaves_no_folder(person, tmp_path):
    names = dict(person[0])
    names["track"] = tmp_path / "track.npz"
    names["track"].write_bytes(b"no arrays")
    with pytest.raises(SystemExit):
        run_stage("export_dataset", **names, out=tmp_path / "anna")
    assert list(tmp_path.iterdir()) == [names["track"]]
