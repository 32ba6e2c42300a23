"""python-alipay-sdk with each of its traps closed. No other module imports it."""

import base64
import binascii
import json
import logging.config
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from adapters.outbound.alipay import certificates
from adapters.outbound.alipay.keys import AppKeys
from domain.errors import ChannelError, ChannelUnavailable, OutcomeUnknown
from domain.times import SHANGHAI


@contextmanager
def _logging_left_alone() -> Iterator[None]:
    """The SDK configures logging while it is imported, which closes every handler that stood before."""
    configure = logging.config.dictConfig
    setattr(logging.config, "dictConfig", lambda _: None)  # noqa: B010  an assignment is what mypy forbids
    try:
        yield
    finally:
        setattr(logging.config, "dictConfig", configure)  # noqa: B010


with _logging_left_alone():
    from alipay import AliPay

# Refusals that come before anything is done (公共错误码): missing, invalid or forbidden parameters, an unknown
# application, a signature that does not fit, too many calls.
_NOT_HEARD = frozenset({"20001", "40001", "40002", "40003", "40005", "40006"})


class UnknownSerial(Exception):
    """Signed with a platform certificate that we do not hold: ``serial`` is what to ask Alipay for."""

    def __init__(self, serial: str) -> None:
        super().__init__(serial)
        self.serial = serial


