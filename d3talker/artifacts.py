"""Read and write every artifact: the one place that knows file formats.

An artifact is one file. It is written under a temporary name beside its place and renamed when
complete, so a stage that is killed leaves the old artifact or none. Needs only numpy; images need
OpenCV and checkpoints safetensors, imported where they are used, because not every environment
has them.
"""

import contextlib
import itertools
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np


class ArtifactError(Exception):
    """A file is missing, damaged or not what the stage expects. The message names the file."""


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds.

    The temporary name keeps the suffix, so that encoders which look at it still work. Leftovers
    of killed writers of the same artifact are removed first. Where the environment variable
    D3TALKER_SCRATCH names a folder, as on clusters, the file grows there and is moved when
    complete: many small writes are slow on a shared file system.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for stale in path.parent.iterdir():
        if stale.name.startswith(f".{path.name}.part"):
            stale.unlink(missing_ok=True)
    part = path.with_name(f".{path.name}.part{os.getpid()}{path.suffix}")
    scratch = os.environ.get("D3TALKER_SCRATCH")
    grows = Path(scratch) / part.name if scratch and os.path.isdir(scratch) else part
    try:
        yield grows
        if grows != part:
            shutil.copyfile(grows, part)
        os.replace(part, path)
    finally:
        grows.unlink(missing_ok=True)
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; it takes the place of `path` if the block succeeds."""
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a killed writer
    part.mkdir(parents=True)
    try:
        yield part
        if path.exists():
            shutil.rmtree(path)
        os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _require(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file")
    return path


def save_json(path: str | Path, value: object) -> None:
    """Write `value` as indented UTF-8 JSON."""
    with atomic(path) as part:
        part.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_json(path: str | Path) -> dict:
    """Read a JSON file. Raises ArtifactError when it is missing or damaged."""
    try:
        return json.loads(_require(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"{path}: not a JSON file ({error})") from error


def save_arrays(path: str | Path, meta: Mapping | None = None, **arrays: np.ndarray) -> None:
    """Write named arrays and a JSON `meta` (units, settings, origin) to a compressed .npz."""
    with atomic(path) as part:
        np.savez_compressed(part, meta=np.array(json.dumps(dict(meta or {}))), **arrays)


def load_arrays(path: str | Path) -> tuple[dict[str, np.ndarray], dict]:
    """Read an .npz written by `save_arrays`: (arrays by name, meta). Never unpickles."""
    try:
        with np.load(_require(path), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name != "meta"}
            meta = json.loads(str(file["meta"])) if "meta" in file.files else {}
    except (ValueError, zipfile.BadZipFile, OSError) as error:
        raise ArtifactError(f"{path}: not a readable .npz artifact ({error})") from error
    return arrays, meta


def save_image(path: str | Path, image: np.ndarray) -> None:
    """Write a uint8 image (H,W), (H,W,3) RGB or (H,W,4) RGBA as PNG."""
    with atomic(path) as part:
        part.write_bytes(encode_png(image))


def load_image(path: str | Path) -> np.ndarray:
    """Read a PNG or JPEG as uint8 (H,W), (H,W,3) RGB or (H,W,4) RGBA."""
    return decode_image(_require(path).read_bytes(), str(path))


@contextlib.contextmanager
def image_writer(path: str | Path) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that adds a uint8 image to a zip: PNG members 000000.png, 000001.png ..."""
    numbers = itertools.count()
    with atomic(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        yield lambda image: archive.writestr(f"{next(numbers):06d}.png", encode_png(image))


def save_images(path: str | Path, images: Iterable[np.ndarray]) -> int:
    """Write uint8 images as PNG members 000000.png, 000001.png ... of a zip; return their number.

    `images` may be a generator, so that a long clip never has to be in memory at once.
    """
    count = 0
    with image_writer(path) as write:
        for image in images:
            write(image)
            count += 1
    return count


def load_images(path: str | Path, indices: Iterable[int] | None = None) -> np.ndarray:
    """Read images `indices` (default all) of a zip written by `save_images`: (n,H,W[,C]) uint8."""
    return np.stack(list(iter_images(path, indices)))


def iter_images(path: str | Path, indices: Iterable[int] | None = None) -> Iterator[np.ndarray]:
    """Yield what `load_images` reads, one image at a time."""
    try:
        with zipfile.ZipFile(_require(path)) as archive:
            if indices is None:
                indices = range(len(archive.namelist()))
            for i in indices:
                yield decode_image(archive.read(f"{i:06d}.png"), f"{path}:{i:06d}.png")
    except (zipfile.BadZipFile, KeyError) as error:
        raise ArtifactError(f"{path}: not a complete image archive ({error})") from error


def encode_png(image: np.ndarray) -> bytes:
    """PNG bytes of a uint8 image (H,W), (H,W,3) RGB or (H,W,4) RGBA, lightly compressed."""
    import cv2

    order = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    if image.ndim == 3:
        image = cv2.cvtColor(image, order[image.shape[2]])
    # Run lengths alone: faster than a search for repeats and, on labels and torsos, smaller.
    settings = [cv2.IMWRITE_PNG_COMPRESSION, 2, cv2.IMWRITE_PNG_STRATEGY]
    settings.append(cv2.IMWRITE_PNG_STRATEGY_RLE)
    return cv2.imencode(".png", image, settings)[1].tobytes()


def decode_image(data: bytes, name: str) -> np.ndarray:
    """Inverse of `encode_png`; also reads JPEG. `name` is used in the error message only."""
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ArtifactError(f"{name}: not a readable image")
    order = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
    return cv2.cvtColor(image, order[image.shape[2]]) if image.ndim == 3 else image


def save_tensors(path: str | Path, tensors: Mapping, meta: Mapping | None = None) -> None:
    """Write torch tensors by name, from any device, with a JSON `meta` to a .safetensors file."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic(path) as part:
        # Its own writer keeps the file from everybody else.
        part.write_bytes(save(plain, metadata={"meta": json.dumps(dict(meta or {}))}))


def load_meta(path: str | Path) -> dict:
    """The meta alone of a file written by `save_tensors`; needs no safetensors."""
    try:
        with open(_require(path), "rb") as file:
            # The format: 8 bytes, little-endian, say how long the JSON is that follows.
            length = int.from_bytes(file.read(8), "little")
            if length > os.path.getsize(path):
                raise ValueError("its header is damaged")
            header = json.loads(file.read(length))
        return json.loads(header.get("__metadata__", {}).get("meta", "{}"))
    except (ValueError, AttributeError) as error:
        raise ArtifactError(f"{path}: not a readable .safetensors file ({error})") from error


def load_tensors(path: str | Path) -> tuple[dict, dict]:
    """Read a file written by `save_tensors`: (torch tensors by name, meta)."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(_require(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, json.loads((file.metadata() or {}).get("meta", "{}"))
    except (SafetensorError, ValueError) as error:
        raise ArtifactError(f"{path}: not a readable .safetensors file ({error})") from error
