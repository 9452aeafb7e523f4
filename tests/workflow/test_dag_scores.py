"""Scores that need something from outside: what is made for them, and that nothing else is."""

import pytest

pytest.importorskip("snakemake")

from checkouts import give_weights, jobs

VARIANTS = 3  # d3talker, oracle, static


def test_given_weights_make_new_scores_of_old_renders(finished):
    models = give_weights(finished, "alexnet", "fan", "s3fd", "syncnet")
    _, output = finished.run(f"--args=-n -p --config {models}")
    made = {"fan_truth": 1, "fan_render": VARIANTS, "syncnet": VARIANTS, "evaluate": VARIANTS}
    assert jobs(output) == made | {"tables": 1, "report": 1}, output
    lines = [line for line in output.splitlines() if "stages/evaluate.py" in line]
    assert all("--alexnet weights/alexnet" in line for line in lines)
    assert all("--fan-truth results/anna/fan.npz" in line for line in lines)
    run = "results/anna/oracle/10s/self"
    assert sum(f"--fan-render {run}/fan.npz --syncnet {run}/syncnet.json" in x for x in lines) == 1
    assert "--syncnet weights/syncnet --s3fd weights/s3fd" in output


def test_without_s3fd_neither_fan_nor_syncnet_is_used(finished):
    models = give_weights(finished, "fan", "syncnet")
    _, output = finished.run(f"--args=-n --config {models}")
    # The page tells the sums of all that is given.
    assert jobs(output) == {"report": 1}, output


def test_scores_that_need_weights_are_made_with_new_renders(finished):
    models = give_weights(finished, "fan", "s3fd", "syncnet")
    for render in finished.root.glob("results/anna/*/10s/self/render.mp4"):
        render.unlink()
    status, output = finished.run(f"--args=-n --config {models}")
    assert status == 0, output[-3000:]
    made = jobs(output)
    assert made["render"] == made["fan_render"] == made["syncnet"] == VARIANTS


def test_files_of_openface_reach_the_runs_that_they_are_of(finished):
    folder = finished.root / "openface"
    folder.mkdir()
    (folder / "anna.csv").touch()
    (folder / "anna.d3talker.10s.self.csv").touch()
    _, output = finished.run("--args=-n -p --config openface=openface")
    lines = [line for line in output.splitlines() if "stages/evaluate.py" in line]
    assert len(lines) == VARIANTS
    with_render = [line for line in lines if "--openface-render" in line]
    assert len(with_render) == 1 and "--variant d3talker" in with_render[0]
    assert "--openface-truth openface/anna.csv" in with_render[0]


def test_who_speaks_a_foreign_audio_is_looked_at(finished):
    finished.add("audio/talk.wav")
    finished.add("audio/talk.mp4")
    finished.add("audio/song.wav")
    _, output = finished.run("--audios", "videos/audio", "--args=-n -p")
    assert jobs(output)["landmarks_driver"] == 1
    assert "left alone" not in output
    lines = [line for line in output.splitlines() if "stages/evaluate.py" in line]
    (talk,) = (line for line in lines if "--drive talk" in line)
    (song,) = (line for line in lines if "--drive song" in line)
    assert "--driver-landmarks results/audio/talk.landmarks.npz" in talk
    assert "--driver-landmarks" not in song
    looked = [line for line in output.splitlines() if "--any-rate" in line]
    assert len(looked) == 1 and "--video videos/audio/talk.mp4" in looked[0]


def test_damaged_weights_stop_the_run_before_its_first_job(checkout):
    (checkout.root / "alexnet.safetensors").write_text("cut off")
    status, output = checkout.run("--args=--config 'models={alexnet: alexnet.safetensors}'")
    assert status != 0 and "models.alexnet: " in output and "alexnet-owt-7be5be79.pth" in output
    assert not checkout.exists("anna")
