"""The base holds the networks of a run as they are, and says what they were trained on."""

import hashlib
import runpy
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from d3talker import artifacts  # noqa: E402
from d3talker.fields.deformation import GeneralField  # noqa: E402
from d3talker.motion.model import MotionModel, save_model  # noqa: E402
from d3talker.motion.network import MotionNet  # noqa: E402
from d3talker.refine.styleunet import WIDTHS, StyleUNet  # noqa: E402

STAGE = Path(__file__).resolve().parents[2] / "stages" / "make_base.py"
PARTS = ("motion", "general", "c2f")
META = {"people": ["berta", "carl"], "seed": 3, "settings": {"iterations": 9}}


@pytest.fixture
def trained(tmp_path) -> Path:
    """A folder with the three networks that a run pre-trains."""
    save_model(tmp_path / "motion", MotionModel([MotionNet(2)], torch.ones(2)), META)
    artifacts.save_tensors(tmp_path / "general", GeneralField().state_dict(), META)
    refiner = StyleUNet(WIDTHS["light"]).state_dict()
    artifacts.save_tensors(tmp_path / "c2f", refiner, META | {"refiner": "light"})
    (tmp_path / "face_model.npz").write_bytes(b"a face")
    return tmp_path


def make_base(folder: Path, monkeypatch) -> None:
    words = ["--preset", "quick", "--size", "512", "--face-model", str(folder / "face_model.npz")]
    for part in PARTS:
        words += [f"--{part}", str(folder / part), f"--out-{part}", str(folder / f"new_{part}")]
    monkeypatch.setattr(sys, "argv", ["make_base", *words])
    runpy.run_path(str(STAGE), run_name="__main__")


def test_a_base_is_the_networks_and_where_they_come_from(trained, monkeypatch, capsys):
    make_base(trained, monkeypatch)
    printed = capsys.readouterr().out
    face_model = hashlib.sha256(b"a face").hexdigest()
    made_for = {"preset": "quick", "size": 512, "face_model": face_model}
    for part in PARTS:
        old, _ = artifacts.load_tensors(trained / part)
        new, meta = artifacts.load_tensors(trained / f"new_{part}")
        assert old.keys() == new.keys()
        assert all(torch.equal(old[name], new[name]) for name in old)
        assert meta.items() >= (META | made_for).items()
        assert artifacts.load_meta(trained / f"new_{part}") == meta
        assert hashlib.sha256((trained / f"new_{part}").read_bytes()).hexdigest() in printed
    assert artifacts.load_meta(trained / "new_c2f")["refiner"] == "light"


@pytest.mark.parametrize(
    ("meta", "value", "words"),
    [
        (META | {"people": 2}, 0.0, "general: does not tell its people"),
        ({"people": ["carl"], "seed": 0}, 0.0, "general: does not tell its settings"),
        (META, float("nan"), "general: face.encoder.table is not finite"),
    ],
)
def test_networks_of_no_use_make_no_base(trained, monkeypatch, capsys, meta, value, words):
    tensors, _ = artifacts.load_tensors(trained / "general")
    tensors["face.encoder.table"][5] = value
    artifacts.save_tensors(trained / "general", tensors, meta)
    with pytest.raises(SystemExit):
        make_base(trained, monkeypatch)
    assert words in capsys.readouterr().err
    assert not list(trained.glob("new_*"))
