"""Gzipped bills: what is in them comes out to the byte, and nothing of what is torn, changed or without end."""

import contextlib
import gzip
import io
import random
import time
import tracemalloc
import zlib
from typing import IO

import pytest

from application import unpacked as module
from application.unpacked import MOST, SMALL, unpacked
from domain.errors import BillInvalid

BILL = b"".join(b"`2026-11-20 09:00:00,`%d,`0.01\r\n" % n for n in range(20_000))


def read(content: bytes) -> bytes:
    with unpacked(io.BytesIO(content)) as plain:
        return plain.read()


def refused(content: bytes) -> BillInvalid:
    with pytest.raises(BillInvalid) as why:
        read(content)
    return why.value


def zeros(size: int) -> bytes:
    """A gzip that unpacks to so many, a thousandth of that long."""
    packer = zlib.compressobj(9, wbits=31)
    pieces = [packer.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*pieces, packer.flush()])


class Counting(io.BytesIO):
    """A file that knows how much of it was read."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.taken += len(piece)
        return piece


def test_what_is_not_gzipped_is_the_file_itself_from_its_start() -> None:
    source = io.BytesIO(BILL)
    source.seek(7)
    with unpacked(source) as plain:
        assert plain is source
        assert plain.read() == BILL


@pytest.mark.parametrize("level", [0, 1, 9])
def test_what_was_packed_comes_out_to_the_byte(level: int) -> None:
    assert read(gzip.compress(BILL, level)) == BILL
    assert read(gzip.compress(b"", level)) == b""


def test_a_name_and_a_comment_in_the_head_change_nothing() -> None:
    named = io.BytesIO()
    with gzip.GzipFile("账单.csv", "wb", fileobj=named) as file:
        file.write(BILL)
    assert read(named.getvalue()) == BILL


@pytest.mark.parametrize("seed", range(40))
def test_a_gzip_cut_off_anywhere_is_refused(seed: int) -> None:
    packed = gzip.compress(BILL)
    assert refused(packed[: random.Random(seed).randrange(2, len(packed))]).code == "bill_invalid"


@pytest.mark.parametrize("seed", range(40))
def test_a_gzip_with_a_changed_byte_is_refused_or_is_the_same_bill(seed: int) -> None:
    rng, packed = random.Random(seed), bytearray(gzip.compress(BILL))
    packed[rng.randrange(2, len(packed))] ^= 1 << rng.randrange(8)
    with contextlib.suppress(BillInvalid):  # a time or a system in its head says nothing of the bill
        assert read(bytes(packed)) == BILL


@pytest.mark.parametrize(
    "more",
    [b"x", bytes(9), gzip.compress(b"", mtime=0), gzip.compress(BILL, mtime=0)],
    ids=["a byte", "zeros", "an empty one", "another"],
)
def test_something_behind_the_gzip_is_refused(more: bytes) -> None:
    assert str(refused(gzip.compress(BILL) + more)) == "something after the end of the gzip"


def test_very_many_empty_gzips_cost_no_time() -> None:
    began = time.process_time()
    refused(gzip.compress(b"") * 1_000_000)
    assert time.process_time() - began < 2


def test_a_bomb_is_read_no_further_than_a_bill_may_go_and_fills_no_memory() -> None:
    bomb = Counting(zeros(256 << 20) + bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(BillInvalid) as why, unpacked(bomb):
        raise AssertionError("nobody sees what is in a bomb")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert why.value.code == "bill_too_large"
    assert most < 8 << 20
    assert bomb.taken < len(bomb.getbuffer()), "what is behind the limit is not looked at"


def test_however_well_it_is_packed_a_bill_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", len(BILL))
    assert read(gzip.compress(BILL)) == BILL
    assert refused(gzip.compress(BILL + b"x")).code == "bill_too_large"


def test_a_bill_of_a_million_lines_is_within_the_limits() -> None:
    assert MOST > 1_000_000 * 300 > SMALL


def test_the_plain_file_is_gone_afterwards() -> None:
    kept: list[IO[bytes]] = []
    with unpacked(io.BytesIO(gzip.compress(BILL))) as plain:
        kept.append(plain)
    assert kept[0].closed
