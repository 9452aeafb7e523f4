"""The paper's parts of sound, motion and geometry: what they need, and which rules they choose."""

import hashlib
import sys
from pathlib import Path

import pytest

pytest.importorskip("snakemake")

from checkouts import jobs
from test_base import write_base

from d3talker.backends import BACKENDS
from d3talker.metrics.weights import catalogue
from workflow import base, configuration, environments, models

OWN = {"pretrain": {"base": None}}
PARTS = ("speech", "audio_to_motion", "geometry")
REAL3DPORTRAIT = BACKENDS["audio_to_motion"]["real3dportrait"].models


def config_with(given=(), **backends):
    config = configuration.load([], {"backends": backends, **OWN})
    config["models"] |= dict(given)
    return config


def check(config):
    configuration.check(config)
    models.check(config)


def touch(folder: Path, *keys: str) -> dict[str, str]:
    """Empty files or folders of weights, by key."""
    for key in keys:
        file = folder / key / "model.safetensors" if is_folder(key) else folder / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(key)
    return {key: str(folder / key) for key in keys}


def is_folder(key: str) -> bool:
    return catalogue()[key].kind == "folder"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("key", "name"),
    [(key, name) for key in PARTS for name, one in BACKENDS[key].items() if one.models],
)
def test_a_part_without_its_weights_stops_with_key_file_source_and_licence(key, name):
    config = config_with(**{key: name}) | {"variants": ["d3talker", "static"]}
    with pytest.raises(configuration.ConfigProblem) as problem:
        check(config)
    for model in BACKENDS[key][name].models:
        assert f"models.{model}: it is null, but backends.{key}: {name} needs it" in str(
            problem.value
        )
        assert catalogue()[model].source in str(problem.value)


def test_unknown_parts_list_the_known():
    with pytest.raises(configuration.ConfigProblem, match=r"speech: .*'mel'; known: logmel, deeps"):
        configuration.check(config_with(speech="mel"))
    with pytest.raises(configuration.ConfigProblem, match=r"unknown key 'backends\.speach'"):
        configuration.check(config_with(speach="logmel"))


def test_by_default_nothing_is_asked_for(tmp_path):
    config = configuration.load([], {})
    check(config)
    environments.check_backends(config, tmp_path / "none", jobs_run_here=True)
    chosen = configuration.backends(config)
    assert [chosen[key] for key in PARTS] == ["logmel", "motionnet", "folder"]


def test_a_part_of_the_environment_speech_says_how_to_make_it(tmp_path):
    config = config_with(speech="wav2vec")
    with pytest.raises(configuration.ConfigProblem, match=r"speech: wav2vec.*`make speech`"):
        environments.check_backends(config, tmp_path, jobs_run_here=True)
    environments.check_backends(config_with(speech="deepspeech"), tmp_path, jobs_run_here=True)
    with pytest.raises(configuration.ConfigProblem, match=r"speech\.sif"):
        environments.check_images(config, str(tmp_path))


def test_a_package_that_the_environment_speech_lacks_is_named(tmp_path):
    python = tmp_path / "speech" / "bin" / "python"
    python.parent.mkdir(parents=True)
    # The workflow's environment has no transformers.
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    config = config_with(speech="wav2vec")
    with pytest.raises(
        configuration.ConfigProblem, match=r"'wav2vec' cannot run: .* transformers .*speech\.txt"
    ):
        environments.check_backends(config, tmp_path, jobs_run_here=True)


def test_a_folder_is_a_folder_and_a_file_a_file(tmp_path):
    given = touch(tmp_path, "hubert", "deepspeech")
    check(config_with(given, speech="hubert"))
    swapped = {"hubert": given["deepspeech"], "deepspeech": given["hubert"]}
    with pytest.raises(configuration.ConfigProblem) as problem:
        check(config_with(swapped))
    assert "deepspeech is no folder" in str(problem.value)
    assert "hubert is a folder" in str(problem.value)
    (tmp_path / "hubert" / "model.safetensors").unlink()
    with pytest.raises(configuration.ConfigProblem, match=r"hubert: there is no file .*model\.saf"):
        check(config_with(given))
    with pytest.raises(configuration.ConfigProblem, match=r"models\.hubert: .*fetch a folder"):
        check(config_with({"hubert": "fetch"}))


def test_the_base_fits_only_the_parts_that_it_was_made_with(tmp_path):
    write_base(tmp_path / "base")
    given = touch(tmp_path, "deepspeech")
    config = config_with(given, speech="deepspeech")
    config["pretrain"]["base"] = str(tmp_path / "base")
    with pytest.raises(
        configuration.ConfigProblem, match=r"backends\.speech: deepspeech: .*logmel.*base: null"
    ):
        base.check(config)
    write_base(tmp_path / "base", speech="deepspeech")
    base.check(config)
    config["pretrain"]["base"] = "resources"
    with pytest.raises(configuration.ConfigProblem, match=r"pretrain\.base: resources"):
        base.check(config)


