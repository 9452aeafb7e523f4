"""What the chosen backends need, and that it is looked for before any job starts."""

import sys

import pytest

pytest.importorskip("jsonschema")

from d3talker.backends import BACKENDS, TRAINING, default
from d3talker.metrics.weights import catalogue
from workflow import configuration, environments


@pytest.fixture
def config():
    return configuration.load([], {})


def test_no_backend_is_checked_and_no_process_started_by_default(config, tmp_path):
    chosen = configuration.backends(config)
    assert {chosen[key] for key in TRAINING} == {"cpu"}
    assert configuration.training_environment(config) == "torch"
    assert environments.demanding(config) == {}
    environments.check_backends(config, tmp_path / "no-environments", jobs_run_here=True)
    environments.check_conda(config)


@pytest.mark.parametrize("key", BACKENDS)
def test_the_default_backend_of_every_key_needs_nothing(key):
    chosen = BACKENDS[key][default(key)]
    assert not (chosen.packages or chosen.models or chosen.keys or chosen.gpu)
    assert chosen.environment in environments.BASIC


def test_what_backends_name_is_known(config):
    for known in BACKENDS.values():
        for one in known.values():
            assert (environments.ROOT / "envs" / f"{one.environment}.txt").is_file()
            assert set(one.models) <= set(catalogue()) and set(one.keys) <= set(config)
    assert set(config["backends"]) == set(BACKENDS), "config.yaml has to explain every key"


def test_a_gpu_backend_without_its_environment_says_how_to_make_it(config, tmp_path):
    config["backends"]["rasterizer"] = "gsplat"
    assert configuration.training_environment(config) == "gpu"
    with pytest.raises(
        configuration.ConfigProblem, match=r"rasterizer: gsplat.*make gpu.*envs/gpu\.txt"
    ):
        environments.check_backends(config, tmp_path, jobs_run_here=True)
    with pytest.raises(configuration.ConfigProblem, match="conda has none"):
        environments.check_conda(config)


def test_a_gpu_backend_whose_package_is_missing_names_its_key(config, tmp_path):
    config["backends"]["encoding"] = "tinycudann"
    python = tmp_path / "gpu" / "bin" / "python"
    python.parent.mkdir(parents=True)
    # The workflow's environment has no tinycudann.
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    with pytest.raises(configuration.ConfigProblem, match=r"backends\.encoding: 'tinycudann'.*gpu"):
        environments.check_backends(config, tmp_path, jobs_run_here=False)


def test_images_of_all_environments_that_the_backends_use_have_to_be_there(config, tmp_path):
    config["backends"]["rasterizer"] = "gsplat"
    with pytest.raises(configuration.ConfigProblem) as problem:
        environments.check_images(config, str(tmp_path))
    assert all(f"{name}.sif" in str(problem.value) for name in ("gpu", *environments.BASIC))
