"""Channel numbers: what we send as out_trade_no. Our prefix, a ULID's 26 characters, and a check character."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PREFIX = "PTY"


def _check(body: str) -> str:
    # A weighted sum in the field of 32 elements, one for each character: the weights are successive powers of a
    # generator, all different over 26 places, so no wrong character and no exchange of neighbours goes unnoticed.
    total = 0
    for character in body:
        total = (total ^ _ALPHABET.index(character)) << 1
        if total & 32:
            total ^= 0b100101  # x⁵ + x² + 1, primitive over GF(2)
    return _ALPHABET[total]


def channel_number(ulid: str) -> str:
    """``PTY`` + 26 + 1 = 30 letters and digits: within WeChat's 6-32 and Alipay's 64 (out_trade_no of both APIs)."""
    return PREFIX + ulid + _check(ulid)


def is_ours(number: str) -> bool:
    """Whether a number on a bill is of our scheme; others are foreign (BOOKS.md, direct mode)."""
    body = number[len(PREFIX) : -1]
    if not number.startswith(PREFIX) or len(body) != 26 or any(c not in _ALPHABET for c in body):
        return False
    return _check(body) == number[-1]
