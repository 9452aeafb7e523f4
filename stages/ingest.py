"""Make a trusted clip of any talking-head video: 25 fps, square, size x size, sound in step.

Of a video with several scenes the longest is kept in which one person's face is seen throughout;
of several people the one who speaks, or the largest. What was decided, and how good the clip is,
stands in ingest.json.
"""

import argparse
import re
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from d3talker import cli, settings
from d3talker.artifacts import save_json
from d3talker.face.mediapipe_models import FaceDetector, FaceMesh
from d3talker.ingest import clip, describe, quality, select, sound, speaking
from d3talker.ingest.scenes import Span
from d3talker.ingest.settings import AUTO, LARGEST, LEFT, RIGHT, IngestSettings
from d3talker.ingest.survey import survey
from d3talker.video import io


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", required=True, help="any video that ffmpeg reads")
    parser.add_argument("--identity", required=True, help="name of the person in the results")
    parser.add_argument("--size", type=int, default=512, help="side of the clip, px, even")
    parser.add_argument(
        "--person",
        type=person,
        default=AUTO,
        help=f"whom to take of several people: {LEFT}, {RIGHT}, {LARGEST}, a number counted from "
        f"the left, or {AUTO}, who speaks or is the largest (default)",
    )
    parser.add_argument("--settings", help="JSON overrides of IngestSettings")
    parser.add_argument(
        "--test-frames", type=int, help="length of the test part; default: 300, or a last quarter"
    )
    parser.add_argument("--out-video", required=True, help="H.264 MP4 without sound")
    parser.add_argument("--out-audio", required=True, help="wav, 16 kHz mono")
    parser.add_argument("--out-json", required=True, help="what was found and decided")
    return parser.parse_args()


def person(word: str) -> str:
    """A value of --person."""
    if word not in (AUTO, LARGEST, LEFT, RIGHT) and not re.fullmatch("[1-9][0-9]*", word):
        raise argparse.ArgumentTypeError(
            f"'{word}' is none of {AUTO}, {LARGEST}, {LEFT}, {RIGHT}, 1, 2, 3 ..."
        )
    return word


def main() -> None:
    args = arguments()
    options = settings.parse(IngestSettings, args.settings)
    info = io.probe(args.video)
    describe.require_usable(args.video, info, options)
    seen = survey(args.video, info, FaceDetector(), options)

    def hear(span: Span, group) -> list[float]:
        """Correlation of each person's mouth with the sound at the beginning of `span`."""
        frames = min(span.length, round(options.speaker_seconds * io.FPS))
        part = Span(span.first, span.first + frames)
        level = sound.levels(sound.clip_sound(args.video, info, part.first, frames, options))
        mouths = (
            speaking.mouth_opening(args.video, info, one, part, FaceMesh(1), options)
            for one in group
        )
        return [speaking.correlation(mouth, level) for mouth in mouths]

    chosen = select.select(args.video, seen, info.duration, args.person, hear, options)
    try:
        write(args, info, seen, chosen, options)
    except BaseException:
        for path in (args.out_video, args.out_audio, args.out_json):
            Path(path).unlink(missing_ok=True)
        raise


def write(args, info: io.VideoInfo, seen, chosen: select.Selection, options) -> None:
    """Write all three artifacts of the selected part of the video."""
    span, face = chosen.span, chosen.person
    crop = clip.choose_crop(face.boxes, info.width, info.height, options)
    video = clip.cropped(args.video, info, crop, args.size, span, options)
    looks = clip.write_clip(video, args.size, args.video, args.out_video)
    blur = quality.blur_of_face(looks, face, seen.step, span, crop, args.size)
    cut = (args.video, info, span.first, span.length, options)
    io.write_wav(args.out_audio, sound.clip_sound(*cut))

    picture = quality.picture(face, len(seen.samples(span.first, span.stop)), seen.step, blur)
    heard = sound.quality(sound.levels(sound.clip_sound(*cut)))
    warnings = select.warnings_about(chosen, seen, info.duration, options)
    warnings += quality.warnings_about(picture, heard, info, options)
    for warning in warnings:
        print(f"warning: {cli.one_line(args.video)}: {warning}", file=sys.stderr)
    facts = describe.describe(
        args.identity, args.video, info, crop, span.length, args.size, args.test_frames
    )
    facts |= describe.selected(chosen, seen)
    measured = asdict(picture) | asdict(heard)
    rounded = {key: value if value is None else round(value, 3) for key, value in measured.items()}
    facts |= {"quality": rounded, "warnings": warnings}
    save_json(args.out_json, facts)


if __name__ == "__main__":
    cli.run(main)
