"""The WeChat Pay adapter: orders by every method, bar codes, refunds, the payer's identity, and notices."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import IO, Any

import httpx

from adapters.channel_wire import LoadedOnce, Unreadable, in_time
from adapters.outbound.wechat import answers, bill_lines, bills, identity, keys, notices, openings, parties
from adapters.outbound.wechat.certificates import PlatformCertificates
from adapters.outbound.wechat.onboarding import WechatOnboarding
from adapters.outbound.wechat.payouts import WechatPayouts
from adapters.outbound.wechat.reports import refund_report, report
from adapters.outbound.wechat.sdk import Merchant
from adapters.outbound.wechat.sharing import WechatSharing
from adapters.outbound.wechat.signatures import Sealing, Signatures
from adapters.outbound.wechat.transport import Verify
from application.ports.channels import NoticeAnswer
from application.ports.world import Vault
from domain.channels import (
    Access,
    ChannelNotice,
    ChannelReport,
    ChannelState,
    Credential,
    Method,
    Mode,
    Opening,
    PayerAction,
    RefundReport,
    RefundRequest,
    RefundState,
)
from domain.errors import ChannelRejected, ChannelUnavailable, InvalidRequest, OutcomeUnknown
from domain.redirections import Card, Destination
from domain.statements import FundLine, Lines, StatementKind

# WeChat Pay allows | and * too, but the SDK signs a path before it is escaped.
_NUMBER = re.compile(r"[0-9A-Za-z_-]{6,32}")
_REASON_BYTES = 80


class WechatPay:
    """ChannelAdapter, Redirecting and Statements; ``payouts`` is its Payouts, ``sharing`` its Sharing, ``onboarding``
    its Onboarding.

    ``gateways``, ``pages`` and ``hosts`` have an address for each mode in use: scheme and host of the merchant API,
    the OAuth page, and scheme and host of what turns codes into openids.

    A credential's ``public`` has ``mch_serial`` and what verifies WeChat Pay (``keys.load``); its sealed JSON
    ``mch_private_key``, ``apiv3_key`` and, where payers are to be identified, ``app_secret``; ``app_id`` is the appid,
    an account's ``payee`` the mchid. With ``provider`` the credential is a service provider's: ``provider`` is its
    sp_mchid, ``app_id`` its sp_appid, an account's ``payee`` the sub_mchid, ``sub_app_id`` the sub_appid, whose
    ``app_secret`` is in the account's sealed JSON. Besides ChannelError the calls raise InvalidRequest for a
    credential or mode that is not set up, and for an opening that lacks what its method needs.
    """

    methods = frozenset(openings.TYPES)
    funds: tuple[str, ...] = bills.FUNDS

    def __init__(
        self,
        vault: Vault,
        client: httpx.AsyncClient,
        gateways: Mapping[Mode, str],
        *,
        pages: Mapping[Mode, str] | None = None,
        hosts: Mapping[Mode, str] | None = None,
        deadline_seconds: float = 10.0,
    ) -> None:
        self._vault = vault
        self._client = client
        self._gateways = gateways
        self._pages, self._hosts = pages or {}, hosts or {}
        self._deadline = deadline_seconds
        self._keys = LoadedOnce(lambda credential, payee: keys.load(vault, credential, payee))
        self._certificates = PlatformCertificates()
        self.payouts = WechatPayouts(self._ask)
        self.sharing = WechatSharing(self._ask)
        self.onboarding = WechatOnboarding(self._ask)

    def check(self, credential: Credential, payee: str) -> None:
        """Raises InvalidRequest, naming the field, for material that could not sign or verify. Blocks for 0.1 s."""
        keys.identifier({"payee": payee}, "payee")
        keys.load(self._vault, credential, credential.provider or payee)

    # ── Collecting ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self, access: Access, opening: Opening) -> PayerAction:
        """Repeated unchanged before its expiry, WeChat Pay gives a way to pay for the same order."""
        _checked(opening.number)
        if opening.method.is_barcode:
            raise InvalidRequest("a bar code is charged, not opened", code="method_invalid")
        order = openings.order(access, opening)
        async with in_time("WeChat Pay", self._deadline):
            merchant = await self._merchant(access)
            status, text = await merchant.pay(**order)
        answer = answers.content(text)
        answers.accepted(status, answer, success=200)
        try:
            return openings.action(merchant, access, opening, answer)
        except Unreadable as error:
            raise OutcomeUnknown(str(error), code=error.code) from error

    async def query(self, access: Access, number: str) -> ChannelReport:
        _checked(number)
        sub_mchid = parties.sub_merchant(access)
        status, answer = await self._ask(access, lambda wechat: wechat.query(out_trade_no=number, sub_mchid=sub_mchid))
        if status == 404 and answers.code_of(answer) in answers.ABSENT:
            return ChannelReport(number, ChannelState.ABSENT, detail=str(answer["code"]))
        answers.accepted(status, answer, success=200)
        return _reported(access, number, answer)

    async def close(self, access: Access, number: str) -> None:
        _checked(number)
        sub_mchid = parties.sub_merchant(access)
        status, answer = await self._ask(access, lambda wechat: wechat.close(out_trade_no=number, sub_mchid=sub_mchid))
        if status in (400, 403, 404) and answers.code_of(answer) in answers.ABSENT | answers.CLOSED | answers.REVERSED:
            return
        answers.accepted(status, answer, success=204)

    # ── Charging ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def charge(self, access: Access, opening: Opening) -> ChannelReport:
        """Definite are success and the refusals of the documents. USERPAYING waits for a password; SYSTEM_ERROR and
        BANK_ERROR are unknown. A code or number that is said to be used is looked up: it may be ourselves."""
        _checked(opening.number)
        if not opening.method.is_barcode:
            raise InvalidRequest("only a bar code is charged", code="method_invalid")
        order = openings.order(access, opening)
        status, answer = await self._ask(access, lambda wechat: wechat.pay(**order))
        code = answers.code_of(answer)
        if code in answers.PAYING and status < 500:
            return ChannelReport(opening.number, ChannelState.PENDING, detail=code)
        if code in answers.USED and 400 <= status < 500:
            return await self._used(access, opening.number, answers.told(status, answer), code)
        answers.accepted(status, answer, success=200)
        return _reported(access, opening.number, answer)

    async def _used(self, access: Access, number: str, told: str, code: str) -> ChannelReport:
        known = await self.query(access, number)
        if known.state is ChannelState.PAID or known.detail in answers.PAYING:
            return known
        if code in answers.PAID:
            raise OutcomeUnknown(f"WeChat Pay: {told}, but a query does not say so", code="answer_mismatch")
        raise ChannelRejected(f"WeChat Pay: {told}", code=code)

    async def reverse(self, access: Access, number: str) -> None:
        """WeChat Pay closes what is unpaid and gives back what is paid, within seven days; it asks to wait fifteen
        seconds after the charge (https://pay.weixin.qq.com/docs/merchant/apis/code-payment-v3/direct/reverse.html
        and the documents of its second version)."""
        _checked(number)
        sub_app_id, sub_mchid = access.account.sub_app_id, parties.sub_merchant(access)
        status, answer = await self._ask(
            access, lambda wechat: wechat.codepay_reverse(number, sub_appid=sub_app_id, sub_mchid=sub_mchid)
        )
        undone = answers.ABSENT | answers.CLOSED | answers.REVERSED
        if status in (400, 403, 404) and answers.code_of(answer) in undone:
            return
        answers.accepted(status, answer, success=200)
        if answer.get("out_trade_no") != number:
            raise OutcomeUnknown("WeChat Pay answered for another order", code="answer_mismatch")

    # ── Refunding ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def refund(self, access: Access, request: RefundRequest) -> RefundReport:
        """ACCEPTED is all that a good answer says; whether the payer has the money a query or a notice tells."""
        _checked(request.number)
        _checked(request.payment_number)
        amount = {"refund": request.amount.minor, "total": request.total.minor, "currency": request.amount.currency}
        status, answer = await self._ask(
            access,
            lambda wechat: wechat.refund(
                out_refund_no=request.number,
                out_trade_no=request.payment_number,
                amount=amount,
                reason=request.reason.encode()[:_REASON_BYTES].decode(errors="ignore"),
                notify_url=request.notice_url,
                sub_mchid=parties.sub_merchant(access),
            ),
        )
        answers.outgoing_accepted(status, answer)
        return _refunded(request, answer)

    async def query_refund(self, access: Access, request: RefundRequest) -> RefundReport:
        _checked(request.number)
        sub_mchid = parties.sub_merchant(access)
        status, answer = await self._ask(
            access, lambda wechat: wechat.query_refund(request.number, sub_mchid=sub_mchid)
        )
        code = answers.code_of(answer)
        if status == 404 and code in answers.NO_REFUND:
            return RefundReport(
                number=request.number, payment_number=request.payment_number, state=RefundState.ABSENT, detail=code
            )
        answers.accepted(status, answer, success=200)
        return _refunded(request, answer)

    # ── Redirecting ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def redirect(
        self, access: Access, request: RefundRequest, channel_id: str, to: Destination, card: Card | None
    ) -> RefundReport:
        """发起异常退款 (https://pay.weixin.qq.com/doc/v3/merchant/4013071193). The card is encrypted to WeChat Pay."""
        _checked(request.number)
        sub_mchid = parties.sub_merchant(access)
        status, answer = await self._ask(
            access,
            lambda wechat: wechat.abnormal_refund(
                refund_id=channel_id,
                out_refund_no=request.number,
                type="MERCHANT_BANK_CARD" if card is None else "USER_BANK_CARD",
                bank_type=card and card.bank,
                bank_account=card and card.number,
                real_name=card and card.holder,
                sub_mchid=sub_mchid,
            ),
        )
        answers.accepted(status, answer, success=200)
        return _refunded(request, answer)

    # ── PayerIdentity ────────────────────────────────────────────────────────────────────────────────────────────────

    def authorize_url(self, access: Access, redirect_uri: str, state: str) -> str:
        page = _address(self._pages, access, "OAuth page")
        return identity.authorize_url(page, access.paying_app, redirect_uri, state)

    async def payer_id(self, access: Access, code: str, method: Method = Method.WECHAT_JSAPI) -> str:
        host, app_id = _address(self._hosts, access, "API host"), access.paying_app
        async with in_time("WeChat", self._deadline):
            if app_id == access.credential.app_id:
                secret = (await self._loaded(access)).app_secret
            else:
                secret = keys.account_secret(self._vault, access.account)
            if secret is None:
                raise ChannelUnavailable("this app's secret is not set up", code="app_secret_missing")
            return await identity.openid(self._client, host, app_id=app_id, secret=secret, code=code, method=method)

    # ── Statements ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def fetch(
        self, access: Access, kind: StatementKind, day: date, into: IO[bytes], *, fund: str = "BASIC"
    ) -> bool:
        path = bills.path(access, kind, day, fund)
        status, answer = await self._ask(access, lambda wechat: wechat.ask(path))
        found = bills.published(status, answer, kind)
        if found is None:
            return False
        address, digest = found
        if not address.startswith(_address(self._gateways, access, "gateway").rstrip("/") + "/"):
            raise OutcomeUnknown("the bill is said to be at another host", code="answer_invalid")
        async with in_time("WeChat Pay", bills.DOWNLOAD_SECONDS):
            await bills.download(self._client, await self._merchant(access), address, digest, into)
        return True

    def trade_lines(self, access: Access, day: date, source: IO[bytes]) -> Iterator[Lines]:
        return bill_lines.trade_lines(access, day, source)

    def fund_lines(self, access: Access, day: date, source: IO[bytes], *, fund: str = "BASIC") -> Iterator[FundLine]:
        del access  # a fund bill does not say whose it is
        return bill_lines.fund_lines(day, source, fund)

    # ── NoticeReading ────────────────────────────────────────────────────────────────────────────────────────────────

    async def read(self, access: Access, headers: Mapping[str, str], body: bytes, *, now: datetime) -> ChannelNotice:
        loaded = await self._loaded(access)
        signatures = await self._signatures(access, loaded)
        return notices.read(signatures, loaded.apiv3, access, headers, body, now=now)

    def answer(self, *, accepted: bool) -> NoticeAnswer:
        """Any 4xx makes WeChat Pay repeat the notice, and is what its signature probes want to see."""
        if accepted:
            return NoticeAnswer(204, "application/json", b"")
        refusal = json.dumps({"code": "FAIL", "message": "失败"}, ensure_ascii=False)
        return NoticeAnswer(400, "application/json", refusal.encode())

    # ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _ask(
        self, access: Access, call: Callable[[Merchant], Awaitable[tuple[int, Any]]]
    ) -> tuple[int, Mapping[str, Any]]:
        """One call within the deadline: its status and the object in its verified answer."""
        async with in_time("WeChat Pay", self._deadline):
            status, text = await call(await self._merchant(access))
        return status, answers.content(text)

    async def _merchant(self, access: Access) -> Merchant:
        _address(self._gateways, access, "gateway")
        loaded = await self._loaded(access)
        signatures = await self._signatures(access, loaded)
        sealing = signatures.sealing(loaded.public_key_id, datetime.now(UTC))
        return self._speaking_for(access, loaded, signatures.verify, sealing)

    def _speaking_for(
        self, access: Access, loaded: keys.MerchantKeys, verify: Verify, sealing: Sealing | None = None
    ) -> Merchant:
        return Merchant(
            app_id=access.credential.app_id,
            mchid=parties.signatory(access),
            provider=access.credential.provider is not None,
            keys=loaded,
            client=self._client,
            gateway=_address(self._gateways, access, "gateway"),
            verify=verify,
            sealing=sealing,
        )

    async def _loaded(self, access: Access) -> keys.MerchantKeys:
        """A provider's keys are loaded once for all its sub-merchants."""
        return await self._keys.of(replace(access, account=replace(access.account, payee=parties.signatory(access))))

    async def _signatures(self, access: Access, loaded: keys.MerchantKeys) -> Signatures:
        if not loaded.downloads:
            return loaded.wechat
        merchant = (access.credential.id, access.credential.version, parties.signatory(access), access.account.mode)
        return await self._certificates.of(
            merchant, loaded, lambda verify: self._speaking_for(access, loaded, verify).ask("/v3/certificates")
        )


