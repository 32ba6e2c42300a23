"""Contract of the vault: what is sealed opens in its own place only."""

import pytest

from application.ports.world import Vault

HERE, SECRET = "credential|crd_1|sealed", b"\x00 a private key \xff" * 3


class VaultContract:
    """A subclass supplies the fixture ``vault``."""

    @pytest.mark.parametrize("plaintext", [b"", b"x", SECRET, bytes(5_000)])
    def test_what_was_sealed_opens(self, vault: Vault, plaintext: bytes) -> None:
        assert vault.open(HERE, vault.seal(HERE, plaintext)) == plaintext

    @pytest.mark.parametrize(
        "elsewhere",
        ["", "credential|crd_2|sealed", "credential|crd_1|sealed2", "webhook_endpoint|crd_1|sealed", HERE.upper()],
    )
    def test_text_moved_to_another_place_does_not_open(self, vault: Vault, elsewhere: str) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - the port names no message
            vault.open(elsewhere, vault.seal(HERE, SECRET))

    def test_no_bit_of_a_sealed_text_can_be_changed(self, vault: Vault) -> None:
        sealed = vault.seal(HERE, SECRET)
        for position in range(len(sealed)):
            changed = bytearray(sealed)
            changed[position] ^= 1 << position % 8
            with pytest.raises(ValueError):  # noqa: PT011 - the port names no message
                vault.open(HERE, bytes(changed))

    @pytest.mark.parametrize("kept", [0, 1, 12, 40, -1])
    def test_a_torn_text_does_not_open(self, vault: Vault, kept: int) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - the port names no message
            vault.open(HERE, vault.seal(HERE, SECRET)[:kept])

    def test_a_lengthened_text_does_not_open(self, vault: Vault) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - the port names no message
            vault.open(HERE, vault.seal(HERE, SECRET) + b"\x00")

    def test_the_secret_is_not_to_be_seen_and_equal_ones_look_different(self, vault: Vault) -> None:
        first, second = vault.seal(HERE, SECRET), vault.seal(HERE, SECRET)
        assert first != second
        assert SECRET not in first
        assert b"private" not in first
