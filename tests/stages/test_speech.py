import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import scipy.io.wavfile

from d3talker.artifacts import load_arrays

STAGE = Path(__file__).resolve().parents[2] / "stages" / "speech.py"


def run(*arguments):
    return subprocess.run(
        [sys.executable, STAGE, *map(str, arguments)], capture_output=True, text=True
    )


def test_features_of_a_wav_are_written_with_the_extractor_named(tmp_path):
    noise = np.random.default_rng(0).normal(0, 3000, 50 * 640).astype(np.int16)
    scipy.io.wavfile.write(tmp_path / "audio.wav", 16000, noise)
    done = run("--audio", tmp_path / "audio.wav", "--out", tmp_path / "speech.npz")
    assert done.returncode == 0, done.stderr
    arrays, meta = load_arrays(tmp_path / "speech.npz")
    assert arrays["features"].shape == (50, 16, 29)
    assert meta["extractor"] == "logmel"


def test_a_file_that_is_no_wav_is_one_line_of_error(tmp_path):
    (tmp_path / "audio.wav").write_text("not sound")
    done = run("--audio", tmp_path / "audio.wav", "--out", tmp_path / "speech.npz")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "audio.wav" in done.stderr
    assert not (tmp_path / "speech.npz").exists()
