"""The paper's backends of preparation: what is made by them, and what stops a run."""

import pytest

pytest.importorskip("snakemake")

from checkouts import give_weights, jobs

from workflow import configuration, models

MODELS = ("bisenet", "easyportrait", "fan", "s3fd", "bfm")
BACKENDS = {
    "parsing": "bisenet",
    "teeth": "easyportrait",
    "aus": "openface",
    "landmarks": "fan",
    "face_model": "bfm",
}


@pytest.fixture
def config():
    return configuration.load([], {})


def refused(config: dict, backends: dict) -> str:
    """What the check says of a configuration with these backends."""
    config["backends"] = backends
    with pytest.raises(configuration.ConfigProblem) as problem:
        configuration.check(config)
        models.check(config)
    return str(problem.value)


def test_the_papers_backends_are_used_for_everybody(finished):
    named = give_weights(finished, *MODELS)
    folder = finished.root / "openface"
    folder.mkdir()
    for name in ("anna", "carl"):
        (folder / f"{name}.csv").touch()
    chosen = ", ".join(f"{key}: {name}" for key, name in BACKENDS.items())
    backends = f"'backends={{{chosen}}}'"
    _, output = finished.run(f"--args=-n -p --config {named} {backends} openface=openface")
    made = jobs(output)
    wanted = ("bisenet", "parse", "landmarks_fan", "track")
    assert [made[rule] for rule in wanted] == [2, 2, 2, 2], output
    assert made["landmarks"] == made["ingest"] == 0
    lines = output.splitlines()
    (labels,) = (x for x in lines if "stages/bisenet.py" in x and "/anna/" in x)
    assert "--bisenet weights/bisenet --easyportrait weights/easyportrait" in labels
    (parse,) = (x for x in lines if "stages/parse.py" in x and "/anna/" in x)
    assert "--labels results/anna/bisenet.zip" in parse
    (track,) = (x for x in lines if "stages/track.py" in x and "/carl/" in x)
    assert "--openface openface/carl.csv" in track
    assert "--fan-landmarks results/carl/landmarks_fan.npz --bfm weights/bfm" in track
    (points,) = (x for x in lines if "landmarks_fan.npz" in x and "fan.py" in x and "/anna/" in x)
    assert "--fan weights/fan --s3fd weights/s3fd --face first" in points


def test_a_person_without_action_units_stops_the_run(config, tmp_path):
    config["backends"] = {"aus": "openface"}
    config["openface"] = str(tmp_path)
    configuration.check(config)
    (tmp_path / "anna.csv").touch()
    configuration.check_openface(config, ["anna"])
    with pytest.raises(configuration.ConfigProblem) as problem:
        configuration.check_openface(config, ["anna", "carl"])
    text = str(problem.value)
    words = ("carl.csv, which backends.aus", "FeatureExtraction", "research only")
    assert all(word in text for word in words) and "anna.csv" not in text
    configuration.check_openface(config | {"backends": {}}, ["carl"])


@pytest.mark.parametrize(
    ("backends", "words"),
    [
        ({"parsing": "bisenet"}, ["models.bisenet: it is null", "79999_iter.pth", "(MIT;"]),
        ({"parsing": "bisnet"}, ["backends.parsing: there is no backend 'bisnet'; known: media"]),
        ({"teeth": "easyportrait"}, ["backends.teeth: 'easyportrait' needs", "parsing: bisenet"]),
        (
            {"parsing": "bisenet", "teeth": "easyportrait"},
            ["models.easyportrait: it is null", "fpn-fp-512.pth", "CC BY-SA"],
        ),
        ({"landmarks": "fan"}, ["backends.landmarks: 'fan' needs", "face_model: bfm", "478"]),
        ({"face_model": "bfm"}, ["backends.face_model: 'bfm' needs backends.landmarks: fan"]),
        (
            {"landmarks": "fan", "face_model": "bfm"},
            [
                "models.fan: it is null",
                "models.s3fd: ",
                "models.bfm: ",
                "convert_bfm.py",
                "non-com",
            ],
        ),
        ({"aus": "openface"}, ["backends.aus: 'openface' needs `openface`, which is null"]),
    ],
)
def test_a_backend_without_its_files_says_what_where_and_on_what_terms(config, backends, words):
    text = refused(config, backends)
    assert all(word in text for word in words), text


def test_a_file_that_is_not_there_is_named(config):
    config["models"]["bisenet"] = "weights/79999_iter.pth"
    text = refused(config, {"parsing": "bisenet"})
    assert "models.bisenet: there is no file weights/79999_iter.pth" in text
