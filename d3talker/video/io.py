"""Read and write video and audio with ffmpeg.

The ffmpeg binary is the one that imageio-ffmpeg ships (there is no ffprobe in it), so facts about
a file are read from what ffmpeg prints. Every file name goes to ffmpeg as `file:NAME`, which
makes colons, leading dashes, quotes and other scripts harmless.
"""

import re
import subprocess
import tempfile
import wave
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

import ffmpeg
import imageio_ffmpeg
import numpy as np

from d3talker.artifacts import atomic
from d3talker.cli import InputError
from d3talker.video.colour import Colour, read_colour

FPS = 25
SAMPLE_RATE = 16000  # Hz
PROBE_TIME_BASE = 90000  # ticks per second used to read start times
CENTRED = ("3.0", "3.1", "5.", "6.0", "6.1", "7.")  # ffmpeg's layouts of front and centre channels
ERROR_LINES = 4  # of ffmpeg's stderr, in an error message
# Without these swscale repeats chroma samples and rounds down: about one grey level too dark.
EXACT_COLOUR = "bicubic+accurate_rnd+full_chroma_int"


@dataclass(frozen=True)
class VideoInfo:
    """What ffmpeg finds in a file with a picture."""

    width: int  # px as displayed: after rotation, pixels made square
    height: int
    fps: float  # average rate; 0 where the container does not say
    duration: float  # seconds of the container; 0 where it does not say
    has_audio: bool
    video_start: float  # time stamp of the first frame, s
    audio_start: float  # time stamp of the first sample, s; 0 without audio
    audio_rate: int  # Hz; 0 without audio
    audio_channels: str  # "mono", "stereo", "5.1" ...; empty without audio
    colour: Colour


class FfmpegError(InputError):
    """ffmpeg failed on a file; the message ends with the last lines it printed."""

    def __init__(self, path: str | Path, log: str):
        lines = [re.sub(r"^\[[^]]*\] *", "", line.strip()) for line in log.splitlines()]
        self.log = log
        self.reason = " | ".join([line for line in lines if line][-ERROR_LINES:])
        super().__init__(f"{path}: ffmpeg failed: {self.reason}")


def input_of(path: str | Path, **options):
    """ffmpeg-python input node of a file, whatever characters its name has."""
    return ffmpeg.input(f"file:{path}", **options)


def command(node, loglevel: str = "error") -> list[str]:
    """Command line of an ffmpeg-python output node."""
    node = node.global_args("-hide_banner", "-nostdin", "-loglevel", loglevel)
    return ffmpeg.compile(node, cmd=imageio_ffmpeg.get_ffmpeg_exe(), overwrite_output=True)


def run_ffmpeg(node, path: str | Path, loglevel: str = "error") -> tuple[bytes, str]:
    """Run to the end: (stdout, stderr). A failure raises FfmpegError, which names `path`."""
    done = subprocess.run(command(node, loglevel), stdin=subprocess.DEVNULL, capture_output=True)
    stderr = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        raise FfmpegError(path, stderr)
    return done.stdout, stderr


def _log_of(process: subprocess.Popen, stderr: IO[bytes]) -> str:
    process.wait()
    stderr.seek(0)
    return stderr.read().decode(errors="replace")


def _first_packet(path: str | Path, stream: str) -> tuple[dict[str, str], float, str] | None:
    """Decode the first frame of one stream: (header fields, its time stamp in s, ffmpeg's log).

    None when the file has no such stream. Decoding makes ffmpeg apply rotation and edit lists,
    so the size and the time are those of the picture and sound that come out. `showinfo` makes
    the log tell the colours of a picture.
    """
    node = input_of(path).output(
        "pipe:",
        **{"map": stream, "frames": 1, "fps_mode": "passthrough"},
        **({"vf": "showinfo"} if ":V" in stream else {}),
        enc_time_base=f"1:{PROBE_TIME_BASE}",
        format="framecrc",
    )
    try:
        out, log = run_ffmpeg(node.global_args("-copyts"), path, loglevel="info")
    except FfmpegError as error:
        if "matches no streams" in error.log:
            return None
        raise
    lines = out.decode(errors="replace").splitlines()
    header = dict(re.findall(r"^#(\w+) 0: (\S+)", "\n".join(lines), re.MULTILINE))
    packets = [line.split(",") for line in lines if not line.startswith("#")]
    if not packets:
        raise InputError(f"{path}: nothing could be decoded from it; convert it again or cut it")
    return header, float(packets[0][2]) / PROBE_TIME_BASE, log


