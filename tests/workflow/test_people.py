"""Names, collisions, and who takes part."""

import shutil

import pytest

from workflow import names, people


def cast(tmp_path, *videos, **config):
    (tmp_path / "videos" / "pretrain").mkdir(parents=True)
    for name in videos:
        (tmp_path / "videos" / name).touch()
    return people.gather(config_of(tmp_path, **config))


def config_of(tmp_path, **config):
    defaults = {
        "videos": str(tmp_path / "videos"),
        "audios": None,
        "results": str(tmp_path / "results"),
        "preset": "quick",
        "presets": {"quick": {"pretrain_people": ["dora", "carl"]}},
        "pretrain": {},
        "person": {},
        "ingest": {},
    }
    return defaults | config


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("anna", "anna"),
        ("Anna Müller", "Anna_Muller"),
        ('it\'s; "quoted" {x}', "it_s_quoted_x"),
        ("-rf", "rf"),
        ("a.b.c", "a_b_c"),
        ("anna\nat home", "anna_at_home"),
    ],
)
def test_a_name_keeps_what_is_readable(stem, name):
    assert people.safe_name(stem) == name
    assert people.safe_name(name) == name


def test_names_in_another_script_stay_apart():
    names = {people.safe_name(stem) for stem in ("张三", "李四", "张三 1", "李四 1")}
    assert len(names) == 4
    assert all(name.isascii() for name in names)


def test_composed_and_decomposed_accents_are_one_name():
    assert people.safe_name("e\u0301") == people.safe_name("\u00e9")
    assert people.safe_name("\u30d0") == people.safe_name("\u30cf\u3099")


def test_a_long_name_fits_into_a_path():
    found = {people.safe_name("x" * 250 + end) for end in "ab"}
    assert len(found) == 2
    assert all(len(name) <= names.LONGEST_NAME for name in found)


def test_a_person_is_not_both_taught_from_and_tested(tmp_path):
    with pytest.raises(people.NameProblem, match=r"anna\.mp4.*pretrain/anna\.mov"):
        cast(tmp_path, "anna.mp4", "pretrain/anna.mov")


def test_everybody_may_teach_the_fields(tmp_path):
    videos = [f"pretrain/{name}.mp4" for name in ("berta", "carl", "emil")]
    found = cast(tmp_path, "anna.mp4", *videos, pretrain={"identities": "all"})
    assert found.field_teachers == ["berta", "carl", "emil"]


def test_a_folder_without_any_video_is_refused(tmp_path):
    with pytest.raises(people.NameProblem, match="no video"):
        cast(tmp_path)


def test_a_sound_may_be_called_speech_but_not_self(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "speech.wav").touch()
    found = cast(tmp_path, "anna.mp4", audios=str(tmp_path / "audio"))
    assert list(found.audios) == ["speech"]
    (tmp_path / "audio" / "self.wav").touch()
    with pytest.raises(people.NameProblem, match="uses the name 'self' itself"):
        people.gather(config_of(tmp_path, audios=str(tmp_path / "audio")))


def test_names_of_the_workflow_are_reserved(tmp_path):
    with pytest.raises(people.NameProblem, match="rename"):
        cast(tmp_path, "speech.mp4", "pretrain/carl.mp4")


def test_preferred_people_come_first_and_others_fill_up(tmp_path):
    found = cast(tmp_path, "anna.mp4", *(f"pretrain/{n}.mp4" for n in ("berta", "carl", "emil")))
    assert found.field_teachers == ["carl", "berta"]
    assert found.motion_teachers == ["berta", "carl", "emil"]


def test_people_that_are_asked_for_must_be_there(tmp_path):
    with pytest.raises(people.NameProblem, match="no video of zoe; there are carl"):
        cast(tmp_path, "anna.mp4", "pretrain/carl.mp4", pretrain={"identities": ["zoe"]})


def test_without_people_to_learn_from_it_is_said_where_to_put_them(tmp_path):
    found = cast(tmp_path, "anna.mp4")
    assert list(found.targets) == ["anna"]
    with pytest.raises(people.NameProblem, match="videos/pretrain"):
        found.require(found.field_teachers)


def test_people_to_learn_from_may_be_elsewhere(tmp_path):
    (tmp_path / "teachers").mkdir()
    (tmp_path / "teachers" / "zoe.mkv").touch()
    elsewhere = {"videos": str(tmp_path / "teachers")}
    found = cast(tmp_path, "anna.mp4", "pretrain/carl.mp4", pretrain=elsewhere)
    assert found.field_teachers == found.motion_teachers == ["zoe"]
    shutil.rmtree(tmp_path / "teachers")
    with pytest.raises(people.NameProblem, match="teachers: no such folder"):
        people.gather(config_of(tmp_path, pretrain=elsewhere))


