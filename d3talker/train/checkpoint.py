"""Avatars and fields to and from named tensors."""

import csv
from pathlib import Path

from torch import Tensor, nn

from d3talker import artifacts
from d3talker.avatar import Avatar
from d3talker.fields import architecture
from d3talker.fields.architecture import Architecture
from d3talker.fields.deformation import GeneralField, general_field, individual_part
from d3talker.refine.styleunet import WIDTHS, StyleUNet
from d3talker.splat.gaussians import Gaussians
from d3talker.train.curves import CurveRow


def avatar_tensors(avatar: Avatar) -> dict[str, Tensor]:
    """Every tensor of an avatar: face.*, mouth.*, general.*, individual.*."""
    parts = {"face": avatar.face.tensors(), "mouth": avatar.mouth.tensors()}
    for name in ("general", "individual"):
        field = getattr(avatar, name)
        parts[name] = {} if field is None else field.state_dict()
    return {
        f"{part}.{name}": tensor
        for part, tensors in parts.items()
        for name, tensor in tensors.items()
    }


def avatar_from_tensors(tensors: dict[str, Tensor], chosen: Architecture | None = None) -> Avatar:
    """Inverse of `avatar_tensors`, for the `chosen` architecture; without one a static head."""
    avatar = Avatar(Gaussians(part(tensors, "face")), Gaussians(part(tensors, "mouth")))
    if chosen is not None:
        avatar.general = load_module(general_field(chosen), part(tensors, "general"))
        avatar.individual = individual_part(chosen)
        if avatar.individual is not None:
            load_module(avatar.individual, part(tensors, "individual"))
    return avatar


def part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """Tensors whose names begin with `name.`, without it."""
    return {
        key.removeprefix(f"{name}."): value
        for key, value in tensors.items()
        if key.startswith(f"{name}.")
    }


def load_module(module: nn.Module, state: dict[str, Tensor]) -> nn.Module:
    """Load `state` into `module`; raises ArtifactError naming what does not fit."""
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise artifacts.ArtifactError(f"checkpoint does not fit: {error}") from error
    return module


def load_general(path: str | Path, chosen: Architecture) -> GeneralField:
    """The pre-trained General field in a file, for an avatar of the `chosen` architecture."""
    state, meta = artifacts.load_tensors(path)
    from_meta = architecture.from_meta(meta)
    followed = from_meta.general_signal
    if followed != chosen.general_signal:
        raise artifacts.ArtifactError(
            f"{path}: this General field follows {followed}, the avatar's is to follow"
            f" {chosen.general_signal}; pre-train one with the same --architecture"
        )
    if followed == "audio" and from_meta.speech_channels != chosen.speech_channels:
        raise artifacts.ArtifactError(
            f"{path}: this General field hears {from_meta.speech_channels} channels of speech, the"
            f" features have {chosen.speech_channels}; pre-train one with the same backends.speech"
        )
    return load_module(general_field(chosen), state)


def load_refiner(path: str | Path) -> tuple[StyleUNet, dict]:
    """The refiner in a file, as wide as its meta's `refiner` says, and that meta."""
    state, meta = artifacts.load_tensors(path)
    if meta.get("refiner") not in WIDTHS:
        raise artifacts.ArtifactError(f"{path}: does not say which refiner it is; make it again")
    return load_module(StyleUNet(WIDTHS[meta["refiner"]]), state), meta


def save_curves(path: str | Path, rows: list[CurveRow]) -> None:
    """Write training curves as CSV."""
    with artifacts.atomic(path) as part_path, open(part_path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(CurveRow._fields)
        writer.writerows([f"{v:.6g}" if isinstance(v, float) else v for v in row] for row in rows)