def probe(path: str | Path) -> VideoInfo:
    """Look into a video file.

    Raises InputError when the file is missing, empty, unreadable or has no picture.
    """
    _require_content(path)
    try:
        video = _first_packet(path, "0:V:0")
    except FfmpegError as error:
        cut_off = "moov atom not found" in error.log  # an MP4's index, which may come last
        remedy = "it was cut off, so copy it again" if cut_off else "convert it to MP4"
        raise InputError(
            f"{path}: not a video that ffmpeg can read ({error.reason}); {remedy}"
        ) from error
    if video is None:
        raise InputError(f"{path}: has no video stream; give a file with a picture and sound")
    header, start, log = video
    width, height = (int(n) for n in header["dimensions"].split("x"))
    audio = _first_packet(path, "0:a:0")
    sound = audio[0] if audio else {}
    return VideoInfo(
        width=round(width * _pixel_aspect(header)),
        height=height,
        fps=_number(r"^ +Stream #0.*? Video: .*?([\d.]+) fps", log),
        duration=_seconds(log),
        has_audio=audio is not None,
        video_start=start,
        audio_start=audio[1] if audio else 0.0,
        audio_rate=int(sound.get("sample_rate", 0)),
        audio_channels=sound.get("channel_layout_name", ""),
        colour=read_colour(log),
    )


def _require_content(path: str | Path) -> None:
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty (0 bytes); copy or record it again")


def _pixel_aspect(header: dict[str, str]) -> float:
    """Width of a pixel over its height; 1 where the file does not say (0/1)."""
    num, den = (int(n) for n in header.get("sar", "1/1").split("/"))
    return num / den if num and den else 1.0


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def _seconds(log: str) -> float:
    found = re.search(r"^ +Duration: (\d+):(\d+):([\d.]+)", log, re.MULTILINE)
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else 0.0


def square_pixels(node, info: VideoInfo):
    """Scale a decoded video to `info`'s size where its pixels are not square."""
    scaled = node.filter("scale", info.width, info.height, flags=EXACT_COLOUR)
    return scaled.filter("setsar", 1)


def pipe_bytes(node, size: int, path: str | Path) -> Iterator[bytes]:
    """Yield what an ffmpeg-python output node writes to its pipe, `size` bytes at a time.

    The last block may be shorter. Stopping early ends ffmpeg.
    """
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            command(node), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr
        )
        try:
            while data := process.stdout.read(size):
                yield data
            log = _log_of(process, stderr)
            if process.returncode != 0:
                raise FfmpegError(path, log)
        finally:
            process.kill()
            process.stdout.close()
            process.wait()


def raw_frames(node, pixel_format: str):
    """Output node that writes the frames of a video node to ffmpeg's pipe, each of them once."""
    return node.output(
        "pipe:",
        format="rawvideo",
        pix_fmt=pixel_format,
        fps_mode="passthrough",
        sws_flags=EXACT_COLOUR,
    )


def pipe_frames(node, width: int, height: int, path: str | Path) -> Iterator[np.ndarray]:
    """Yield the RGB frames (height,width,3) uint8 that an ffmpeg-python video node makes."""
    size = width * height * 3
    for data in pipe_bytes(raw_frames(node, "rgb24"), size, path):
        if len(data) == size:
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)


def iter_frames(
    path: str | Path, start: int = 0, stop: int | None = None, fps: int | None = None
) -> Iterator[np.ndarray]:
    """Yield frames [start, stop) of a video one by one: (H,W,3) uint8 RGB, read-only.

    fps: frame i is the latest picture by i/fps s; without it every frame of the file comes once.
    """
    info = probe(path)
    video = square_pixels(input_of(path)["V:0"], info)
    if fps is not None:
        video = video.filter("setpts", "PTS-STARTPTS").filter("fps", fps)
    if start or stop is not None:
        limit = {} if stop is None else {"end_frame": stop}
        video = video.filter("trim", start_frame=start, **limit)
    yield from pipe_frames(video, info.width, info.height, path)


