"""Certificate mode: serials as Alipay's SDKs compute them, chains to its root, and a change of its certificate."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from adapters.outbound.alipay import certificates, keys
from domain.channels import Access, ChannelState
from domain.errors import InvalidRequest, NoticeRejected, OutcomeUnknown
from tests.unit.adapters.alipay.world import (
    NUMBER,
    SELLER,
    World,
    answer,
    asked,
    call,
    form,
    good,
    key,
    notice_fields,
    sign,
    signed_notice,
)

NOW = datetime(2026, 11, 24, tzinfo=UTC)
QUERY, DOWNLOAD = "alipay.trade.query", "alipay.open.app.alipaycert.download"


@lru_cache
def certificate(subject: str, issuer: str, *, signer: str | None = None, until: int = 2100) -> x509.Certificate:
    """One for the key of the same name as its subject, signed with the key of its issuer's name, or another."""

    def name(common: str) -> x509.Name:
        parts = [(NameOID.COUNTRY_NAME, "CN"), (NameOID.ORGANIZATION_NAME, "Ant Financial")]
        parts += [(NameOID.ORGANIZATIONAL_UNIT_NAME, "蚂蚁"), (NameOID.COMMON_NAME, common)]
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])

    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key(subject).public_key())
        .serial_number(
            int.from_bytes(hashlib.sha256(f"{subject}{issuer}{signer}{until}".encode()).digest()[:16], "big")
        )
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(until, 1, 1, tzinfo=UTC))
        .sign(key(signer or issuer), SHA256())
    )


def pem(*bundle: x509.Certificate) -> str:
    return "Bag Attributes\n".join(one.public_bytes(Encoding.PEM).decode() for one in bundle)


ROOT, OTHER_ROOT = certificate("root", "root"), certificate("thief-root", "thief-root")
CLASS2 = certificate("class2", "root")
ALIPAY, NEXT = certificate("alipay", "class2"), certificate("next", "class2")
APP = certificate("app", "class2")


@dataclass
class Certified:
    """The application in certificate mode, and Alipay's end of it."""

    world: World

    def access(self, **changes: str) -> Access:
        public = {
            "app_certificate": pem(APP),
            "alipay_certificate": pem(ALIPAY, CLASS2),
            "alipay_root_certificate": pem(OTHER_ROOT, ROOT),
        }
        return self.world.access(self.world.credential(public=public | changes))

    def node(self, fields: dict[str, Any], *, by: str = "alipay", sn: object = certificates.serial(ALIPAY)) -> bytes:
        text = json.dumps(fields)
        tail = f',"alipay_cert_sn":{json.dumps(sn)}' if sn is not None else ""
        return f'{{"alipay_trade_query_response":{text}{tail},"sign":"{sign(text, by)}"}}'.encode()

    async def query(self, said: Any, access: Access | None = None) -> Any:
        return await call(self.world, said, lambda alipay, who: alipay.query(who, NUMBER), access or self.access())


@pytest.fixture
def certified(world: World) -> Certified:
    return Certified(world)


WAITING = good(trade_status="WAIT_BUYER_PAY")


def test_a_serial_is_md5_over_the_issuer_backwards_and_the_decimal_number() -> None:
    text = f"CN=class2,OU=蚂蚁,O=Ant Financial,C=CN{APP.serial_number}"
    assert certificates.serial(APP) == hashlib.md5(text.encode()).hexdigest()


def test_the_roots_serial_joins_those_signed_with_rsa() -> None:
    curve = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "E1")])
    elliptic = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(curve.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(curve, SHA256())
    )
    roots = certificates.read(pem(ROOT, elliptic, OTHER_ROOT))
    assert certificates.root_serial(roots) == f"{certificates.serial(ROOT)}_{certificates.serial(OTHER_ROOT)}"


async def test_a_request_names_our_certificate_and_the_root(certified: Certified) -> None:
    report, (sent,) = await certified.query(certified.node(WAITING))
    assert report.state is ChannelState.PENDING
    assert sent["app_cert_sn"] == certificates.serial(APP)
    assert sent["alipay_root_cert_sn"] == f"{certificates.serial(OTHER_ROOT)}_{certificates.serial(ROOT)}"


@pytest.mark.parametrize("sn", [None, "", 7])
async def test_an_answer_that_names_no_certificate_is_not_believed(certified: Certified, sn: object) -> None:
    with pytest.raises(OutcomeUnknown) as doubt:
        await certified.query(certified.node(WAITING, sn=sn))
    assert doubt.value.code == "certificate_missing"


async def test_an_answer_is_verified_with_the_certificate_that_it_names_and_no_other(certified: Certified) -> None:
    both = certified.access(alipay_certificate=pem(ALIPAY, CLASS2, NEXT))
    with pytest.raises(OutcomeUnknown) as doubt:
        await certified.query(certified.node(WAITING, by="next"), both)
    assert doubt.value.code == "bad_signature"
    new = certified.node(WAITING, by="next", sn=certificates.serial(NEXT))
    assert (await certified.query(new, both))[0].state is ChannelState.PENDING


def _handed_out(given: x509.Certificate, *bundle: x509.Certificate) -> dict[str, str]:
    return {
        "code": "10000",
        "msg": "Success",
        "alipay_cert_content": base64.b64encode(pem(given, *bundle).encode()).decode(),
    }


