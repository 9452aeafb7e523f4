"""Dataset folders of other programs among the videos, with stages that write empty files."""

import pytest

pytest.importorskip("snakemake")

from checkouts import jobs
from test_people import cast, config_of

from workflow import people, refusals


def dataset(tmp_path, name, file="transforms_train.json"):
    path = tmp_path / "videos" / name / file
    path.parent.mkdir(parents=True)
    path.touch()


def test_a_folder_with_cameras_or_frames_is_a_person(tmp_path):
    dataset(tmp_path, "zoe.v2")
    dataset(tmp_path, "dora", "ori_imgs/0.jpg")
    dataset(tmp_path, "other", "notes.txt")
    dataset(tmp_path, "pretrain/emil")
    for name in ("anna.mp4", "pretrain/carl.mp4"):
        (tmp_path / "videos" / name).touch()
    found = people.gather(config_of(tmp_path))
    assert list(found.targets) == ["anna", "dora", "zoe_v2"]
    assert found.field_teachers == ["carl", "emil"]
    assert found.imported == ["dora", "zoe_v2", "emil"]


def test_a_folder_alone_is_somebody_to_make_an_avatar_of(tmp_path):
    dataset(tmp_path, "zoe")
    assert list(people.gather(config_of(tmp_path)).targets) == ["zoe"]


def test_a_video_and_a_folder_of_one_name_are_named_both(tmp_path):
    dataset(tmp_path, "pretrain/other")
    (tmp_path / "videos" / "anna.mp4").touch()
    dataset(tmp_path, "anna")
    with pytest.raises(people.NameProblem, match=r"anna\.mp4 and .*anna would both be called"):
        people.gather(config_of(tmp_path))


def test_nobody_is_chosen_of_a_folder_but_its_test_part_may_be(tmp_path):
    cast(tmp_path, "anna.mp4")
    dataset(tmp_path, "zoe")
    with pytest.raises(people.NameProblem, match="person: zoe is the dataset folder"):
        people.gather(config_of(tmp_path, person={"zoe": "left"}))
    table = tmp_path / "videos" / "identities.tsv"
    table.write_text("identity\tsplit\nzoe\t100\n")
    config = config_of(tmp_path)
    assert people.gather(config).imported == ["zoe"]
    assert people.import_options(config, "zoe") == "--test-frames 100"
    table.write_text("identity\tperson\nzoe\tleft\n")
    with pytest.raises(people.NameProblem, match="person: zoe is the dataset folder"):
        people.gather(config)


def test_only_files_that_are_read_count_for_a_change(tmp_path):
    dataset(tmp_path, "zoe")
    folder = tmp_path / "videos" / "zoe"
    (folder / "ori_imgs").mkdir()
    seen = [refusals.fingerprint(folder)]
    for name in ("points3d.ply", "ori_imgs/0.lms", "aud_ds.npy", "gt_imgs"):
        (folder / name).write_text("")
        assert refusals.fingerprint(folder) == seen[0], name
    for name in ("ori_imgs/0.jpg", "aud.wav", "bc.jpg", "transforms_train.json"):
        (folder / name).write_text("new")
        assert refusals.fingerprint(folder) not in seen, name
        seen.append(refusals.fingerprint(folder))


def test_a_folder_costs_what_a_video_does_but_for_reading_it(finished):
    finished.add("berta.mp4")
    _, output = finished.run("--args=-n")
    of_video = jobs(output)
    (finished.root / "videos" / "berta.mp4").unlink()
    finished.add_dataset("berta")
    _, output = finished.run("--args=-n -p")
    of_folder = jobs(output)
    assert of_video.pop("ingest") == of_folder.pop("import_dataset") == 1
    assert of_video.pop("parse") == of_folder.pop("import_masks") == 1
    assert of_folder == of_video and of_folder["landmarks"] == of_folder["track"] == 1
    (line,) = (line for line in output.splitlines() if "stages/track.py" in line)
    assert "--cameras results/berta/cameras.npz" in line
    assert "anna:" not in output and "carl:" not in output


def test_a_folder_is_read_again_when_what_is_read_of_it_changes_and_nobody_else_is(checkout):
    folder, prepare = checkout.add_dataset("berta", "bad"), ("--target", "prepare")
    status, output = checkout.run(*prepare)
    assert status == 1
    assert "refused: videos/berta/aud.wav: too short" in output
    assert checkout.exists("anna/parsing.zip") and not checkout.exists("berta/parsing.zip")

    (folder / "aud.wav").write_text("sound of the whole clip")
    status, output = checkout.run(*prepare)
    assert status == 0, output
    assert checkout.exists("berta/parsing.zip") and jobs(output)["import_dataset"] == 1
    assert "anna:" not in output and "carl:" not in output

    (folder / "points3d.ply").write_text("other programs write it at every start")
    (folder / "ori_imgs" / "1.jpg").write_text("another frame")
    _, output = checkout.run(*prepare, "--args=-n")
    again = {"prepare", "import_dataset", "landmarks", "import_masks", "track"}
    assert set(jobs(output)) == again, output
    assert "anna:" not in output and "carl:" not in output