class Gateway(AliPay):  # type: ignore[misc]  # the SDK has no types
    """Builds and signs requests, and believes answers, for one application. RSA2 only."""

    def __init__(self, app_id: str, keys: AppKeys) -> None:
        self._keys = keys
        self._alipay = dict(keys.alipay)  # grows by what ``learn`` has checked
        super().__init__(appid=app_id, sign_type="RSA2")

    @property
    def certified(self) -> bool:
        return self._keys.certified is not None

    def request(self, method: str, biz_content: Mapping[str, object], **common: str | None) -> bytes:
        """A signed form. The timestamp is Beijing's, whatever this machine's zone."""
        signed: str = self.sign_data(self._body(method, biz_content, common))
        return signed.encode("ascii")

    def fields(self, method: str, biz_content: Mapping[str, object], **common: str | None) -> dict[str, str]:
        """The same as fields that the payer's browser sends."""
        return dict(parse_qsl(self.request(method, biz_content, **common).decode(), strict_parsing=True))

    def _body(
        self, method: str, biz_content: Mapping[str, object], common: Mapping[str, str | None]
    ) -> dict[str, object]:
        timestamp = datetime.now(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
        given = {name: value for name, value in common.items() if value is not None}
        if certified := self._keys.certified:
            given |= {"app_cert_sn": certified.app_serial, "alipay_root_cert_sn": certified.root_serial}
        body: dict[str, object] = self.build_body(method, dict(biz_content), timestamp=timestamp, **given)
        return body

    def believe(self, method: str, answer: bytes) -> Mapping[str, Any]:
        """The content of an answer that Alipay has signed, business refusals included.

        Raises ChannelUnavailable for an unsigned word of the gateway that it did not take the request, UnknownSerial
        for a certificate that could be asked for, OutcomeUnknown for whatever else is not signed, not rightly signed
        or not readable.
        """
        whole, signed, content = self._read(method, answer)
        if "sign" not in whole or ("error_response" in whole and whole["sign"] == ""):
            raise _unsigned(content)
        if not self._rightly(signed, whole["sign"], self._serial(whole)):
            raise OutcomeUnknown("Alipay's answer has a wrong signature", code="bad_signature")
        return content

    def unverified(self, method: str, answer: bytes) -> Mapping[str, Any]:
        """The content of an answer that is trusted for other reasons than its signature."""
        return self._read(method, answer)[2]

    def _read(self, method: str, answer: bytes) -> tuple[dict[str, Any], str, dict[str, Any]]:
        """The whole answer, the text in it that is to be verified, and what that text says. Raises OutcomeUnknown."""
        try:
            text = answer.decode()
            whole = json.loads(text)
            node = method.replace(".", "_") + "_response"
            signed = self._get_string_to_be_signed(text, node if node in whole else "error_response")
            # Read from what is verified, and from nothing beside it.
            content = json.loads(signed)
        except (ValueError, TypeError, RecursionError) as error:
            raise OutcomeUnknown("Alipay's answer cannot be read", code="answer_invalid") from error
        if not isinstance(whole, dict) or not isinstance(content, dict):
            raise OutcomeUnknown("Alipay's answer is not an object", code="answer_invalid")
        return whole, signed, content

    def _serial(self, answer: Mapping[str, object]) -> str:
        if not self.certified:
            return ""
        serial = answer.get("alipay_cert_sn")
        if not isinstance(serial, str) or not serial:
            raise OutcomeUnknown("Alipay's answer names no certificate", code="certificate_missing")
        if serial not in self._alipay:
            raise UnknownSerial(serial)
        return serial

    def signed(self, fields: Mapping[str, str], signature: str) -> bool:
        """Whether Alipay has signed these fields of a notice (``sign`` and ``sign_type`` taken out).

        A notice that names its certificate is verified with that one; others with any that we hold.
        """
        message = "&".join(f"{name}={value}" for name, value in sorted(fields.items()))
        named = fields.get("alipay_cert_sn") if self.certified else None
        serials = [named] if named else list(self._alipay)
        return any(self._rightly(message, signature, serial) for serial in serials)

    def learn(self, serial: str, pem: str, *, now: datetime) -> None:
        """Takes up a platform certificate that Alipay handed out, if it is what it is said to be.

        Its chain to our root certificate is what makes it Alipay's, not the way it came. Raises OutcomeUnknown.
        """
        certified = self._keys.certified
        try:
            bundle = certificates.read(pem)
            leaf = certificates.leaves(bundle)[0]
            good = (
                certified is not None
                and certificates.serial(leaf) == serial
                and certificates.in_force(leaf, now)
                and certificates.trusted(leaf, bundle, certified.roots)
            )
            key = certificates.rsa_key(leaf)
        except (ValueError, IndexError) as error:
            raise OutcomeUnknown("Alipay's certificate cannot be read", code="certificate_untrusted") from error
        if not good:
            raise OutcomeUnknown("this certificate is not one of Alipay's", code="certificate_untrusted")
        self._alipay[serial] = key

    def _load_key(self) -> None:
        """Our keys are loaded: by cryptography, three times as fast to sign and twenty-five times to verify."""

    def _sign(self, unsigned_string: str) -> str:
        return base64.b64encode(self._keys.app.sign(unsigned_string.encode(), PKCS1v15(), SHA256())).decode()

    def _rightly(self, message: str, signature: object, serial: str) -> bool:
        key = self._alipay.get(serial)
        if key is None:
            return False
        try:
            plain = base64.b64decode(signature, validate=True) if isinstance(signature, str) else b""
            key.verify(plain, message.encode(), PKCS1v15(), SHA256())
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        # Base64 has spare bits at its end: only the one spelling counts.
        return base64.b64encode(plain).decode() == signature

    def _get_string_to_be_signed(self, raw_string: str, response_type: str) -> str:
        """The signed text as it was sent. The SDK counts braces, and stumbles over one inside a string."""
        start = raw_string.index("{", raw_string.index(f'"{response_type}"'))
        _, end = json.JSONDecoder().raw_decode(raw_string, start)
        return raw_string[start:end]


def _unsigned(content: Mapping[str, object]) -> ChannelError:
    code, detail = str(content.get("code")), f"{content.get('code')} {content.get('sub_code')}"[:100]
    if code in _NOT_HEARD:
        return ChannelUnavailable(f"Alipay's gateway refused the request: {detail}")
    return OutcomeUnknown(f"Alipay's answer is not signed: {detail}", code="unsigned_answer")
