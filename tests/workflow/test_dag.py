"""What is made when, with stages that write empty files."""

import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("snakemake")

from checkouts import jobs


def test_a_run_makes_every_part_of_an_avatar(first_run):
    checkout, status, output = first_run
    assert status == 0, output
    for path in (
        "anna/d3talker/10s/avatar.safetensors",
        "anna/d3talker/10s/self/render.mp4",
        "anna/oracle/10s/self/metrics.json",
        "tables/table1.md",
        "report.html",
    ):
        assert checkout.exists(path), path
    assert not checkout.exists("anna/oracle/10s/avatar.safetensors")
    assert not checkout.exists("carl/d3talker")
    assert "video:   results/anna/d3talker/10s/self/render.mp4" in output
    assert "report:  results/report.html" in output


def test_the_second_run_has_nothing_to_do(finished):
    status, output = finished.run()
    assert status == 0
    assert not jobs(output), output


def test_the_folder_may_be_named_in_another_way(finished):
    _, output = finished.run("--videos", str(finished.root / "videos"))
    assert not jobs(output), output


def test_a_new_video_costs_only_its_own_jobs_and_the_report(finished):
    finished.add("berta.mp4")
    _, output = finished.run("--args=-n")
    shared = {"pretrain_motion", "pretrain_fields"}
    assert not shared & set(jobs(output)), output
    assert jobs(output)["adapt"] == jobs(output)["fit_static"] == 1
    assert "anna:" not in output
    assert "carl:" not in output


def test_other_programs_get_a_dataset_of_every_target_and_a_ply_of_every_avatar(finished):
    _, output = finished.run("--target=export", "--args=-n")
    assert jobs(output) == {"export": 1, "export_dataset": 1, "export_ply": 1}, output
    assert "anna: write the dataset folder" in output
    assert "carl: write the dataset folder" not in output


def test_settings_of_the_refiner_concern_only_what_it_paints(finished):
    config = finished.root / "config" / "config.yaml"
    text = config.read_text().replace("train: {}", "train: {finetune_c2f: {iterations: 7}}", 1)
    config.write_text(text)
    _, output = finished.run("--args=-n")
    variants = 3
    assert jobs(output) == {
        "finetune_c2f": 1,
        "render": variants,
        "compare": variants,
        "landmarks_render": variants,
        "evaluate": variants,
        "tables": 1,
        "report": 1,
    }


def test_another_width_of_the_refiner_pretrains_and_adapts_anew(finished):
    _, output = finished.run("--args=-n --config refiner=paper")
    made = set(jobs(output))
    assert {"pretrain_fields", "adapt", "finetune_c2f", "render", "report"} <= made
    assert not {"fit_static", "pretrain_motion", "ingest"} & made


def test_another_backend_trains_and_renders_anew(finished):
    config = finished.root / "config" / "config.yaml"
    text = config.read_text().replace("rasterizer: null", "rasterizer: reference", 1)
    config.write_text(text)
    _, output = finished.run("--args=-n -p")
    made = set(jobs(output))
    assert {"fit_static", "refine_pose", "pretrain_fields", "adapt", "finetune_c2f"} <= made
    assert not {"pretrain_motion", "track", "ingest"} & made
    assert "--rasterizer reference --encoding cpu" in output


def test_rows_of_the_ablation_retrain_only_what_differs(finished):
    rendered_otherwise = "variants=[wo_c2f,general_only,individual_only]"
    _, output = finished.run(f"--args=-n -p --config '{rendered_otherwise}'")
    made = set(jobs(output))
    assert not {"pretrain_fields", "adapt", "finetune_c2f"} & made
    assert jobs(output)["render"] == 3
    assert "--fields general" in output and "--fields individual" in output

    _, output = finished.run("--args=-n -p --config 'variants=[wo_scloss]'")
    assert jobs(output)["pretrain_fields"] == jobs(output)["adapt"] == 1
    assert '"similarity_contrast": 0.0' in output
    assert not {"fit_static", "refine_pose", "tune_motion", "ingest"} & set(jobs(output))


def line_of(output: str, stage: str) -> str:
    """The command of the one job of a stage that a dry run prints."""
    (line,) = (line for line in output.splitlines() if f"stages/{stage}.py" in line)
    return line


def test_the_report_is_told_where_the_numbers_come_from(finished):
    _, output = finished.run("--args=-n -p --config seed=3")
    told = line_of(output, "report")
    assert '--changed \'{"preset": "quick", "seed": 3}\'' in told
    assert "--weights resources/face_model.npz --changed" in told
    assert "--benchmarks results/benchmarks" in told
    assert '"oracle": "the same avatar moved by the tracked expression' in told