def read_frames(path: str | Path, start: int = 0, stop: int | None = None) -> np.ndarray:
    """Frames [start, stop) of a video, fewer where it ends before: (n,H,W,3) uint8 RGB."""
    data, shape = bytearray(), (0, 0, 3)
    for frame in iter_frames(path, start, stop):
        data += frame.data
        shape = frame.shape
    if not data:
        raise InputError(f"{path}: has no frames in [{start}, {stop})")
    return np.frombuffer(data, np.uint8).reshape(-1, *shape)


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: int = FPS,
    audio: str | Path | None = None,
    crf: int = 10,
    keyframe_every: int | None = None,
) -> None:
    """Write frames (H,W,3) uint8 RGB, H and W even, as H.264 MP4, with the wav `audio` as AAC.

    `frames` may be a generator. `crf`: x264's constant quality; the field writes videos
    to be scored with a quantiser of 10 (spec 7.1), and 16 looks lossless. `keyframe_every`: frames
    from one key frame to the next at most, so that players find any frame at once; None for x264's
    250. The colour matrix is written into the file (BT.709), so that players agree on the colours.
    x264's superfast leaves the cores to who makes the frames; the file is larger.
    """
    frames = iter(frames)
    first = next(frames)
    height, width = first.shape[:2]
    if height % 2 or width % 2:
        raise ValueError(f"{path}: H.264 4:2:0 needs even sides, not {width}x{height}")
    video = ffmpeg.input(
        "pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", framerate=fps
    ).video.filter("scale", out_color_matrix="bt709", out_range="tv", flags=EXACT_COLOUR)
    streams = [video] if audio is None else [video, input_of(audio).audio]
    options = {"vcodec": "libx264", "pix_fmt": "yuv420p", "crf": crf, "preset": "superfast"}
    options |= {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}
    options |= {"movflags": "+faststart", "fflags": "+bitexact"}
    if keyframe_every is not None:
        options |= {"g": keyframe_every}
    if audio is not None:
        options |= {"acodec": "aac", "audio_bitrate": "128k"}
    with atomic(path) as part:
        node = ffmpeg.output(*streams, f"file:{part}", **options)
        _feed(node, chain([first], frames), path)


def _feed(node, frames: Iterable[np.ndarray], path: str | Path) -> None:
    """Run ffmpeg with `frames` on its standard input."""
    arguments = [argument for argument in command(node) if argument != "-nostdin"]
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=stderr
        )
        try:
            for frame in frames:
                process.stdin.write(np.ascontiguousarray(frame, np.uint8).data)
            process.stdin.close()
        except BrokenPipeError:
            raise FfmpegError(path, _log_of(process, stderr)) from None
        except BaseException:
            process.kill()
            raise
        finally:
            log = _log_of(process, stderr)
        if process.returncode != 0:
            raise FfmpegError(path, log)


def pipe_audio(
    path: str | Path, seconds: float | None = None, channels: str = ""
) -> Iterator[np.ndarray]:
    """Yield the sound of any file: blocks (n,) int16 of 1 s, 16 kHz mono, from its first sample on.

    seconds: of the file, from its start; None for all. channels: the layout that `probe` found.
    Channels are averaged, but of a layout with a centre, where speech is, the centre keeps its
    level. Gaps in the file's time stamps are filled with silence.
    """
    _require_content(path)
    sound = input_of(path, **({} if seconds is None else {"t": seconds}))["a:0"]
    mix = {"out_chlayout": "mono", "rematrix_maxval": 8} if channels.startswith(CENTRED) else {}
    sound = sound.filter("aresample", SAMPLE_RATE, **{"async": 1}, **mix)
    node = sound.output("pipe:", format="s16le", acodec="pcm_s16le", ac=1)
    for data in pipe_bytes(node, 2 * SAMPLE_RATE, path):
        yield np.frombuffer(data, np.int16)


def decode_audio(path: str | Path, seconds: float | None = None) -> np.ndarray:
    """All that `pipe_audio` yields, (n,) int16."""
    return np.concatenate([np.empty(0, np.int16), *pipe_audio(path, seconds)])


def read_wav(path: str | Path) -> tuple[np.ndarray, int]:
    """16-bit wav: (samples (n,) float32 in [-1,1), rate in Hz). Channels are averaged."""
    _require_content(path)
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise InputError(f"{path}: is not a 16-bit wav; run stages/ingest_audio.py on it")
            channels, rate = file.getnchannels(), file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    except (wave.Error, EOFError) as error:
        raise InputError(f"{path}: not a readable wav ({error})") from error
    return (samples.reshape(-1, channels).mean(1) / 32768).astype(np.float32), rate


def write_wav(
    path: str | Path, samples: np.ndarray | Iterable[np.ndarray], rate: int = SAMPLE_RATE
) -> None:
    """Write mono sound (n,), int16 or float in [-1,1], as a 16-bit wav of `rate` Hz.

    `samples` may be an iterator of blocks, so that a long sound is never in memory at once.
    """
    blocks = [samples] if isinstance(samples, np.ndarray) else samples
    with atomic(path) as part, wave.open(str(part), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        for block in blocks:
            if block.dtype != np.int16:
                block = np.clip(np.round(block * 32768), -32768, 32767).astype(np.int16)
            file.writeframes(block.astype("<i2").tobytes())