def _address(addresses: Mapping[Mode, str], access: Access, what: str) -> str:
    address = addresses.get(access.account.mode)
    if address is None:
        raise ChannelUnavailable(f"no WeChat Pay {what} for {access.account.mode}", code="gateway_missing")
    return address


def _checked(number: str) -> None:
    if not _NUMBER.fullmatch(number):
        raise InvalidRequest("not a number that WeChat Pay takes as we send it", code="number_invalid")


def _reported(access: Access, number: str, answer: Mapping[str, Any]) -> ChannelReport:
    """A transaction in an answer to us, which must be the one that was asked about."""
    if answer.get("out_trade_no") != number or not parties.ours(answer, access):
        raise OutcomeUnknown("WeChat Pay answered for another order", code="answer_mismatch")
    try:
        return report(answer, lambda told: parties.receiver(told, access))
    except Unreadable as error:
        raise OutcomeUnknown(str(error), code=error.code) from error


def _refunded(request: RefundRequest, answer: Mapping[str, Any]) -> RefundReport:
    if (answer.get("out_refund_no"), answer.get("out_trade_no")) != (request.number, request.payment_number):
        raise OutcomeUnknown("WeChat Pay answered for another refund", code="answer_mismatch")
    try:
        return replace(refund_report(answer), number=request.number)
    except Unreadable as error:
        raise OutcomeUnknown(str(error), code=error.code) from error
