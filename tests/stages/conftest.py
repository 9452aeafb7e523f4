"""What several tests of stages need."""

import sys

import pytest


@pytest.fixture
def run(monkeypatch):
    """Runs a stage's main in this process, which has imported torch already."""

    def stage(module, *words):
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, words)])
        module.main()

    return stage
