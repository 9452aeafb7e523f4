"""Every architecture is pre-trained, adapted, refined where it is, and rendered by the stages."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("cv2")

from test_training import (  # noqa: E402
    FRAMES,
    MODEL,
    SCENE,
    SIZE,
    SMALL,
    TEST,
    curve,
    make_person,
    run_stage,
)

from d3talker import artifacts  # noqa: E402
from d3talker.fields import architecture  # noqa: E402
from d3talker.video import probe  # noqa: E402

STEPS = {"max_face": 700, "contrast_points": 64, "contrast_start": 2, "fields_warmup": 0}
STEPS |= {"individual_start": 0}
PRETRAIN, ADAPT = (
    json.dumps(STEPS | {"iterations": 6}),
    json.dumps(
        STEPS | {"iterations": 4, "face_iterations": 4, "mouth_iterations": 4, "aligner_start": 0}
    ),
)
BY_AUDIO = {"general_signal": "audio"}
VARIANTS = {  # what differs from the default, and whether frames are refined
    "wo_fm": (BY_AUDIO, True),
    "fm_only": ({"individual_signal": "motion"}, True),
    "individual_means": ({"individual_attributes": ["means"]}, False),
    "individual_all": (
        {"individual_attributes": ["means", "quats", "scales", "opacities", "colors"]},
        True,
    ),
    "instag": (BY_AUDIO | {"individual": "aligner"}, False),
    "talkinggaussian": (BY_AUDIO | {"individual": "none"}, False),
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A person with a static head and refined poses, which all variants share."""
    folder = tmp_path_factory.mktemp("person")
    person = make_person(folder)
    scene = {name: person[name] for name in SCENE}
    static, poses = folder / "static.safetensors", folder / "poses.npz"
    run_stage(
        "fit_static",
        **scene,
        secs="all",
        face_model=MODEL,
        settings=SMALL,
        out=static,
        out_curves=folder / "static.csv",
    )
    run_stage("refine_pose", **scene, static=static, out=poses, settings='{"steps": 2}')
    driven = scene | {"motion": person["motion"], "speech": person["speech"]}
    return {"person": person, "driven": driven, "static": static, "poses": poses}


def pretrain(prepared: dict, folder: Path, chosen: str, refined: bool) -> dict[str, Path]:
    """The General field, and the base refiner where frames are refined, of two people."""
    out = {"general": folder / "general.safetensors"}
    if refined:
        out["c2f"] = folder / "c2f.safetensors"
    run_stage(
        "pretrain",
        **{name: [path, path] for name, path in prepared["driven"].items()},
        static=[prepared["static"]] * 2,
        architecture=chosen,
        settings=PRETRAIN,
        refiner_settings='{"iterations": 1}',
        out_curves=folder / "pretrain.csv",
        **{f"out_{name}": path for name, path in out.items()},
    )
    stages = {row["stage"] for row in curve(folder / "pretrain.csv")}
    assert stages == ({"pretrain", "pretrain_c2f"} if refined else {"pretrain"})
    return out


def render(prepared: dict, folder: Path, name: str, **extra) -> dict:
    person = prepared["person"]
    run_stage(
        "render",
        **{key: prepared["driven"][key] for key in SCENE},
        poses=prepared["poses"],
        avatar=folder / "avatar.safetensors",
        drive_motion=person["motion"],
        drive_speech=person["speech"],
        drive_audio=person["audio"],
        drive="self",
        identity="disc",
        variant=name,
        secs=10,
        preset="quick",
        out_video=folder / "render.mp4",
        out_json=folder / "render.json",
        **extra,
    )
    return artifacts.load_json(folder / "render.json")


@pytest.mark.parametrize("name", VARIANTS)
def test_an_architecture_goes_through_all_stages(prepared, tmp_path, name):
    changed, refined = VARIANTS[name]
    chosen = json.dumps(changed)
    shared = {}
    if name != "talkinggaussian":
        shared = pretrain(prepared, tmp_path, chosen, refined)
        meta = artifacts.load_tensors(shared["general"])[1]
        pretrained = architecture.from_meta(meta)
        assert pretrained == architecture.parse(chosen).of_pretraining()
    adapted = prepared["driven"] | {"poses": prepared["poses"], "secs": 10}
    avatar = tmp_path / "avatar.safetensors"
    run_stage(
        "adapt",
        **adapted,
        **({"general": shared["general"]} if shared else {}),
        static=prepared["static"],
        architecture=chosen,
        settings=ADAPT,
        out=avatar,
        out_curves=tmp_path / "adapt.csv",
    )
    phases = {row["stage"] for row in curve(tmp_path / "adapt.csv")}
    assert phases == {"adapt_face", "adapt_mouth", "adapt"}
    assert architecture.from_meta(artifacts.load_tensors(avatar)[1]) == architecture.parse(chosen)
    extra = {}
    if refined:
        extra = {"refiner": tmp_path / "refiner.safetensors"}
        run_stage(
            "finetune_c2f",
            **adapted,
            avatar=avatar,
            c2f=shared["c2f"],
            out=extra["refiner"],
            out_curves=tmp_path / "refiner.csv",
            settings='{"iterations": 1}',
        )
    report = render(prepared, tmp_path, name, **extra)
    assert report["refined"] == refined
    assert report["frame_index"] == list(range(FRAMES - TEST, FRAMES))
    video = probe(tmp_path / "render.mp4")
    assert (video.width, video.height) == (SIZE, SIZE)
    for fields in ("general", "individual"):
        assert render(prepared, tmp_path, name, fields=fields)["fields"] == fields


def test_a_general_field_of_another_signal_stops_adaptation(prepared, tmp_path, capsys):
    general = pretrain(prepared, tmp_path, "{}", refined=False)["general"]
    with pytest.raises(SystemExit) as stopped:
        run_stage(
            "adapt",
            **prepared["driven"],
            poses=prepared["poses"],
            secs=10,
            general=general,
            static=prepared["static"],
            architecture=json.dumps(BY_AUDIO),
            out=tmp_path / "avatar.safetensors",
            out_curves=tmp_path / "adapt.csv",
        )
    assert stopped.value.code == 2
    problem = capsys.readouterr().err
    assert "general.safetensors: this General field follows motion" in problem
    assert not (tmp_path / "avatar.safetensors").exists()
