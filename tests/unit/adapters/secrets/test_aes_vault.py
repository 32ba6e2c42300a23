"""Envelope encryption: what opens, and above all what does not."""

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.outbound.secrets.aes_vault import AesVault

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
HERE = "credential|crd_1|sealed"
SECRET = b"-----BEGIN PRIVATE KEY----- canary -----END PRIVATE KEY-----"


@pytest.fixture
def vault() -> AesVault:
    return AesVault({1: OLD}, current=1)


@pytest.mark.parametrize("plaintext", [b"", b"x", SECRET, bytes(100_000)])
def test_what_was_sealed_opens_in_its_place(vault: AesVault, plaintext: bytes) -> None:
    assert vault.open(HERE, vault.seal(HERE, plaintext)) == plaintext


def test_the_plaintext_is_not_in_the_sealed_text(vault: AesVault) -> None:
    assert b"canary" not in vault.seal(HERE, SECRET)


def test_the_same_secret_never_looks_the_same_twice(vault: AesVault) -> None:
    one, other = vault.seal(HERE, SECRET), vault.seal(HERE, SECRET)
    assert one[5:] != other[5:]
    assert len({one[i : i + 12] for i in (5, 65)} | {other[i : i + 12] for i in (5, 65)}) == 4  # nonces


@pytest.mark.parametrize("elsewhere", ["credential|crd_2|sealed", "webhook_endpoint|crd_1|sealed", "", HERE + " "])
def test_text_moved_to_another_place_does_not_open(vault: AesVault, elsewhere: str) -> None:
    sealed = vault.seal(HERE, SECRET)
    with pytest.raises(ValueError, match="context"):
        vault.open(elsewhere, sealed)
    with pytest.raises(ValueError, match="context"):
        vault.rewrap(elsewhere, sealed)


def test_no_byte_can_be_changed_without_being_noticed(vault: AesVault) -> None:
    sealed = vault.seal(HERE, b"short")
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(ValueError, match="sealed"):
            vault.open(HERE, changed)


def test_no_part_of_a_sealed_text_opens(vault: AesVault) -> None:
    sealed = vault.seal(HERE, b"short")
    for length in range(len(sealed)):
        with pytest.raises(ValueError, match="sealed"):
            vault.open(HERE, sealed[:length])
    with pytest.raises(ValueError, match="context"):
        vault.open(HERE, sealed + b"\0")


def test_the_data_key_of_one_secret_does_not_open_the_body_of_another(vault: AesVault) -> None:
    one, other = vault.seal(HERE, b"one"), vault.seal(HERE, b"other")
    with pytest.raises(ValueError, match="context"):
        vault.open(HERE, one[:65] + other[65:])


def test_the_body_itself_is_bound_to_its_context_too(vault: AesVault) -> None:
    data_key, body = vault._unwrap(HERE, vault.seal(HERE, SECRET))
    for binding in (None, b"", b"\x01"):
        with pytest.raises(InvalidTag):
            AESGCM(data_key).decrypt(body[:12], body[12:], binding)


def test_the_data_key_itself_is_bound_to_its_context_too(vault: AesVault) -> None:
    with pytest.raises(ValueError, match="context"):
        vault._unwrap("credential|crd_2|sealed", vault.seal(HERE, SECRET))


def test_another_installations_key_of_the_same_version_opens_nothing(vault: AesVault) -> None:
    with pytest.raises(ValueError, match="context"):
        AesVault({1: NEW}, current=1).open(HERE, vault.seal(HERE, SECRET))


def test_any_known_version_opens_and_only_the_current_one_seals(vault: AesVault) -> None:
    both = AesVault({1: OLD, 2: NEW}, current=2)
    assert both.open(HERE, vault.seal(HERE, SECRET)) == SECRET
    with pytest.raises(ValueError, match="key 2"):
        vault.open(HERE, both.seal(HERE, SECRET))


def test_rewrapping_frees_a_secret_from_the_old_key_without_touching_its_body(vault: AesVault) -> None:
    sealed = vault.seal(HERE, SECRET)
    rewrapped = AesVault({1: OLD, 2: NEW}, current=2).rewrap(HERE, sealed)
    assert AesVault({2: NEW}, current=2).open(HERE, rewrapped) == SECRET
    assert rewrapped[65:] == sealed[65:]


def test_rewrapping_refuses_a_torn_text(vault: AesVault) -> None:
    with pytest.raises(ValueError, match="context"):
        vault.rewrap(HERE, vault.seal(HERE, SECRET)[:-1])


def test_a_wrapped_key_cannot_claim_another_version() -> None:
    same_key_twice = AesVault({1: OLD, 2: OLD}, current=1)
    sealed = same_key_twice.seal(HERE, SECRET)
    with pytest.raises(ValueError, match="context"):
        same_key_twice.open(HERE, sealed[:4] + b"\x02" + sealed[5:])


@pytest.mark.parametrize(
    ("keys", "current"),
    [({}, 1), ({1: OLD}, 2), ({1: OLD[:16]}, 1), ({1: OLD * 2}, 1), ({0: OLD}, 0), ({2**32: OLD}, 2**32)],
)
def test_unusable_keys_are_refused_at_the_start(keys: dict[int, bytes], current: int) -> None:
    with pytest.raises(ValueError, match="key"):
        AesVault(keys, current)


def test_its_text_shows_no_key(vault: AesVault) -> None:
    assert repr(vault) == "AesVault(versions=[1], current=1)"
