"""Checkouts to run, new and finished."""

import shutil
from pathlib import Path

import pytest
from checkouts import Checkout, make_checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """One target and one person to learn from, in a fresh copy of the project without a base."""
    return make_checkout(tmp_path / "project")


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, int, str]:
    """A checkout after its first run, with the exit status and output of that run."""
    checkout = make_checkout(tmp_path_factory.mktemp("finished") / "project")
    return checkout, *checkout.run()


@pytest.fixture
def finished(tmp_path: Path, first_run: tuple[Checkout, int, str]) -> Checkout:
    """A copy of the checkout after its first run."""
    shutil.copytree(first_run[0].root, tmp_path / "project", symlinks=True)
    return Checkout(tmp_path / "project")
