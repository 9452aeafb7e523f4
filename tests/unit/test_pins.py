"""The pins of the virtual environments, of conda and of the images are the same."""

import importlib.util
import os
import re
import subprocess
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ("workflow", "media", "torch", "speech")


def pins(text: str) -> dict[str, str]:
    """Version by name of every `name==version` that begins a line of a list."""
    return dict(re.findall(r"(?m)^(?: *- )?([\w.-]+)==([^\s#]+)", text))


def pinned(name: str) -> dict[str, str]:
    """Version by name of every package of an environment."""
    lists = [ROOT / "envs" / f"{name}{rest}.txt" for rest in ("", "_no_deps")]
    return pins("\n".join(path.read_text() for path in lists if path.exists()))


def plain(package: str) -> str:
    """A package's name as all spell it."""
    return package.lower().replace("_", "-").replace(".", "-")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_conda_installs_what_pip_installs(name):
    expected = pinned(name)
    assert len(expected) > 20
    definition = (ROOT / "envs" / f"{name}.yaml").read_text()
    script = ROOT / "envs" / f"{name}.post-deploy.sh"
    found = pins(definition) | (pins(script.read_text()) if script.exists() else {})
    assert found == expected
    packages = yaml.safe_load(definition)["dependencies"]
    assert packages[:2] == ["python=3.11", "pip"]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_image_has_what_pip_installs(name):
    image = ROOT / "containers" / f"{name}.sif"
    if not image.exists():
        pytest.skip(f"{image.name} has not been built (make containers)")
    program = "from importlib.metadata import distributions as all_of_them\n"
    program += "for one in all_of_them(): print(f'{one.name}=={one.version}')"
    command = ["apptainer", "exec", str(image), "python", "-c", program]
    # Root of a container may lack rights that Apptainer would keep.
    environment = os.environ | {"APPTAINER_NO_PRIVS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found = {plain(package): version for package, version in pins(done.stdout).items()}
    expected = pinned(name)
    for package, version in expected.items():
        built = found.pop(plain(package))
        assert built.split("+")[0] == version, package
    assert not set(found) - {"setuptools"}, "packages that nobody has pinned"


def test_the_recipes_take_their_packages_from_the_pins():
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"(?m)^\.cache/wheels/%\.stamp: envs/%\.txt$", makefile)
    assert "pip wheel -qq $(PIP_FLAGS) -r $<" in makefile
    for recipe in ("recipe.def", "Containerfile"):
        text = (ROOT / "containers" / recipe).read_text()
        assert ".cache/wheels/" in text and "install.sh" in text
        assert "pip install" not in text and "==" not in text.replace("== (3, 11)", "")
    assert "--no-index" in (ROOT / "containers" / "install.sh").read_text()
    assert "/opt/pins/torch.txt" in (ROOT / "containers" / "gpu.def").read_text()


def test_the_definitions_are_made_of_the_pins():
    path = ROOT / "envs" / "make_conda.py"
    spec = importlib.util.spec_from_file_location("make_conda", path)
    make_conda = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_conda)
    for name in ENVIRONMENTS:
        written = (ROOT / "envs" / f"{name}.yaml").read_text()
        assert written == make_conda.definition(name), f"say `make conda` after editing {name}.txt"
