"""What lies where in a dataset folder (spec 2). Knows names alone, and needs no packages."""

from pathlib import Path

TRAIN, TEST = "transforms_train.json", "transforms_val.json"
PLATE, SOUND, ACTION_UNITS = "bc.jpg", "aud.wav", "au.csv"
# Folders of one file for each frame, <i> and this suffix.
IMAGES, PARSING, TORSO, TEETH = "ori_imgs", "parsing", "torso_imgs", "teeth_mask"
SUFFIX = {IMAGES: ".jpg", PARSING: ".png", TORSO: ".png", TEETH: ".npy"}
NEEDED = (IMAGES, PARSING, TORSO)


def is_dataset(folder: Path) -> bool:
    """Whether a folder is meant as a dataset: it has cameras or frames, complete or not."""
    return (folder / TRAIN).is_file() or (folder / IMAGES).is_dir()


def frame_file(folder: Path, part: str, number: int) -> Path:
    """The file of frame `number` in `part` of the dataset, a key of SUFFIX."""
    return folder / part / f"{number}{SUFFIX[part]}"


def numbered(folder: Path, part: str) -> list[int]:
    """Numbers of the frames that `part` has a file of, in their order. Other files do not count."""
    if not (folder / part).is_dir():
        return []
    names = (path.stem for path in (folder / part).iterdir() if path.suffix == SUFFIX[part])
    return sorted(int(name) for name in names if name.isdecimal())


def files(folder: Path) -> list[Path]:
    """All files of a dataset that are read, in a fixed order; not what else lies there, such as the
    points3d.ply that the programs write into it at every start."""
    single = [folder / name for name in (TRAIN, TEST, PLATE, SOUND, ACTION_UNITS)]
    found = [path for path in single if path.is_file()] + videos(folder)
    for part in SUFFIX:
        found += [frame_file(folder, part, number) for number in numbered(folder, part)]
    return found


def videos(folder: Path) -> list[Path]:
    """The video that the dataset was made of, from which the sound comes if there is no aud.wav."""
    if (folder / SOUND).is_file():
        return []
    return sorted(folder.glob("*.mp4"))
