"""Bring any camera's colours to 8-bit BT.709 SDR, the colours every later stage works in."""

import re
from dataclasses import dataclass

UNKNOWN = "unknown"
HDR_TRANSFERS = {"smpte2084", "arib-std-b67"}  # PQ and HLG
WIDE_PRIMARIES = {"bt2020", "smpte431", "smpte432"}  # BT.2020, and P3 of cinemas and phones
REFERENCE_WHITE = 203  # cd/m2 of white paper in HDR (ITU-R BT.2408); it becomes SDR's white
KNEE = 0.7  # of reference white: what is darker keeps its look, what is brighter is rolled off


@dataclass(frozen=True)
class Colour:
    """What the decoder says of a frame's pixels, in ffmpeg's words; `unknown` where it does not."""

    pixel_format: str
    range: str
    matrix: str
    primaries: str
    transfer: str

    @property
    def hdr(self) -> bool:
        return self.transfer in HDR_TRANSFERS

    @property
    def wide(self) -> bool:
        return self.hdr or self.primaries in WIDE_PRIMARIES

    @property
    def full_range(self) -> bool:
        return self.range == "pc" or self.pixel_format.startswith("yuvj")


def read_colour(log: str) -> Colour:
    """The colours of the first frame in the log of ffmpeg's `showinfo` filter."""

    def word(name: str) -> str:
        found = re.search(rf"showinfo.*? {name}:(\S+)", log)
        return found[1] if found else UNKNOWN

    names = ("fmt", "color_range", "color_space", "color_primaries", "color_trc")
    return Colour(*map(word, names))


def to_sdr(node, colour: Colour):
    """Filters that turn a video node of even size into BT.709 SDR where it is something else.

    HDR is tone-mapped: skin keeps its look, highlights are rolled off (mobius). A picture that is
    SDR, of ordinary primaries and video range is left as it is.
    """
    if colour.wide:
        given = {
            "matrixin": colour.matrix,
            "primariesin": colour.primaries,
            "transferin": colour.transfer,
            "rangein": colour.range,
        }
        usual = {"matrixin": "bt2020nc", "primariesin": "bt2020", "transferin": "bt709"}
        usual["rangein"] = "tv"
        known = {key: usual[key] if word == UNKNOWN else word for key, word in given.items()}
        node = node.filter("zscale", transfer="linear", npl=REFERENCE_WHITE, **known)
        node = node.filter("format", "gbrpf32le").filter("zscale", primaries="bt709")
        if colour.hdr:
            node = node.filter("tonemap", "mobius", param=KNEE, desat=0)
        node = node.filter("zscale", transfer="bt709", matrix="bt709", range="tv")
        return node.filter("format", "yuv420p")
    if colour.full_range:
        node = node.filter("scale", out_range="tv", flags="accurate_rnd")
        return node.filter("format", "yuv420p")
    return node
