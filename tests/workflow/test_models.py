"""Weights that the configuration names, fetches or lacks, and the list of all that are known."""

import hashlib

import pytest
import yaml
from jsonschema import Draft202012Validator

pytest.importorskip("snakemake")

from checkouts import jobs

from d3talker.backends import BACKENDS, Backend
from d3talker.metrics.check_weights import problems
from d3talker.metrics.weights import CATALOGUE, catalogue
from workflow import configuration, models

ENTRIES = yaml.safe_load(CATALOGUE.read_text())
SCHEMA = yaml.safe_load((configuration.HERE / "schemas" / "models.schema.yaml").read_text())


@pytest.fixture
def config(tmp_path):
    config = configuration.load([], {})
    config["models"]["folder"] = str(tmp_path / "models")
    return config


@pytest.fixture
def small(monkeypatch):
    """A list of one file of a few bytes, `fan`, and its content."""
    content = b"hourglass" * 100
    sha256 = hashlib.sha256(content).hexdigest()
    known = catalogue()["fan"]._replace(sha256=sha256, mb=len(content) / 1e6)
    monkeypatch.setattr(models, "catalogue", lambda: {"fan": known})
    return content


def problem_of(config):
    with pytest.raises(configuration.ConfigProblem) as problem:
        models.check(config)
    return str(problem.value)


def test_every_entry_is_as_the_schema_says():
    Draft202012Validator.check_schema(SCHEMA)
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(ENTRIES)] == []
    names = [entry["file"] for entry in ENTRIES.values()]
    assert len(set(names)) == len(names), "two files of one name cannot lie in one folder"
    config = configuration.load([], {})
    assert set(config["models"]) == {"folder", "mirror", *ENTRIES}, "explain it in config.yaml"


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": None},  # and `get` is null as well
        {"url": "ftp://x"},
        {"sha256": "7be5"},
        {"file": "a/b"},
        {"mb": 0},
        {"licence": ""},
        {"size": 1},
    ],
)
def test_an_entry_that_says_too_little_or_wrong_is_found(wrong):
    entries = {"alexnet": ENTRIES["alexnet"] | wrong}
    assert list(Draft202012Validator(SCHEMA).iter_errors(entries))
    assert list(Draft202012Validator(SCHEMA).iter_errors({"folder": ENTRIES["alexnet"]}))


def test_a_reader_is_known_for_every_file(tmp_path):
    for key in catalogue():
        (line,) = problems({key: str(tmp_path / "none")})
        assert line.startswith(f"models.{key}: ")


def test_an_unknown_key_is_named(config):
    config["models"]["alexnett"] = "fetch"
    with pytest.raises(configuration.ConfigProblem, match=r"did you mean 'alexnet'"):
        configuration.check(config)


def test_a_perceptual_loss_without_its_weights_is_found_before_anything_runs(config, tmp_path):
    config["loss"] = {"perceptual": 0.01}
    words = problem_of(config)
    for word in ("models.alexnet", "adapt", "finetune_c2f", "download.pytorch.org", "BSD-3"):
        assert word in words
    assert "models.alexnet: fetch, which takes 244 MB" in words
    weights = tmp_path / "alexnet.safetensors"
    config["models"]["alexnet"] = str(weights)
    assert "there is no file" in problem_of(config)
    weights.touch()
    models.check(config)
    assert configuration.needs_alexnet(config, "adapt", "d3talker")
    config["loss"] = {}
    assert not configuration.needs_alexnet(config, "adapt", "d3talker")


@pytest.mark.parametrize("key", ["fan", "s3fd", "syncnet"])
def test_a_file_of_weights_that_is_not_there_is_named_with_its_source(config, tmp_path, key):
    config["models"][key] = str(tmp_path / "w.pth")
    words = problem_of(config)
    assert f"models.{key}: there is no file" in words and "https" in words and "w.pth" in words
    (tmp_path / "w.pth").touch()
    models.check(config)


def test_what_is_to_be_fetched_lies_in_the_folder_under_its_published_name(config, tmp_path):
    config["models"]["fan"] = "fetch"
    configuration.check(config)
    models.check(config)
    path = tmp_path / "models" / "2DFAN4-cd938726ad.zip"
    assert models.file(config, "fan") == str(path) and models.file(config, "s3fd") is None
    assert models.to_fetch(config) == models.files(config) == {"fan": str(path)}
    path.parent.mkdir()
    path.touch()
    assert models.to_fetch(config) == {} and models.files(config) == {"fan": str(path)}


