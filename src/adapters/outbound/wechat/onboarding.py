"""Sub-merchants of a service provider (特约商户进件, https://pay.weixin.qq.com/doc/v3/partner/4012719997)."""

import copy
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from adapters.channel_wire import Unreadable
from adapters.outbound.wechat import answers
from adapters.outbound.wechat.reports import text
from adapters.outbound.wechat.sdk import Merchant
from domain.applyments import ApplymentReport, ApplymentStatus, Form, Rejection
from domain.channels import Access, ChannelAccount, Credential
from domain.errors import ChannelRejected, InvalidRequest, OutcomeUnknown

Ask = Callable[[Access, Callable[[Merchant], Awaitable[tuple[int, Any]]]], Awaitable[tuple[int, Mapping[str, Any]]]]

_CODE = re.compile(r"[0-9A-Za-z_]{1,124}")
# 查询申请单状态: applyment_state. EDITTING is how they spell it.
_STATES = {
    "APPLYMENT_STATE_EDITTING": ApplymentStatus.EDITING,
    "APPLYMENT_STATE_AUDITING": ApplymentStatus.AUDITING,
    "APPLYMENT_STATE_REJECTED": ApplymentStatus.REJECTED,
    "APPLYMENT_STATE_TO_BE_CONFIRMED": ApplymentStatus.TO_BE_CONFIRMED,
    "APPLYMENT_STATE_TO_BE_SIGNED": ApplymentStatus.TO_BE_SIGNED,
    "APPLYMENT_STATE_SIGNING": ApplymentStatus.SIGNING,
    "APPLYMENT_STATE_FINISHED": ApplymentStatus.FINISHED,
    "APPLYMENT_STATE_CANCELED": ApplymentStatus.CANCELED,
}
_ABSENT = ("APPLYMENT_NOT_EXIST", "NO_STATEMENT_EXIST")


class WechatOnboarding:
    """Onboarding. The SDK encrypts the names, numbers and addresses of people in a form; what else is in it goes as it
    is (提交申请单 says what). What the SDK encrypts it writes into the form: it gets a copy."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def upload(self, credential: Credential, name: str, image: bytes) -> str:
        """图片上传. Only the image's name and digest are signed."""
        status, answer = await self._ask(_provider(credential), lambda wechat: wechat.upload(name, image))
        answers.accepted(status, answer, success=200)
        return _said(answer, "media_id")

    async def apply(self, credential: Credential, code: str, form: Form) -> str:
        _checked(code)
        sections = copy.deepcopy(dict(form))
        status, answer = await self._ask(
            _provider(credential), lambda wechat: wechat.applyment_submit(business_code=code, **sections)
        )
        answers.accepted(status, answer, success=200)
        return str(answer.get("applyment_id") or "")

    async def query_applyment(self, credential: Credential, code: str) -> ApplymentReport:
        _checked(code)
        status, answer = await self._ask(_provider(credential), lambda wechat: wechat.applyment_query(code))
        if answers.absent(status, answer, *_ABSENT):
            return ApplymentReport(status=None)
        answers.accepted(status, answer, success=200)
        if answer.get("business_code") != code:
            raise OutcomeUnknown("WeChat Pay answered for another application", code="answer_mismatch")
        said = _said(answer, "applyment_state")
        if said not in _STATES:
            raise OutcomeUnknown(f"unknown applyment_state {said[:40]!r}", code="answer_invalid")
        rejections = answer.get("audit_detail") or []
        return ApplymentReport(
            status=_STATES[said],
            channel_id=str(answer["applyment_id"]) if answer.get("applyment_id") else None,
            sub_mchid=answer.get("sub_mchid") or None,
            sign_url=answer.get("sign_url") or None,
            rejections=[_rejection(one) for one in rejections if isinstance(one, dict)],
        )


def _rejection(one: Mapping[str, Any]) -> Rejection:
    return Rejection(*(str(one.get(name) or "")[:300] for name in ("field", "field_name", "reject_reason")))


def _said(answer: Mapping[str, Any], name: str) -> str:
    try:
        return text(answer, name)
    except Unreadable as error:
        raise OutcomeUnknown(str(error), code=error.code) from error


def _checked(code: str) -> None:
    if not _CODE.fullmatch(code):
        raise ChannelRejected("a business code has letters, digits and underscores", code="number_invalid")


def _provider(credential: Credential) -> Access:
    """The provider speaks for itself: there is no sub-merchant yet."""
    if credential.provider is None:
        raise InvalidRequest("this is no service provider's credential", code="credential_no_provider")
    account = ChannelAccount(
        id=f"provider-{credential.id}",
        channel=credential.channel,
        mode=credential.mode,
        credential_id=credential.id,
        payee=credential.provider,
        methods=frozenset(),
    )
    return Access(account, credential)
