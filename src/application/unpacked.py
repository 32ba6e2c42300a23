"""Bills may come gzipped, as WeChat Pay hands them out on demand: what is kept and hashed is the plain bill.

RFC 1952. The channel's own hash is over the plain file, too.
"""

import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from domain.errors import BillInvalid

MOST = 1 << 30  # bytes of a bill once it is unpacked: some four million lines
# Bills shrink to a tenth. What shrinks to less than a hundredth is no bill, unless it is small.
MOST_TIMES, SMALL = 100, 64 << 20
_MAGIC = b"\x1f\x8b"
_PIECE = 1 << 18


@contextmanager
def unpacked(source: IO[bytes]) -> Iterator[IO[bytes]]:
    """The plain file, from its start: ``source`` itself, or what is in it, for as long as the block lasts.

    Raises BillInvalid for a torn or changed gzip, and with the code ``bill_too_large`` for one that would not end: it
    is read no further than that.
    """
    source.seek(0)
    magic = source.read(len(_MAGIC))
    source.seek(0)
    if magic != _MAGIC:
        yield source
        return
    with tempfile.TemporaryFile() as plain:
        try:
            _unpack(source, plain)
        except zlib.error as error:
            raise BillInvalid("the gzip is torn or was changed") from error
        plain.seek(0)
        yield plain


def _unpack(source: IO[bytes], into: IO[bytes]) -> None:
    """One gzip member, which is what a bill is: any number of empty ones would cost time without end."""
    unpacker, taken, given = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS), 0, 0
    while piece := source.read(_PIECE):
        taken += len(piece)
        while piece and not unpacker.eof:
            plain = unpacker.decompress(piece, _PIECE)
            given += len(plain)
            if given > min(MOST, max(SMALL, MOST_TIMES * taken)):
                raise BillInvalid("the bill is too large once it is unpacked", code="bill_too_large")
            into.write(plain)
            piece = unpacker.unconsumed_tail
        if unpacker.unused_data or piece:
            raise BillInvalid("something after the end of the gzip")
    if not unpacker.eof:
        raise BillInvalid("the gzip ends too early")