def test_motion_of_another_face_model_cannot_stand_beside_the_tracked(tmp_path):
    given = touch(tmp_path, *REAL3DPORTRAIT)
    config = config_with(given, audio_to_motion="real3dportrait")
    with pytest.raises(configuration.ConfigProblem, match=r"variants: oracle shows the tracked"):
        configuration.check(config)
    configuration.check(config | {"variants": ["d3talker", "static"]})
    config["train"] = {"real3dportrait": {"heat": 1}}
    with pytest.raises(configuration.ConfigProblem, match=r"train\.real3dportrait: .*'heat'"):
        configuration.check(config | {"variants": ["d3talker", "static"]})


def test_a_program_is_opened_only_with_its_digest(tmp_path):
    given = touch(tmp_path, "sapiens_depth", "sapiens_normal")
    config = config_with(given, geometry="sapiens")
    with pytest.raises(configuration.ConfigProblem) as problem:
        check(config)
    right = {key: digest(Path(path)) for key, path in given.items()}
    for key, value in right.items():
        assert f"sha256.{key}: it is null" in str(problem.value) and value in str(problem.value)
    config["sha256"] = right | {"sapiens_normal": "0" * 64}
    check(config)
    with pytest.raises(configuration.ConfigProblem, match=r"models\.sapiens_normal: the sha256 of"):
        models.check_files(config, None)
    config["sha256"] = right
    models.check_files(config, None)
    with pytest.raises(configuration.ConfigProblem, match="set one of the two to null"):
        configuration.check(config | {"geometry": str(tmp_path)})


@pytest.fixture
def trusting(checkout):
    """A checkout that believes files of weights to be right, and has every environment."""
    (checkout.root / "d3talker" / "metrics" / "check_weights.py").write_text("")
    common = checkout.root / "workflow" / "rules" / "common.smk"
    text = common.read_text()
    asked = "environments.check_backends(config, ENVS, jobs_run_here=workflow.local_exec)"
    assert asked in text
    common.write_text(text.replace(asked, "pass"))
    return checkout


def dry_run(checkout, lines: list[str]) -> str:
    (checkout.root / "own.yaml").write_text("\n".join(lines))
    _, output = checkout.run("--configfile", str(checkout.root / "own.yaml"), "--args=-n -p")
    return output


def test_an_extractor_hears_every_sound_and_sapiens_makes_the_prior_that_adapt_reads(trusting):
    given = touch(trusting.root / "w", "deepspeech", "sapiens_depth", "sapiens_normal")
    sums = {key: digest(Path(path)) for key, path in given.items() if key != "deepspeech"}
    named = ", ".join(f"{key}: w/{key}" for key in given)
    digests = ", ".join(f"{key}: {value}" for key, value in sums.items())
    lines = ["backends: {speech: deepspeech, geometry: sapiens}", f"models: {{{named}}}"]
    output = dry_run(trusting, [*lines, f"sha256: {{{digests}}}"])
    heard = [line for line in output.splitlines() if "stages/speech.py" in line]
    assert len(heard) == jobs(output)["speech"] == 2, output
    assert all("torch/bin/python" in line for line in heard)
    assert all("--weights w/deepspeech --extractor deepspeech" in line for line in heard)
    assert jobs(output)["sapiens"] == 1
    (adapt,) = (line for line in output.splitlines() if "stages/adapt.py" in line)
    assert "--geometry results/anna/geometry.npz" in adapt
    (seen,) = (line for line in output.splitlines() if "stages/sapiens.py" in line)
    assert f"--sha256-depth {sums['sapiens_depth']}" in seen


def test_hubert_hears_elsewhere_and_real3dportrait_moves_training_and_renders_alike(trusting):
    given = touch(trusting.root / "w", *REAL3DPORTRAIT)
    named = ", ".join(f"{key}: w/{key}" for key in given)
    chosen = "backends: {speech: hubert, audio_to_motion: real3dportrait}"
    output = dry_run(trusting, [chosen, f"models: {{{named}}}", "variants: [d3talker, static]"])
    heard = [line for line in output.splitlines() if "stages/speech.py" in line]
    assert len(heard) == 2 and all(".envs/speech/bin/python" in line for line in heard), output
    assert all("--weights w/hubert/model.safetensors" in line for line in heard)
    found = jobs(output)
    assert found["voice"] == found["motion_real3dportrait"] == 2, output  # anna and carl
    assert not {"motion_tracked", "motion_predicted", "tune_motion"} & set(found)
    assert "--motion results/speech/carl.motion.npz" in output  # pre-training
    assert output.count("--motion results/speech/anna.motion.npz") == 2  # adapt, finetune_c2f
    assert output.count("--drive-motion results/speech/anna.motion.npz") == 2  # both variants
    (made,) = (x for x in output.splitlines() if "motion_real3d" in x and "anna.voice" in x)
    assert "--audio2secc-vae w/audio2secc_vae --bfm-front w/bfm_front" in made
