"""What a camera reads from a screenshot: a PNG unpacked into grey pixels, and the bar codes in them."""

import itertools
import struct
import zlib
from collections.abc import Iterator

import zxingcpp

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {2: 3, 6: 4}  # PNG colour types that Chromium writes: RGB and RGBA


def read_codes(png: bytes) -> list[str]:
    """The contents of all codes in the picture."""
    return [str(barcode.text) for barcode in zxingcpp.read_barcodes(_grey(png))]


def _grey(png: bytes) -> memoryview:
    """One byte a pixel (its green), as rows of a matrix. PNG specification, sections 9 and 11."""
    chunks = list(_chunks(png))
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunks[0][1])
    assert depth == 8, depth
    assert interlace == 0
    pixel = CHANNELS[colour]
    raw = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
    green, above = bytearray(), bytes(width * pixel)
    for row in range(height):
        start = row * (width * pixel + 1)
        above = _unfilter(raw[start], raw[start + 1 : start + 1 + width * pixel], above, pixel)
        green += above[1::pixel]
    return memoryview(bytes(green)).cast("B", shape=[height, width])


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    assert png.startswith(SIGNATURE)
    at = len(SIGNATURE)
    while at < len(png):
        length = int.from_bytes(png[at : at + 4])
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += length + 12


def _unfilter(kind: int, line: bytes, above: bytes, pixel: int) -> bytes:
    if kind == 0:
        return line
    done = bytearray(itertools.repeat(0, len(line)))
    for i, value in enumerate(line):
        left = done[i - pixel] if i >= pixel else 0
        corner = above[i - pixel] if i >= pixel else 0
        guess = (0, left, above[i], (left + above[i]) // 2, _paeth(left, above[i], corner))[kind]
        done[i] = (value + guess) & 0xFF
    return bytes(done)


def _paeth(left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    return min((left, up, corner), key=lambda each: abs(estimate - each))
