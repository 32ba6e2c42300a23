"""AesVault: a data key for each secret, itself encrypted by a key that the database never sees."""

import os
import struct
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# format, version of the key-encryption key | nonce, encrypted data key, tag | nonce, ciphertext, tag
_FORMAT = 1
_HEADER = struct.Struct(">BI")
_NONCE = 12  # bytes: the 96 bits that GCM is made for (NIST SP 800-38D, 5.2.1.1)
_TAG = 16
_KEY = 32
_WRAPPED = _NONCE + _KEY + _TAG


class AesVault:
    """Envelope encryption with AES-256-GCM, random nonces throughout.

    Each secret has a random data key, which encrypts the plaintext bound to its context. The data key is encrypted by
    a key-encryption key, bound to context and key version. So a new key-encryption key takes only ``rewrap``, and a
    ciphertext moved to another row does not open.

    keys: key-encryption keys of 32 bytes by version, all that may still be needed to open. current: the one that seals.
    """

    def __init__(self, keys: Mapping[int, bytes], current: int) -> None:
        if current not in keys:
            raise ValueError(f"there is no key of the current version {current}")
        for version, key in keys.items():
            if not 0 < version < 2**32:
                raise ValueError(f"a key's version is between 1 and 2^32 - 1, not {version}")
            if len(key) != _KEY:
                raise ValueError(f"key {version} has {len(key)} bytes instead of {_KEY}")
        self._ciphers = {version: AESGCM(key) for version, key in keys.items()}
        self._current = current

    def __repr__(self) -> str:
        return f"AesVault(versions={sorted(self._ciphers)}, current={self._current})"

    def seal(self, context: str, plaintext: bytes) -> bytes:
        """Encrypt for this context, under the current key."""
        data_key = os.urandom(_KEY)
        return self._wrap(context, data_key) + _encrypt(AESGCM(data_key), plaintext, _body_binding(context))

    def open(self, context: str, sealed: bytes) -> bytes:
        """The plaintext. Raises ValueError for anything that was not sealed for this context, or by an unknown key."""
        data_key, body = self._unwrap(context, sealed)
        return _decrypt(AESGCM(data_key), body, _body_binding(context))

    def rewrap(self, context: str, sealed: bytes) -> bytes:
        """The same secret under the current key. The old text opens as long as its key is known. Raises as ``open``."""
        self.open(context, sealed)
        data_key, body = self._unwrap(context, sealed)
        return self._wrap(context, data_key) + body

    def _wrap(self, context: str, data_key: bytes) -> bytes:
        header = _HEADER.pack(_FORMAT, self._current)
        return header + _encrypt(self._ciphers[self._current], data_key, header + context.encode())

    def _unwrap(self, context: str, sealed: bytes) -> tuple[bytes, bytes]:
        end = _HEADER.size + _WRAPPED
        if len(sealed) < end + _NONCE + _TAG:
            raise ValueError("this is too short to be sealed")
        header, wrapped, body = sealed[: _HEADER.size], sealed[_HEADER.size : end], sealed[end:]
        format_, version = _HEADER.unpack(header)
        if format_ != _FORMAT:
            raise ValueError("this was not sealed by a vault of this kind")
        if version not in self._ciphers:
            raise ValueError(f"this was sealed by key {version}, which is not here")
        return _decrypt(self._ciphers[version], wrapped, header + context.encode()), body


def _body_binding(context: str) -> bytes:
    # Without the key's version: the body stays as it is when its data key is wrapped anew.
    return bytes([_FORMAT]) + context.encode()


def _encrypt(cipher: AESGCM, plaintext: bytes, binding: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + cipher.encrypt(nonce, plaintext, binding)


def _decrypt(cipher: AESGCM, text: bytes, binding: bytes) -> bytes:
    try:
        return cipher.decrypt(text[:_NONCE], text[_NONCE:], binding)
    except InvalidTag:
        raise ValueError("this was not sealed for this context") from None