def test_files_that_are_no_videos_by_name_are_left_alone_and_told(tmp_path):
    found = cast(tmp_path, "anna.TS", "notes.txt", ".hidden", "pretrain/carl.wmv", "pretrain/x.zip")
    assert list(found.targets) == ["anna"]
    assert [path.name for path in found.left_alone] == ["notes.txt", "x.zip"]


def test_a_video_beside_a_sound_of_its_name_shows_who_speaks(tmp_path):
    (tmp_path / "audio").mkdir()
    for name in ("talk.wav", "talk.mp4", "song.flac", "other.mov"):
        (tmp_path / "audio" / name).touch()
    found = cast(tmp_path, "anna.mp4", audios=str(tmp_path / "audio"))
    assert list(found.audios) == ["song", "talk"]
    assert people.driver_video(found.audios["talk"]) == tmp_path / "audio" / "talk.mp4"
    assert people.driver_video(found.audios["song"]) is None
    assert [path.name for path in found.left_alone] == ["other.mov"]


def test_a_person_is_asked_for_by_the_name_of_a_video(tmp_path):
    config = {"person": {"the panel": 2, "anna": "left"}, "ingest": {"max_seconds": 60}}
    cast(tmp_path, "the panel.mp4", "anna.mp4", "pretrain/carl.mp4", **config)
    config = config_of(tmp_path, **config)
    assert people.ingest_options(config, "the_panel").startswith("--person 2 --settings")
    assert people.ingest_options(config, "carl") == (
        "--person auto --settings '{\"max_seconds\": 60}'"
    )


def test_a_person_of_a_video_that_is_not_there_is_named(tmp_path):
    with pytest.raises(people.NameProblem, match="person: no video of ana; there are anna, carl"):
        cast(tmp_path, "anna.mp4", "pretrain/carl.mp4", person={"ana": "left"})


def table(tmp_path, text, **config):
    """Who takes part of anna, berta and the teacher carl, with `text` as identities.tsv."""
    found = cast(tmp_path, "anna.mp4", "the panel.mp4", "pretrain/carl.mp4")
    (tmp_path / "videos" / "identities.tsv").write_text(text)
    assert found.left_alone == []
    return people.gather(config_of(tmp_path, **config))


def test_a_table_says_what_is_particular_to_single_people(tmp_path):
    text = "identity\tperson\tseconds\tsplit\n# a remark\nthe panel\t2\t\t100\n\n"
    text += "anna\t\t8\ncarl\tleft\n"
    found = table(tmp_path, text, person={"anna": "right"})
    assert found.seconds == {"anna": 8} and found.left_alone == []
    config = config_of(tmp_path, person={"anna": "right"})
    assert people.ingest_options(config, "the_panel") == (
        "--person 2 --settings '{}' --test-frames 100"
    )
    assert people.ingest_options(config, "anna") == "--person right --settings '{}'"
    assert people.ingest_options(config, "carl") == "--person left --settings '{}'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("identity\tsecs\nanna\t8\n", "line 1, column 2: 'secs' is none of identity, seconds"),
        ("seconds\n8\n", "line 1: there is no column 'identity'"),
        ("identity\tsplit\tsplit\n", "line 1: there are two columns 'split'"),
        ("identity\tseconds\n\nanna\t8.5\n", "line 3, column seconds: '8.5' is not a whole number"),
        ("identity\tsplit\nanna\t0\n", "line 2, column split: '0' is not a whole number"),
        ("identity\tperson\nanna\tup\n", "line 2, column person: 'up' is not left, right"),
        (
            "identity\nzoe\n",
            "line 2, column identity: no video of 'zoe'; there are anna, the_panel",
        ),
        ("identity\nanna\nanna\n", "line 3, column identity: 'anna' stands in line 2 already"),
        ("identity\nanna\t8\n", "line 2: 2 cells, but there are 1 columns"),
        ("identity\tseconds\n\t8\n", "line 2, column identity: is empty"),
        ("identity\tseconds\ncarl\t8\n", "line 2, column seconds: no avatar is made of 'carl'"),
    ],
)
def test_what_is_wrong_in_the_table_is_named_with_line_and_column(tmp_path, text, message):
    with pytest.raises(people.NameProblem) as problem:
        table(tmp_path, text)
    assert f"identities.tsv, {message}" in str(problem.value)


def test_a_person_asked_for_in_two_ways_is_an_error(tmp_path):
    with pytest.raises(people.NameProblem, match=r"column person: 'left', but the config.* right"):
        table(tmp_path, "identity\tperson\nanna\tleft\n", person={"anna": "right"})


def test_a_table_elsewhere_must_be_there(tmp_path):
    with pytest.raises(people.NameProblem, match=r"identities: there is no file .*other\.tsv"):
        cast(tmp_path, "anna.mp4", identities=str(tmp_path / "other.tsv"))
