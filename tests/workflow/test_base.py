"""Runs that start from a base, and the run that makes one, with stages that write empty files."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("snakemake")

from checkouts import ROOT, Checkout, jobs, make_checkout

from workflow import base, configuration

PRETRAINING = {"pretrain_motion", "pretrain_fields"}


def write_meta(path: Path, **changes) -> None:
    """A file of safetensors' format without tensors, its meta as stages/make_base.py has it."""
    face_model = hashlib.sha256((ROOT / "resources" / "face_model.npz").read_bytes()).hexdigest()
    meta = {"people": ["german"], "size": 512, "face_model": face_model, "refiner": "light"}
    header = json.dumps({"__metadata__": {"meta": json.dumps(meta | changes)}}).encode()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header)


def write_base(folder: Path, **changes) -> None:
    for name in base.FILES.values():
        write_meta(folder / name, **changes)


@pytest.fixture
def alone(tmp_path) -> Checkout:
    """A target and nobody to learn from, in a copy of the project with a base."""
    checkout = make_checkout(tmp_path / "project", base="earlier")
    write_base(checkout.root / "earlier")
    shutil.rmtree(checkout.root / "videos" / "pretrain")
    return checkout


@pytest.fixture
def config(tmp_path):
    """The configuration of a run that starts from a base."""
    write_base(tmp_path / "base")
    return configuration.load([], {"pretrain": {"base": str(tmp_path / "base")}})


def test_one_video_and_the_base_make_an_avatar(alone):
    status, output = alone.run()
    assert status == 0, output
    assert alone.exists("anna/d3talker/10s/self/render.mp4") and alone.exists("report.html")
    assert not PRETRAINING & set(jobs(output)) and not alone.exists("pretrained")
    given = {
        "anna/sync.json": "--model earlier/base_motion.safetensors",
        "anna/motion/10s/audio_to_motion.safetensors": "--model earlier/base_motion.safetensors",
        "anna/d3talker/10s/avatar.safetensors": "--general earlier/base_general.safetensors",
        "anna/d3talker/10s/refiner.safetensors": "--c2f earlier/base_c2f.safetensors",
        "report.html": "--weights earlier/base_c2f.safetensors earlier/base_general.safetensors"
        " earlier/base_motion.safetensors resources/face_model.npz",
    }
    for path, words in given.items():
        assert words in (alone.root / "results" / path).read_text(), path

    # People who have nothing to teach are left out, and a new base trains what starts from it anew.
    alone.add("pretrain/carl.mp4")
    write_meta(alone.root / "earlier" / base.FILES["c2f"], seed=1)
    made = set(jobs(alone.run("--args=-n")[1]))
    assert {"finetune_c2f", "render"} <= made
    assert not {"ingest", "adapt", "tune_motion", "sync"} & made


def test_a_variant_that_is_pretrained_otherwise_learns_from_people_of_its_own(alone):
    both = "--args=-n --config 'variants=[d3talker,wo_scloss]'"
    status, output = alone.run(both)
    assert status == 2 and not jobs(output)
    assert "wo_scloss cannot start from the base" in output and "videos/pretrain" in output
    alone.add("pretrain/carl.mp4")
    assert alone.run("--target", "ingest_all", both.replace("-n ", ""))[0] == 0
    _, output = alone.run(both)
    assert jobs(output)["pretrain_fields"] == 1 and "pretrain_motion" not in jobs(output)
    assert jobs(output)["adapt"] == 2 and jobs(output)["sync"] == 1
    assert "compare them with others of pretrain.base: null" in output


def test_a_target_from_whom_the_base_has_learned_is_told(alone):
    alone.add("german.mp4")
    _, output = alone.run("--target", "ingest_all", "--args=-n")
    assert "german: the base has learned from a person of this name" in output
    assert "anna: the base" not in output


def test_a_base_is_made_of_everybody_without_a_target(tmp_path):
    checkout = make_checkout(tmp_path / "project")
    (checkout.root / "videos" / "anna.mp4").unlink()
    for name in "abcdef":
        checkout.add(f"pretrain/{name}.mp4")
    old = checkout.root / "resources" / "base_c2f.safetensors"
    old.write_text("as shipped")
    make = ("--configfile", "config/base.yaml", "--target", "base")
    make += ("--args=--forcerun make_base",)
    status, output = checkout.run(*make)
    assert status == 0, output
    assert jobs(output)["fit_static"] == jobs(output)["ingest"] == 7
    assert jobs(output)["pretrain_motion"] == jobs(output)["pretrain_fields"] == 1
    words = old.read_text()
    assert "--c2f results_base/pretrained/d3talker/c2f.safetensors" in words
    assert "--preset quick --size 512" in words
    # To Snakemake a file that git has put back is as good as new; it is written anew all the same.
    old.write_text("as shipped")
    assert jobs(checkout.run(*make)[1]) == {"make_base": 1, "base": 1}
    assert old.read_text() == words