def test_a_backend_whose_weights_are_not_given_stops_the_run(config, monkeypatch):
    needy = Backend("needs much", models=("fan", "syncnet"), keys=("openface",))
    monkeypatch.setitem(BACKENDS["encoding"], "needy", needy)
    config["backends"]["encoding"] = "needy"
    config["models"]["fan"] = "fetch"
    words = problem_of(config)
    assert "models.syncnet: it is null, but backends.encoding: needy needs it" in words
    assert "robots.ox.ac.uk" in words and "models.fan" not in words
    assert "backends.encoding: 'needy' needs `openface`" in words


def test_what_only_a_form_gives_is_fetched_from_a_mirror_alone(config, tmp_path, monkeypatch):
    known = {"fan": catalogue()["fan"]._replace(url=None, get="fill the form at its page")}
    monkeypatch.setattr(models, "catalogue", lambda: known)
    config["models"]["fan"] = "fetch"
    words = problem_of(config)
    assert "models.fan: nothing can fetch" in words and "fill the form" in words
    assert "models.fan: <your file>" in words and "models.fan: fetch" not in words
    config["models"]["mirror"] = "https://mirror.example/"
    models.check(config)
    config["models"]["mirror"] = str(tmp_path)
    assert f"there is no 2DFAN4-cd938726ad.zip in models.mirror ({tmp_path})" in problem_of(config)
    (tmp_path / "2DFAN4-cd938726ad.zip").touch()
    models.check(config)


def test_weights_are_read_before_anything_runs(config, tmp_path):
    python = configuration.HERE.parent / ".envs" / "torch" / "bin" / "python"
    models.check_files(config, tmp_path / "no-python")  # none are given
    (tmp_path / "a.safetensors").write_bytes(b"cut off")
    config["models"]["alexnet"] = str(tmp_path / "a.safetensors")
    with pytest.raises(
        configuration.ConfigProblem, match=r"models\.alexnet: .*alexnet-owt-7be5be79"
    ):
        models.check_files(config, python)
    with pytest.raises(configuration.ConfigProblem, match=r"make setup"):
        models.check_files(config, tmp_path / "no-python")


def test_fetched_files_are_known_by_their_sums(config, small):
    config["models"]["fan"] = "fetch"
    path = configuration.Path(models.file(config, "fan"))
    path.parent.mkdir()
    path.write_bytes(small)
    models.check_files(config, None)
    path.write_bytes(small[::-1])
    with pytest.raises(configuration.ConfigProblem, match=r"models\.fan: .*its sha256 is"):
        models.check_files(config, None)


def test_all_that_says_fetch_is_fetched_and_one_that_fails_keeps_no_other(
    config, small, tmp_path, monkeypatch, capsys
):
    known = {"s3fd": catalogue()["s3fd"], **models.catalogue()}
    monkeypatch.setattr(models, "catalogue", lambda: known)
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / known["fan"].file).write_bytes(small)
    config["models"] |= {"mirror": str(tmp_path / "mirror"), "fan": "fetch", "s3fd": "fetch"}
    with pytest.raises(configuration.ConfigProblem, match=r"models\.s3fd: .*no such file"):
        models.fetch_all(config)
    assert configuration.Path(models.file(config, "fan")).read_bytes() == small
    assert "BSD-3-Clause" in capsys.readouterr().out
    config["models"] |= {"fan": None, "s3fd": None}
    models.fetch_all(config)
    assert "says `fetch`" in capsys.readouterr().out


def test_a_rule_fetches_what_a_run_needs_and_nothing_that_is_there(finished):
    fetch = "--config 'models={s3fd: fetch, syncnet: fetch, mirror: mirror}'"
    (finished.root / "mirror").mkdir()
    for name in ("s3fd-619a316812.pth", "syncnet_v2.model"):
        (finished.root / "mirror" / name).touch()
    _, output = finished.run(f"--args=-n -p {fetch}")
    assert jobs(output)["fetch_model"] == 2 and jobs(output)["syncnet"] == 3, output
    line = "--key syncnet --mirror mirror --out models/syncnet_v2.model"
    assert output.count(line) == 1
    (finished.root / "d3talker" / "metrics" / "check_weights.py").write_text("")
    (finished.root / "d3talker" / "fetch.py").write_text("check = lambda *_: None\n" + IS_ADDRESS)
    (finished.root / "models").mkdir()
    (finished.root / "models" / "syncnet_v2.model").touch()
    _, output = finished.run(f"--args=-n -p {fetch}")
    assert jobs(output)["fetch_model"] == 1 and jobs(output)["syncnet"] == 3, output
    assert "--syncnet models/syncnet_v2.model --s3fd models/s3fd-619a316812.pth" in output


IS_ADDRESS = "is_address = lambda mirror: False\n"
