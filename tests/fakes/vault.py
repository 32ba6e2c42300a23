"""A vault that hides nothing from a thief, but keeps every promise of the port."""

import hashlib
import hmac

_KEY = b"a key for tests"


class FakeVault:
    """Text is masked with a digest of a counter and sealed with a MAC over its context."""

    def __init__(self) -> None:
        self._sealed = 0

    def seal(self, context: str, plaintext: bytes) -> bytes:
        self._sealed += 1
        nonce = self._sealed.to_bytes(8, "big")
        masked = _mask(nonce, plaintext)
        return nonce + _mac(context, nonce + masked) + masked

    def open(self, context: str, sealed: bytes) -> bytes:
        nonce, mac, masked = sealed[:8], sealed[8:40], sealed[40:]
        if not hmac.compare_digest(mac, _mac(context, nonce + masked)):
            raise ValueError(f"this was not sealed for {context}")
        return _mask(nonce, masked)


def _mask(nonce: bytes, text: bytes) -> bytes:
    stream = hashlib.shake_256(_KEY + nonce).digest(len(text))
    return bytes(a ^ b for a, b in zip(text, stream, strict=True))


def _mac(context: str, text: bytes) -> bytes:
    return hmac.new(_KEY, context.encode() + b"\0" + text, hashlib.sha256).digest()