def test_a_base_that_cannot_be_made_leaves_the_shipped_one(tmp_path):
    checkout = make_checkout(tmp_path / "project")
    (checkout.root / "stages" / "make_base.py").write_text("raise SystemExit(2)")
    old = checkout.root / "resources" / "base_c2f.safetensors"
    old.write_text("as shipped")
    status, _ = checkout.run("--target", "base")
    assert status == 1 and old.read_text() == "as shipped"


def test_avatars_need_a_video_and_a_base_is_not_made_from_a_base(alone):
    (alone.root / "videos" / "anna.mp4").unlink()
    alone.add("pretrain/carl.mp4")
    status, output = alone.run()
    assert status == 2 and "videos: no video" in output
    status, output = alone.run("--target", "base")
    assert status == 2 and "target base: needs pretrain.base: null" in output


def test_the_shipped_base_fits_the_default_configuration():
    base.check(configuration.load([], {}))


def test_the_papers_schedule_may_start_from_the_base(config):
    base.check(config | {"preset": "paper"})
    assert base.serves(config | {"preset": "paper"}, "d3talker")


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"train": {"pretrain": {"iterations": 9}}}, "train.pretrain:"),
        ({"train": {"pretrain_motion": {"steps": 9}}}, "train.pretrain_motion:"),
        ({"train": {"pretrain_c2f": {"iterations": 9}}}, "train.pretrain_c2f:"),
        ({"pretrain": {"identities": ["carl"]}}, "pretrain.identities:"),
        ({"pretrain": {"motion_identities": ["carl"]}}, "pretrain.motion_identities:"),
        ({"loss": {"dssim": 0.3}}, "loss.dssim:"),
        (
            {"variant_definitions": {"d3talker": {"train": {"pretrain": {"ema": 0.9}}}}},
            "variant_definitions.d3talker.train.pretrain:",
        ),
    ],
)
def test_what_a_base_would_leave_unread_is_an_error(config, changes, key):
    from snakemake.utils import update_config

    update_config(config, changes)
    with pytest.raises(configuration.ConfigProblem) as problem:
        base.check(config)
    assert str(problem.value).startswith(key) and "pretrain.base: null" in str(problem.value)
    config["pretrain"]["base"] = None
    base.check(config)


def test_a_refiner_of_another_width_is_an_error(config):
    with pytest.raises(configuration.ConfigProblem, match=r"refiner: paper: .*'light'.*base: null"):
        base.check(config | {"refiner": "paper"})


def test_a_base_for_another_face_model_is_an_error(config, tmp_path):
    write_meta(tmp_path / "base" / base.FILES["motion"], face_model="0")
    with pytest.raises(configuration.ConfigProblem, match=r"base_motion.*another .*face_model"):
        base.check(config)


def test_files_that_are_missing_or_no_base_are_named(config, tmp_path):
    path = tmp_path / "base" / base.FILES["general"]
    write_meta(path, people=None)
    path.write_bytes(b"\0" * 8)
    with pytest.raises(configuration.ConfigProblem, match=r"base_general.*not a readable"):
        base.check(config)
    path.unlink()
    with pytest.raises(configuration.ConfigProblem, match=r"base_general.*no such file.*make base"):
        base.check(config)
    path.write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(configuration.ConfigProblem, match=r"does not tell its people, size"):
        base.check(config)


def test_variants_start_from_the_base_if_only_later_stages_differ(config):
    definitions = config["variant_definitions"]
    definitions["slow"] = {"meaning": "", "train": {"adapt": {"iterations": 9}}}
    definitions["coarse"] = {"meaning": "", "c2f": False}
    definitions["other"] = {"meaning": "", "architecture": {"general_signal": "audio"}}
    definitions["aligned"] = {"meaning": "", "architecture": {"individual": "aligner"}}
    served = {name for name in definitions if base.serves(config, name)}
    assert {"d3talker", "slow", "coarse", "aligned", "static"} <= served
    assert not {"other", "wo_scloss", "scloss_only", "no_contrast"} & served
    config["variants"] = ["static", "slow", "wo_scloss", "other", "talkinggaussian"]
    assert base.pretrained_otherwise(config) == ["wo_scloss", "other"]
    config["pretrain"]["base"] = None
    assert not base.serves(config, "d3talker")


def test_a_refiner_that_has_learned_at_another_size_is_told(config):
    assert not base.remarks(config, ["anna"])
    assert "512 px, not at 256" in base.remarks(config | {"size": 256}, [])[0]