def test_snakemakes_own_report_has_tables_videos_and_faces(finished):
    made = subprocess.run(
        [sys.executable, "-m", "snakemake", "--report", "own.zip"],
        cwd=finished.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    with zipfile.ZipFile(finished.root / "own.zip") as archive:
        names = {Path(name).name for name in archive.namelist() if "/raw/" in name}
    assert {"table1.csv", "compare.mp4", "track.png", "report.html"} <= names


@pytest.mark.parametrize(
    ("variant", "architecture"),
    [
        ("wo_fm", '{"general_signal": "audio"}'),
        ("fm_only", '{"individual_signal": "motion"}'),
        ("individual_means", '{"individual_attributes": ["means"]}'),
    ],
)
def test_a_variant_of_the_fields_pretrains_and_adapts_its_own(finished, variant, architecture):
    _, output = finished.run(f"--args=-n -p --config 'variants=[{variant}]'")
    made = jobs(output)
    trained = ("pretrain_fields", "adapt", "finetune_c2f", "render")
    assert [made[rule] for rule in trained] == [1, 1, 1, 1]
    assert not {"fit_static", "refine_pose", "tune_motion", "pretrain_motion"} & set(made)
    for stage in ("pretrain", "adapt"):
        assert f"--architecture '{architecture}'" in line_of(output, stage)
    shared = f"results/pretrained/{variant}"
    assert f"--general {shared}/general.safetensors" in line_of(output, "adapt")
    assert f"--c2f {shared}/c2f.safetensors" in line_of(output, "finetune_c2f")


def test_instag_has_no_refiner(finished):
    _, output = finished.run("--args=-n -p --config 'variants=[instag]'")
    made = jobs(output)
    assert made["pretrain_fields_alone"] == made["adapt"] == made["render"] == 1
    assert not {"pretrain_fields", "finetune_c2f"} & set(made)
    pretrain = line_of(output, "pretrain")
    assert "--out-general" in pretrain and "--out-c2f" not in pretrain
    assert '"individual": "aligner"' in line_of(output, "adapt")
    assert "--refiner" not in line_of(output, "render")


def test_talkinggaussian_needs_no_pretraining_of_fields(finished):
    shutil.rmtree(finished.root / "results" / "pretrained" / "d3talker")
    _, output = finished.run("--args=-n -p --config 'variants=[talkinggaussian]'")
    made = jobs(output)
    assert made["adapt"] == made["render"] == 1
    assert not {"pretrain_fields", "pretrain_fields_alone", "finetune_c2f"} & set(made)
    assert "--general" not in line_of(output, "adapt")
    _, output = finished.run("--target=pretrain", "--args=-n --config 'variants=[talkinggaussian]'")
    assert not jobs(output), output


def define(checkout, definitions: str) -> None:
    """Add variants to the configuration."""
    config = checkout.root / "config" / "config.yaml"
    config.write_text(config.read_text() + definitions)


def test_variants_that_agree_on_pretraining_share_it(finished):
    define(
        finished,
        """
  slow:
    meaning: adapts longer
    train: {adapt: {iterations: 9}}
  audio_only:
    meaning: wo_fm under another name
    architecture: {general_signal: audio}
    train: {finetune_c2f: {iterations: 9}}
""",
    )
    _, output = finished.run("--args=-n -p --config 'variants=[slow]'")
    assert "pretrain_fields" not in jobs(output) and jobs(output)["adapt"] == 1
    assert "--general results/pretrained/d3talker/general.safetensors" in line_of(output, "adapt")
    _, output = finished.run("--args=-n -p --config 'variants=[audio_only,wo_fm]'")
    assert jobs(output)["pretrain_fields"] == 1 and jobs(output)["adapt"] == 2
    assert "--out-general results/pretrained/wo_fm/" in line_of(output, "pretrain")


def test_a_variant_that_shows_a_coarse_avatar_is_coarse(finished):
    define(finished, "  instag_static: {meaning: its floor, avatar: instag, motion: none}\n")
    _, output = finished.run("--args=-n -p --config 'variants=[instag_static]'")
    assert jobs(output)["adapt"] == jobs(output)["render"] == 1
    assert "finetune_c2f" not in jobs(output)
    assert "--still" in line_of(output, "render")


def test_a_coarse_variant_needs_no_refiner(finished):
    (finished.root / "results" / "anna" / "d3talker" / "10s" / "refiner.safetensors").unlink()
    _, output = finished.run("--args=-n -p --config 'variants=[wo_c2f]'")
    assert "finetune_c2f" not in jobs(output)
    assert "--refiner" not in next(line for line in output.splitlines() if "render.py" in line)


def test_audios_drive_the_avatar_that_predicts_its_motion(finished):
    finished.add("audio/hello world.wav")
    _, output = finished.run("--audios", "videos/audio", "--args=-n")
    assert jobs(output)["ingest_audio"] == 1
    assert jobs(output)["render"] == 1
    assert "driven by hello_world" in output


def test_any_file_name_works(checkout):
    names = [
        "a b'c\";d&$(e).mp4",
        "with {braces} <and> more.mp4",
        "张三.mp4",
        "-n.mp4",
        "x:=y.MOV",
        "a\nb.mp4",
    ]
    for name in names:
        checkout.add(name)
    status, output = checkout.run("--target", "ingest_all")
    assert status == 0, output
    assert jobs(output)["ingest"] == len(names) + 2  # with anna and carl


def test_without_people_to_learn_from_videos_can_be_prepared_and_no_more(checkout):
    shutil.rmtree(checkout.root / "videos" / "pretrain")
    status, output = checkout.run()
    assert status == 2 and not jobs(output)
    assert "nobody to learn from: put videos of other people into videos/pretrain" in output
    status, output = checkout.run("--target", "prepare")
    assert status == 0, output
    assert checkout.exists("anna/track.npz")


def test_names_that_collide_name_both_files(checkout):
    checkout.add("a b.mp4")
    checkout.add("a_b.mov")
    status, output = checkout.run()
    assert status == 2
    assert "a b.mp4" in output
    assert "a_b.mov" in output


def test_an_unknown_key_is_named_with_the_one_meant(checkout):
    status, output = checkout.run("--args=--config sed=3")
    assert status == 2
    assert "unknown key 'sed'; did you mean 'seed'?" in output


def test_a_bad_video_does_not_stop_the_others(finished):
    finished.add("bad one.mp4", "bad")
    status, output = finished.run()
    assert status == 1
    assert "refused: videos/bad one.mp4: no face was found" in output
    assert finished.exists("report.html")
    assert "bad_one/refused.json" in (finished.root / "results" / "report.html").read_text()

    status, output = finished.run()
    assert status == 1
    assert not jobs(output), output

    finished.add("bad one.mp4", "a better video")
    status, output = finished.run()
    assert status == 0, output
    assert finished.exists("bad_one/d3talker/10s/self/render.mp4")


def test_a_refused_video_is_read_again_when_another_person_is_asked_for(checkout):
    checkout.add("pair.mp4", "bad")
    assert checkout.run("--target", "ingest_all")[0] == 1
    _, output = checkout.run("--target", "ingest_all")
    assert not jobs(output), output
    choice = "--args=--config 'person={pair: left}'"
    _, output = checkout.run("--target", "ingest_all", choice)
    assert jobs(output)["ingest"] == 1
    assert "--person left" in checkout.read("pair/refused.json")["options"]


def test_a_crash_of_ingest_is_tried_again(checkout):
    checkout.add("berta.mp4", "crash")
    assert checkout.run("--target", "ingest_all")[0] == 1
    assert checkout.read("berta/refused.json")["try_again"]
    assert jobs(checkout.run("--target", "ingest_all")[1])["ingest"] == 1


def wait_for(path):
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.1)
    pytest.fail(f"{path} was not made")


def test_a_killed_run_is_completed_by_the_next(checkout):
    (checkout.root / "hang").write_text("adapt")
    process = checkout.start()
    wait_for(checkout.root / "hanging")
    stage = int((checkout.root / "hanging").read_text())

    status, output = checkout.run()
    assert status == 2
    assert f"another run (process {process.pid}) is using results/" in output

    process.send_signal(signal.SIGKILL)  # Snakemake ends with it, the stage lives on
    process.wait()
    assert is_alive(stage)
    (checkout.root / "hang").unlink()
    status, output = checkout.run()
    assert status == 0, output
    assert checkout.exists("report.html")
    assert not is_alive(stage)


def is_alive(process: int) -> bool:
    """Whether a process runs; one that ended and nobody asked about has no command line."""
    path = Path(f"/proc/{process}/cmdline")
    return path.exists() and bool(path.read_bytes())
