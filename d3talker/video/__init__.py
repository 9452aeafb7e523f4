"""Video and audio files in and out, ingest, clean plate and torso layers."""

from d3talker.video.io import (
    VideoInfo,
    decode_audio,
    iter_frames,
    probe,
    read_frames,
    read_wav,
    write_video,
    write_wav,
)

__all__ = [
    "VideoInfo",
    "decode_audio",
    "iter_frames",
    "probe",
    "read_frames",
    "read_wav",
    "write_video",
    "write_wav",
]
