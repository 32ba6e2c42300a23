"""Bearer tokens: a prefix that says what it is, random base62 digits, and a checksum that finds slips and leaks."""

import hmac
import zlib

from domain.errors import Unauthenticated

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM = 37  # base62 digits: 220 bits
CHECK = 6

SESSION = "pty_ss_"
SERVICE = "pty_st_"


def checksum(text: str) -> str:
    """CRC32 in six base62 digits: no secret in it, so that scanners recognise a leaked token offline."""
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(CHECK):
        number, digit = divmod(number, len(BASE62))
        digits = BASE62[digit] + digits
    return digits


def make_token(prefix: str, random_part: str) -> str:
    """The token as text. Only its digest is ever stored."""
    assert len(random_part) == RANDOM
    text = prefix + random_part
    return text + checksum(text)


def is_token(text: str, prefix: str) -> bool:
    """Whether this could be one of ours of this kind: asked before any database is."""
    whole = text.isascii() and text.startswith(prefix) and len(text) == len(prefix) + RANDOM + CHECK
    return whole and checksum(text[:-CHECK]) == text[-CHECK:]


def token_digest(text: str, pepper: bytes) -> bytes:
    """What is stored of a session's or a service's token. Raises Unauthenticated for text that is neither."""
    if not is_token(text, SESSION) and not is_token(text, SERVICE):
        raise Unauthenticated("this is not a session or service token", code="session_invalid")
    return hmac.digest(pepper, text.encode(), "sha256")
