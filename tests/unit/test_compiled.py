"""Compiled kernels and torch keep out of each other's way."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("torch")

PROGRAM = """
import torch
from d3talker.train.photometric import l1_dssim
torch.set_num_threads(1)
l1_dssim(torch.zeros(32, 32, 3), torch.ones(32, 32, 3))
print(torch.get_num_threads())
"""


def test_torch_keeps_its_number_of_threads_when_a_kernel_starts_those_of_numba():
    threads = {"OMP_NUM_THREADS": "2", "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | threads,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "1"
