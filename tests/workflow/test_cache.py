"""Two users of one cluster share what is made of a video (Snakemake's --cache)."""

import pytest

pytest.importorskip("snakemake")

from checkouts import make_checkout

PREPARED = ("anna/landmarks.npz", "anna/parsing.zip", "anna/torso.zip", "anna/track.npz")


def test_another_user_takes_the_tracked_video_out_of_the_cache(tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(tmp_path / "cache"))
    for user in ("first", "second"):
        checkout = make_checkout(tmp_path / user / "project", base="resources")
        for stage in ("landmarks", "parse", "track"):
            path = checkout.root / "stages" / f"{stage}.py"
            path.write_text(path.read_text() + 'print(os.environ["WHO"])\n')
        monkeypatch.setenv("WHO", user)
        status, output = checkout.run("--target", "prepare", "--args=--cache")
        assert status == 0, output
        assert all(checkout.exists(path) for path in PREPARED)
    logs = [tmp_path / user / "project/results/logs/anna/track.log" for user in ("first", "second")]
    assert "first" in logs[0].read_text()
    assert "second" not in logs[1].read_text()

    # Other code makes it anew.
    path = checkout.root / "stages" / "track.py"
    path.write_text(path.read_text() + "\n")
    status, output = checkout.run("--target", "prepare", "--args=--cache --forceall")
    assert status == 0, output
    assert "second" in logs[1].read_text()