async def test_a_new_platform_certificate_is_fetched_once_and_believed_for_its_chain(certified: Certified) -> None:
    heard: list[str] = []

    def gateway(request: Any) -> bytes:
        sent = asked(request)
        heard.append(sent["method"])
        if sent["method"] == DOWNLOAD:
            assert sent["biz_content"] == {"alipay_cert_sn": certificates.serial(NEXT)}
            return answer(DOWNLOAD, _handed_out(NEXT, CLASS2), by="next")
        return certified.node(WAITING, by="next", sn=certificates.serial(NEXT))

    async with certified.world.adapter(gateway) as alipay:
        access = certified.access()
        for _ in range(3):
            assert (await alipay.query(access, NUMBER)).state is ChannelState.PENDING
        # From now on a notice that is signed with it is believed too.
        fields = notice_fields()
        assert (await alipay.read(access, {}, form(signed_notice(fields, by="next")), now=NOW)).report
    assert heard == [QUERY, DOWNLOAD, QUERY, QUERY]


NEVER_ISSUED = certificate("next", "class2", signer="thief")
STRANGER = certificate("next", "thief-root")
EXPIRED = certificate("next", "class2", until=2021)


@pytest.mark.parametrize(
    ("named", "content"),
    [
        (NEVER_ISSUED, _handed_out(NEVER_ISSUED, CLASS2)),
        (STRANGER, _handed_out(STRANGER, OTHER_ROOT)),
        (EXPIRED, _handed_out(EXPIRED, CLASS2)),
        (NEXT, _handed_out(NEXT)),  # without what leads to the root
        (NEXT, _handed_out(ALIPAY, CLASS2)),  # not what we asked for
        (NEXT, {"code": "10000", "alipay_cert_content": "!!"}),
        (NEXT, {"code": "10000", "alipay_cert_content": base64.b64encode(b"nothing").decode()}),
        (NEXT, {"code": "40004", "sub_code": "CERT_NOT_EXIST"}),
    ],
)
async def test_a_certificate_that_the_root_does_not_vouch_for_is_not_believed(
    certified: Certified, named: x509.Certificate, content: dict[str, str]
) -> None:
    said = {
        QUERY: certified.node(WAITING, by="next", sn=certificates.serial(named)),
        DOWNLOAD: answer(DOWNLOAD, content, by="next"),
    }
    with pytest.raises(OutcomeUnknown) as doubt:
        await certified.query(said, certified.access(alipay_root_certificate=pem(ROOT)))
    assert doubt.value.code == "certificate_untrusted"


async def test_a_notice_never_makes_us_ask_for_a_certificate(certified: Certified) -> None:
    def never(_: object) -> None:
        raise AssertionError("anybody can send a notice")

    fields = notice_fields() | {"alipay_cert_sn": certificates.serial(NEXT)}
    async with certified.world.adapter(never) as alipay:
        with pytest.raises(NoticeRejected):
            await alipay.read(certified.access(), {}, form(signed_notice(fields, by="next")), now=NOW)
        # One that names a certificate is verified with that one.
        fields["alipay_cert_sn"] = certificates.serial(ALIPAY)
        with pytest.raises(NoticeRejected):
            await alipay.read(certified.access(), {}, form(signed_notice(fields, by="next")), now=NOW)
        assert (await alipay.read(certified.access(), {}, form(signed_notice(fields)), now=NOW)).report


async def test_a_notice_without_a_serial_is_verified_with_what_we_hold(certified: Certified) -> None:
    async with certified.world.adapter(lambda _: b"") as alipay:
        body = form(signed_notice(notice_fields()))
        assert (await alipay.read(certified.access(), {}, body, now=NOW)).report
        with pytest.raises(NoticeRejected):
            await alipay.read(certified.access(), {}, form(signed_notice(notice_fields(), by="thief")), now=NOW)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"app_certificate": pem(certificate("next", "class2"))}, "app_certificate_invalid"),  # another key's
        (
            {"app_certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"},
            "app_certificate_invalid",
        ),
        ({"app_certificate": "MIIC"}, "app_certificate_invalid"),
        ({"alipay_certificate": ""}, "alipay_certificate_invalid"),
        ({"alipay_certificate": pem(APP, CLASS2)}, "alipay_certificate_invalid"),  # our own in its place
        ({"alipay_certificate": pem(ALIPAY)}, "alipay_certificate_invalid"),  # without the intermediate one
        (
            {"alipay_certificate": pem(certificate("alipay", "class2", signer="thief"), CLASS2)},
            "alipay_certificate_invalid",
        ),
        ({"alipay_root_certificate": ""}, "alipay_root_certificate_invalid"),
        ({"alipay_root_certificate": pem(OTHER_ROOT)}, "alipay_certificate_invalid"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_refused_by_name(
    certified: Certified, changes: dict[str, str], code: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        keys.load(certified.world.vault, certified.access(**changes).credential, SELLER)
    assert refusal.value.code == code


def test_the_files_of_alipays_console_load_as_they_are(certified: Certified) -> None:
    loaded = keys.load(certified.world.vault, certified.access().credential, SELLER)
    assert set(loaded.alipay) == {certificates.serial(ALIPAY)}
    windows = certified.access(alipay_certificate=pem(ALIPAY, CLASS2).replace("\n", "\r\n"))
    assert set(keys.load(certified.world.vault, windows.credential, SELLER).alipay) == {certificates.serial(ALIPAY)}
