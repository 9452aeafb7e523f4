"""Artifacts are whole or absent, and say what is wrong with them."""

import numpy as np
import pytest

pytest.importorskip("cv2")

from d3talker import artifacts, split
from d3talker.cli import InputError
from d3talker.settings import parse


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "value.json"
    artifacts.save_json(path, {"old": 1})
    with pytest.raises(RuntimeError), artifacts.atomic(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert artifacts.load_json(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["value.json"]


def test_leftovers_of_a_killed_writer_are_removed(tmp_path):
    (tmp_path / ".value.json.part123.json").write_text("half")
    artifacts.save_json(tmp_path / "value.json", {})
    assert [p.name for p in tmp_path.iterdir()] == ["value.json"]


def test_an_artifact_grows_on_the_scratch_disk_and_is_moved_when_complete(tmp_path, monkeypatch):
    scratch, results = tmp_path / "scratch", tmp_path / "results"
    scratch.mkdir()
    monkeypatch.setenv("D3TALKER_SCRATCH", str(scratch))
    with artifacts.atomic(results / "value.json") as part:
        part.write_text("{}")
        assert part.parent == scratch and not any(results.iterdir())
    assert artifacts.load_json(results / "value.json") == {}
    with pytest.raises(RuntimeError), artifacts.atomic(results / "other.json") as part:
        part.write_text("half")
        raise RuntimeError
    assert not any(scratch.iterdir())
    assert [path.name for path in results.iterdir()] == ["value.json"]


def test_arrays_and_images_come_back_as_they_were(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3)}
    artifacts.save_arrays(tmp_path / "a.npz", {"unit": "m"}, **arrays)
    loaded, meta = artifacts.load_arrays(tmp_path / "a.npz")
    assert meta == {"unit": "m"} and np.array_equal(loaded["a"], arrays["a"])
    for shape in ((4, 5), (4, 5, 3), (4, 5, 4)):
        images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
        artifacts.save_images(tmp_path / "i.zip", iter(images))
        assert np.array_equal(artifacts.load_images(tmp_path / "i.zip"), images)
        assert np.array_equal(artifacts.load_images(tmp_path / "i.zip", [2]), images[2:])


@pytest.mark.parametrize("load", ["load_json", "load_arrays", "load_image", "load_images"])
def test_missing_and_damaged_files_are_named(tmp_path, load):
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"\x00not it")
    for path in (tmp_path / "missing", damaged):
        with pytest.raises(artifacts.ArtifactError, match=path.name):
            getattr(artifacts, load)(path)


def test_the_last_twelve_seconds_are_test_and_short_clips_keep_a_quarter():
    assert split.test_range(1779) == (1479, 1779)
    assert split.test_range(300) == (225, 300)
    assert split.train_range({"frames": 1779}, 10) == (0, 250)
    assert split.train_range({"frames": 300}, 20) == (0, 225)
    assert split.train_range({"frames": 300}, None) == (0, 300)
    asked_for = {"frames": 300, "test": [200, 300]}
    assert split.test_part(asked_for) == (200, 300)
    assert split.train_range(asked_for, 20) == (0, 200)


def test_settings_refuse_unknown_names_and_wrong_types():
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Example:
        steps: int = 3
        rate: float = 0.1

    assert parse(Example, None) == Example()
    assert parse(Example, '{"rate": 1}') == Example(rate=1)
    with pytest.raises(InputError, match=r"stepz.*known: rate, steps"):
        parse(Example, '{"stepz": 1}')
    with pytest.raises(InputError, match="'steps' must be int"):
        parse(Example, '{"steps": 1.5}')


def test_whoever_may_read_other_files_may_read_tensors(tmp_path):
    torch = pytest.importorskip("torch")
    artifacts.save_tensors(tmp_path / "a.safetensors", {"a": torch.zeros(2)})
    (tmp_path / "other").touch()
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1
