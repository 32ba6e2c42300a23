"""Credentials: told apart without being told, and what a rotation keeps."""

from datetime import UTC, datetime, timedelta

from domain.channels import Channel, Credential, Material, Mode, fingerprint

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
OLD = Credential(id="crd", channel=Channel.ALIPAY, mode=Mode.TEST, app_id="a", public={"k": "1"}, sealed=b"1")
NEW = Material(public={"k": "2"}, sealed=b"2", fingerprints={"s": "beef"})


def test_a_key_has_one_fingerprint_however_it_is_wrapped() -> None:
    bare = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7"
    armoured = f"-----BEGIN PRIVATE KEY-----\r\n{bare[:20]}\r\n{bare[20:]}\r\n-----END PRIVATE KEY-----\n"
    assert fingerprint(armoured) == fingerprint(bare) != fingerprint(bare[:-1])
    assert len(fingerprint(bare)) == 4


def test_a_rotation_keeps_what_was_before_for_its_time_under_its_own_version() -> None:
    rotated = OLD.rotated(NEW, keep_until=NOW + timedelta(days=1))
    assert (rotated.version, rotated.sealed, rotated.public, rotated.fingerprints) == (
        2,
        b"2",
        {"k": "2"},
        {"s": "beef"},
    )
    earlier = rotated.earlier(NOW + timedelta(days=1, microseconds=-1))
    assert earlier is not None
    assert (earlier.version, earlier.sealed, earlier.public) == (1, b"1", {"k": "1"})
    assert rotated.earlier(NOW + timedelta(days=1)) is None
    assert OLD.earlier(NOW) is None


def test_a_second_rotation_forgets_what_was_before_the_first() -> None:
    second = OLD.rotated(NEW, keep_until=NOW + timedelta(days=1)).rotated(
        Material(public={}, sealed=b"3", fingerprints={}), keep_until=NOW + timedelta(days=1)
    )
    earlier = second.earlier(NOW)
    assert earlier is not None
    assert (second.version, earlier.version, earlier.sealed) == (3, 2, b"2")
