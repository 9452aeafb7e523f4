"""AUE of OpenFace's files, and files that are none are refused with file and column."""

import numpy as np
import pytest

from d3talker.artifacts import ArtifactError
from d3talker.metrics import openface


def write(path, values, units=openface.UNITS, spaces=True):
    """A file as OpenFace writes it: other columns before, a space after each comma."""
    names = ["frame", "confidence", "success", *(f"AU{unit}_r" for unit in units), "AU01_c"]
    rows = [[n, 0.98, 1, *row, 0.0] for n, row in enumerate(values, start=1)]
    joint = ", " if spaces else ","
    path.write_text("\n".join(joint.join(map(str, row)) for row in [names, *rows]) + "\n")


@pytest.mark.parametrize("spaces", [True, False])
def test_seventeen_intensities_are_read_by_name(tmp_path, spaces):
    values = np.random.default_rng(0).uniform(0, 5, (6, 17))
    write(tmp_path / "a.csv", values[:, ::-1], openface.UNITS[::-1], spaces)
    assert openface.load_intensities(tmp_path / "a.csv") == pytest.approx(values)
    # The 17 of the field (spec 7.7), upper and lower face.
    listed = [1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45]
    assert sorted(map(int, openface.UNITS)) == listed and len(openface.LOWER) == 9


def test_the_error_is_a_sum_over_units_of_mean_squares():
    truth = np.zeros((4, 17))
    render = truth.copy()
    render[0, openface.UNITS.index("26")] = 2  # 4 in one of four frames
    render[:, openface.UNITS.index("12")] = 1
    render[:2, openface.UNITS.index("45")] = 3  # a blink is of the upper face
    assert openface.aue(render, truth) == {"aue_lower": 1 + 1, "aue_upper": 4.5}


def test_the_truth_may_be_of_the_test_part_or_of_the_whole_clip():
    clip = np.arange(100.0)[:, None].repeat(17, axis=1)
    part = openface.test_part("t.csv", clip, 75, 25, 100)
    assert part[:, 0].tolist() == list(range(75, 100))
    assert openface.test_part("t.csv", part, 75, 25, 100) is part
    with pytest.raises(ArtifactError, match=r"t\.csv: 99 frames, but 25 .* the clip has 100"):
        openface.test_part("t.csv", clip[1:], 75, 25, 100)


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("AU25_r", "AU25_x", r"a\.csv: no column AU25_r"),
        ("2.5", "high", r"a\.csv: column AU01_r, line 3: high"),
        ("2.5", "nan", r"a\.csv: column AU01_r, line 3: nan"),
        ("2.5", "-2.5", r"a\.csv: column AU01_r, line 3: -2\.5"),
        ("2, 0.98, 1, 2.5", "2, 0.98, 1\n", r"a\.csv: column AU01_r, line 3: nothing"),
    ],
)
def test_bad_files_are_refused_with_file_and_column(tmp_path, before, after, problem):
    values = np.ones((3, 17))
    values[1, 0] = 2.5
    write(tmp_path / "a.csv", values)
    text = (tmp_path / "a.csv").read_text()
    assert before in text
    (tmp_path / "a.csv").write_text(text.replace(before, after))
    with pytest.raises(ArtifactError, match=problem):
        openface.load_intensities(tmp_path / "a.csv")


def test_an_empty_or_binary_file_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(ArtifactError, match=r"a\.csv: no column AU01_r"):
        openface.load_intensities(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArtifactError, match=r"a\.csv: not a readable CSV"):
        openface.load_intensities(tmp_path / "a.csv")


def test_the_file_of_a_render_is_named_after_it():
    assert openface.file_name("anna", "wo_c2f", 10, "self") == "anna.wo_c2f.10s.self.csv"


def test_six_units_of_a_whole_clip_are_those_of_eyes_and_brows(tmp_path):
    values = np.tile(np.linspace(0, 4.8, 17), (5, 1))
    values[3] = 5
    write(tmp_path / "a.csv", values)
    units = openface.of_clip(tmp_path / "a.csv", 5)
    assert units.shape == (5, 6) and units.dtype == np.float32
    listed = ["01", "04", "05", "06", "07", "45"]
    wanted = values[0, [openface.UNITS.index(unit) for unit in listed]]
    assert units[0, :5] == pytest.approx(wanted[:5]) and units[0, 5] == min(wanted[5], 2)
    assert units[3].tolist() == [5, 5, 5, 5, 5, 2]  # a blink counts up to 2
    with pytest.raises(ArtifactError, match=r"a\.csv: 5 frames, but the clip has 6"):
        openface.of_clip(tmp_path / "a.csv", 6)
