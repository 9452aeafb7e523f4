"""A dataset folder, exported from a clip, becomes the same clip again."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")

from media_clips import astronaut_frames  # noqa: E402
from test_training import run_stage  # noqa: E402

from d3talker import artifacts  # noqa: E402
from d3talker.artifacts import ArtifactError  # noqa: E402
from d3talker.cli import InputError  # noqa: E402
from d3talker.export.dataset import COLOURS, parsing_image  # noqa: E402
from d3talker.face import parsing  # noqa: E402
from d3talker.imported import layout, sound  # noqa: E402
from d3talker.imported.dataset import open_dataset  # noqa: E402
from d3talker.video import read_frames, read_wav, write_video, write_wav  # noqa: E402

ROOT = Path(__file__).parents[2]
MEDIA = ROOT / ".envs" / "media" / "bin" / "python"  # finds the points of the face
FACE_MODEL = ROOT / "resources" / "face_model.npz"
SIZE, FRAMES, TEST = 200, 104, (78, 104)  # not the size of a clip of ours


def prepared(folder: Path) -> dict[str, Path]:
    """Where the artifacts of a clip lie in `folder`."""
    names = {"video": "video.mp4", "audio": "audio.wav", "ingest": "ingest.json"}
    names |= {"labels": "parsing.zip", "background": "background.png", "torso": "torso.zip"}
    names |= {name: f"{name}.npz" for name in ("landmarks", "track", "cameras", "speech")}
    return {name: folder / file for name, file in names.items()}


def track(files: dict[str, Path], **more: Path) -> None:
    given = {name: files[name] for name in ("landmarks", "ingest")}
    run_stage("track", **given, **more, face_model=FACE_MODEL, out=files["track"])


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> dict[str, Path]:
    """A clip with random labels, prepared here."""
    if not MEDIA.exists():
        pytest.skip("points of the face need the environment media")
    files = prepared(tmp_path_factory.mktemp("clip"))
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, (FRAMES, 25, 25)).astype(np.uint8).repeat(8, 1).repeat(8, 2)
    torso = rng.integers(0, 256, (FRAMES, SIZE, SIZE, 4)).astype(np.uint8)
    torso[..., 3] = 255 * (torso[..., 3] > 99)
    frames = [cv2.resize(f, (SIZE, SIZE), interpolation=3) for f in astronaut_frames(FRAMES)]
    write_video(files["video"], frames)
    command = [MEDIA, ROOT / "stages" / "landmarks.py", "--video", files["video"]]
    subprocess.run([*command, "--out", files["landmarks"]], check=True, capture_output=True)
    write_wav(files["audio"], (3000 * rng.normal(size=640 * FRAMES)).astype(np.int16))
    artifacts.save_images(files["labels"], labels)
    artifacts.save_images(files["torso"], torso)
    artifacts.save_image(files["background"], np.full((SIZE, SIZE, 3), (90, 120, 60), np.uint8))
    facts = {"identity": "anna", "frames": FRAMES, "size": SIZE, "test": TEST, "jump_cuts": []}
    artifacts.save_json(files["ingest"], facts)
    features = np.zeros((FRAMES, 16, 29), np.float32)
    artifacts.save_arrays(files["speech"], {"extractor": "logmel"}, features=features)
    track(files)
    return files


@pytest.fixture(scope="module")
def folder(clip, tmp_path_factory) -> Path:
    """The clip as a dataset folder."""
    out = tmp_path_factory.mktemp("data") / "anna"
    run_stage("export_dataset", out=out, **{k: v for k, v in clip.items() if k != "cameras"})
    return out


def import_dataset(folder: Path, files: dict[str, Path], **options) -> None:
    outs = {f"out_{name}": files[name] for name in ("video", "audio", "cameras")}
    outs["out_json"] = files["ingest"]
    run_stage("import_dataset", dataset=folder, identity="ada", **outs, **options)


def import_masks(folder: Path, files: dict[str, Path], landmarks: Path) -> None:
    outs = {f"out_{name}": files[name] for name in ("labels", "background", "torso")}
    run_stage("import_masks", dataset=folder, landmarks=landmarks, **outs)


@pytest.fixture(scope="module")
def imported(clip, folder, tmp_path_factory) -> dict[str, Path]:
    """The folder as a clip again."""
    files = prepared(tmp_path_factory.mktemp("imported"))
    import_dataset(folder, files)
    points, meta = artifacts.load_arrays(clip["landmarks"])
    noise = np.random.default_rng(1).normal(scale=0.1, size=points["points"].shape)  # of the JPEGs
    points["points"] = (points["points"] + noise).astype(np.float32)
    artifacts.save_arrays(files["landmarks"], meta, **points)
    track(files, cameras=files["cameras"])
    import_masks(folder, files, files["landmarks"])
    return files


def test_cameras_and_action_units_are_those_of_the_folder(clip, imported):
    want, found = (artifacts.load_arrays(files["track"])[0] for files in (clip, imported))
    for name in ("focal", "R", "t"):
        assert np.allclose(found[name], want[name], atol=1e-5), name
    assert np.allclose(found["au"], want["au"], atol=5e-4)  # au.csv has three digits


def test_masks_and_torso_are_those_of_the_folder(clip, imported):
    for name in ("labels", "torso"):
        want, found = (artifacts.load_images(files[name]) for files in (clip, imported))
        assert (want == found).all(), name
    plates = [artifacts.load_image(f["background"]).astype(int) for f in (clip, imported)]
    assert np.abs(plates[0] - plates[1]).max() < 4  # bc.jpg


def test_frames_sound_and_split_are_those_of_the_folder(clip, imported):
    want, found = (read_frames(files["video"]).astype(int) for files in (clip, imported))
    assert want.shape == found.shape and np.abs(want - found).mean() < 2
    assert (read_wav(clip["audio"])[0] == read_wav(imported["audio"])[0]).all()
    facts = artifacts.load_json(imported["ingest"])
    assert facts["test"] == list(TEST) and facts["frames"] == FRAMES and facts["size"] == SIZE
    assert facts["identity"] == "ada" and facts["source"] == "anna/" and facts["jump_cuts"] == []
    assert "masks, background, torso, split, action units, inner mouth and teeth" in facts["note"]
    (warning,) = facts["warnings"]  # the sound is noise
    assert warning.startswith("the speech is only")


def test_the_expression_is_found_with_the_cameras_held(clip, imported):
    want, found = (artifacts.load_arrays(files["track"])[0] for files in (clip, imported))
    assert found["valid"].mean() > 0.95
    noise = 0.1  # px, added to the points
    assert found["reprojection_error"].mean() < want["reprojection_error"].mean() + noise
    apart = np.linalg.norm(found["shape"] - want["shape"], axis=1)
    assert apart.mean() < 0.001  # m


def copied(folder: Path, tmp_path: Path) -> Path:
    """A copy of the folder; its files are links, so write new ones."""
    return shutil.copytree(folder, tmp_path / "anna", copy_function=os.link)


def write_images(folder: Path, part: str, image: np.ndarray) -> None:
    """The same image for every frame."""
    for number in range(FRAMES):
        path = layout.frame_file(folder, part, number)
        path.unlink()
        cv2.imwrite(str(path), image[..., ::-1])


def test_a_parsing_without_mouths_gets_those_that_are_seen(folder, imported, tmp_path):
    """As ER-NeRF and GaussianTalker have it: all of the head in one colour, no masks of teeth."""
    other = copied(folder, tmp_path)
    shutil.rmtree(other / "teeth_mask")
    (other / "au.csv").unlink()
    write_images(other, "parsing", parsing_image(np.full((SIZE, SIZE), parsing.FACE, np.uint8)))
    dataset = open_dataset(other)
    assert dataset.au is None and not dataset.teeth
    files = prepared(tmp_path)
    import_masks(other, files, imported["landmarks"])
    labels = artifacts.load_images(files["labels"])
    points = artifacts.load_arrays(imported["landmarks"])[0]["points"]
    teeth = labels == parsing.TEETH  # the astronaut smiles
    assert teeth.any(axis=(1, 2)).all()
    for mask, mesh in zip(teeth, points, strict=True):
        y, x = np.nonzero(mask)
        lips = mesh[[61, 291, 0, 17], :2]
        assert lips[:, 0].min() < x.min() and x.max() < lips[:, 0].max()
        assert lips[:, 1].min() < y.min() and y.max() < lips[:, 1].max()
    assert ((labels == parsing.FACE) | parsing.mouth_mask(labels)).all()


def test_without_aud_wav_the_sound_is_that_of_the_video(folder, clip, tmp_path):
    other = copied(folder, tmp_path)
    (other / "aud.wav").unlink()
    with pytest.raises(InputError, match=r"aud\.wav: no such file, and anna\.mp4 .* has no sound"):
        sound.clip_sound(other, FRAMES)
    (other / "anna.mp4").unlink()
    with pytest.raises(InputError, match=r"aud\.wav: no such file, nor the video anna\.mp4"):
        sound.clip_sound(other, FRAMES)
    write_video(other / "anna.mp4", astronaut_frames(FRAMES, 64), audio=clip["audio"])
    path, blocks = sound.clip_sound(other, FRAMES)
    heard = np.concatenate(list(blocks()))
    assert path.name == "anna.mp4" and len(heard) == 640 * FRAMES
    original = read_wav(clip["audio"])[0]
    assert np.corrcoef(heard[:40000], original[:40000])[0, 1] > 0.9  # in step, though compressed


def test_sound_of_another_clip_is_refused(folder, tmp_path):
    other = copied(folder, tmp_path)
    (other / "aud.wav").unlink()
    write_wav(other / "aud.wav", np.zeros(16000, np.int16))
    with pytest.raises(InputError, match=r"aud\.wav: lasts 1\.0 s, but 104 frames last 4\.2 s"):
        sound.clip_sound(other, FRAMES)


def test_another_test_part_may_be_asked_for_and_other_files_do_not_matter(folder, tmp_path):
    other = copied(folder, tmp_path)
    (other / "points3d.ply").write_text("written by other programs")
    (other / "ori_imgs" / "notes.txt").write_text("")
    files = prepared(tmp_path)
    import_dataset(other, files, test_frames=30)
    assert artifacts.load_json(files["ingest"])["test"] == [FRAMES - 30, FRAMES]


def removed(name: str):
    return lambda folder: (folder / name).unlink()


def repainted(name: str, *shape: int):
    def change(folder: Path) -> None:
        (folder / name).unlink()
        if name.endswith("npy"):
            np.save(folder / name, np.zeros(shape, bool))
        else:
            cv2.imwrite(str(folder / name), np.zeros(shape, np.uint8))

    return change


def shortened(folder: Path) -> None:
    lines = (folder / "au.csv").read_text().splitlines()
    (folder / "au.csv").unlink()
    (folder / "au.csv").write_text("\n".join(lines[:50]))


def extended(folder: Path) -> None:
    os.link(folder / "ori_imgs" / "0.jpg", folder / "ori_imgs" / f"{FRAMES}.jpg")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (removed("transforms_train.json"), r"transforms_train\.json: no such file; it is written"),
        (removed("bc.jpg"), r"bc\.jpg: no such file"),
        (removed("ori_imgs/0.jpg"), r"ori_imgs/0\.jpg: no such file"),
        (removed("torso_imgs/40.png"), r"torso_imgs/40\.png: no such file; .* lacks frame 40"),
        (removed("teeth_mask/9.npy"), r"teeth_mask/9\.npy: no such file"),
        (extended, r"ori_imgs: holds 105 frames, but there are cameras of 104"),
        (shortened, r"au\.csv: has 49 rows"),
        (repainted("ori_imgs/0.jpg", 200, 160, 3), r"0\.jpg: has 160x200 pixels; .* square"),
        (repainted("ori_imgs/0.jpg", 201, 201, 3), r"201x201 pixels; an even side"),
        (repainted("ori_imgs/0.jpg", 256, 256, 3), r"cx and cy are 100 and 100, but .* 256x256"),
        (repainted("parsing/50.png", 100, 200, 3), r"parsing/50\.png: has 200x100 pixels, but"),
        (repainted("teeth_mask/3.npy", 100, 100), r"teeth_mask/3\.npy: has 100x100 pixels"),
        (repainted("bc.jpg", 100, 100, 3), r"bc\.jpg: has 100x100 pixels"),
    ],
)
def test_a_folder_that_cannot_work_is_refused_at_once(folder, tmp_path, change, message):
    other = copied(folder, tmp_path)
    change(other)
    with pytest.raises((InputError, ArtifactError), match=message):
        open_dataset(other)


def test_colours_of_another_parsing_are_named(folder, imported, tmp_path, capsys):
    other = copied(folder, tmp_path)
    write_images(other, "parsing", np.full((SIZE, SIZE, 3), (1, 2, 3), np.uint8))
    with pytest.raises(SystemExit) as stopped:
        import_masks(other, prepared(tmp_path), imported["landmarks"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "parsing/0.png: has 40000 pixels of other colours, the first (1, 2, 3) at x 0" in said
    assert str(COLOURS[parsing.NECK]) in said
    assert not (tmp_path / "parsing.zip").exists()


def test_cameras_of_other_frames_are_refused(imported, tmp_path, capsys):
    cameras, meta = artifacts.load_arrays(imported["cameras"])
    cameras["t"] = cameras["t"] + 0.1 * np.random.default_rng(0).normal(size=cameras["t"].shape)
    cameras["t"][:, 2] = np.abs(cameras["t"][:, 2])
    artifacts.save_arrays(tmp_path / "cameras.npz", meta, **cameras)
    with pytest.raises(SystemExit) as stopped:
        run_stage(
            "track",
            landmarks=imported["landmarks"],
            cameras=tmp_path / "cameras.npz",
            face_model=FACE_MODEL,
            out=tmp_path / "track.npz",
        )
    assert stopped.value.code == 2
    assert "px from where the dataset's cameras put it" in capsys.readouterr().err
