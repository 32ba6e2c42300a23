"""The Alipay adapter: all its ways to pay, bar codes, refunds, the payer's identity and notices, with keys or
certificates, for a merchant of its own or as a service provider."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import IO, Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import httpx

from adapters.channel_wire import LoadedOnce, Unreadable, in_time
from adapters.outbound.alipay import bills, keys, notices, openings, refunds
from adapters.outbound.alipay.payouts import AlipayPayouts
from adapters.outbound.alipay.refusals import ABSENT, NOT_OPEN, TAKEN, accepted, refunded, sub_code
from adapters.outbound.alipay.reports import charged, report, text
from adapters.outbound.alipay.sdk import Gateway, UnknownSerial
from adapters.outbound.alipay.sharing import AlipaySharing
from adapters.outbound.alipay.transport import download, post
from application.ports.channels import NoticeAnswer
from application.ports.world import Vault
from domain.channels import (
    Access,
    ActionType,
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
from domain.errors import ChannelRejected, ChannelUnavailable, OutcomeUnknown
from domain.statements import FundLine, Lines, StatementKind
from domain.times import SHANGHAI

_BROWSER = frozenset({Method.ALIPAY_PAGE, Method.ALIPAY_WAP})
_CALLED = {Method.ALIPAY_QR: (ActionType.QR_CODE, "qr_code"), Method.ALIPAY_JSAPI: (ActionType.SDK, "trade_no")}
_DOWNLOAD = "alipay.open.app.alipaycert.download"
_BILLS = "alipay.data.dataservice.bill.downloadurl.query"
_BILLS_BY = time(12)  # of the next day in Shanghai; they are made from 9 and to be used from 10
_DOWNLOAD_SECONDS = 120.0


class Alipay:
    """ChannelAdapter, Charging, Refunding, PayerIdentity and Statements. ``gateways`` has the whole address of
    gateway.do for each mode in use; ``payouts`` is its Payouts, ``sharing`` its Sharing.

    A credential's ``public`` has ``alipay_public_key``, or in certificate mode ``app_certificate``,
    ``alipay_certificate`` and ``alipay_root_certificate``; its sealed JSON ``app_private_key``; its ``provider`` is
    sys_service_provider_id. ``app_id`` is the application, an account's ``payee`` the seller_id, its sealed JSON may
    have the ``app_auth_token`` of the merchant that authorised a service provider. Besides ChannelError the calls
    raise InvalidRequest for a credential or mode that is not set up.
    """

    methods = frozenset(openings.PRODUCTS)
    funds: tuple[str, ...] = ("BASIC",)

    def __init__(
        self, vault: Vault, client: httpx.AsyncClient, gateways: Mapping[Mode, str], *, deadline_seconds: float = 10.0
    ) -> None:
        self._vault = vault
        self._client = client
        self._gateways = gateways
        self._deadline = deadline_seconds
        self._apps = LoadedOnce(
            lambda credential, payee: Gateway(credential.app_id, keys.load(vault, credential, payee))
        )
        self.payouts = AlipayPayouts(self._ask)
        self.sharing = AlipaySharing(self._ask)

    def check(self, credential: Credential, payee: str) -> None:
        """Raises InvalidRequest, naming the field, for material that could not sign or verify. Blocks for 0.1 s."""
        keys.load(self._vault, credential, payee)

    # ── Collecting ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self, access: Access, opening: Opening) -> PayerAction:
        """What the payer needs. Page, wap and app are signed here and first heard of when the payer gets there.

        A browser POSTs the form: as an address, with a long Chinese subject, it may be longer than servers take.
        """
        method, biz = openings.PRODUCTS[opening.method].method, openings.wanted(access, opening)
        if opening.method in _CALLED:
            type_, name = _CALLED[opening.method]
            answer = await self._ask(access, method, biz, notify_url=opening.notice_url)
            accepted(answer)
            return PayerAction(type_, _of(answer, opening.number, name))
        address, gateway = self._address(access), await self._apps.of(access)
        common = {"notify_url": opening.notice_url, "app_auth_token": self._token(access)}
        if opening.method not in _BROWSER:
            return PayerAction(ActionType.SDK, gateway.request(method, biz, **common).decode())
        fields = gateway.fields(method, biz, return_url=opening.return_url, **common)
        # The charset must be known before the form is read.
        return PayerAction(ActionType.FORM, f"{address}?charset={fields.pop('charset')}", fields)

    async def query(self, access: Access, number: str) -> ChannelReport:
        answer = await self._ask(access, "alipay.trade.query", {"out_trade_no": number})
        if sub_code(answer) == ABSENT:
            return ChannelReport(number, ChannelState.ABSENT, detail=ABSENT)
        accepted(answer)
        _of(answer, number, "trade_status")
        try:
            return report(answer, app_id=access.credential.app_id, payee=access.account.payee)
        except Unreadable as error:
            raise OutcomeUnknown(str(error), code=error.code) from error

    async def close(self, access: Access, number: str) -> None:
        async with in_time("Alipay", self._deadline):
            answer = await self._ask(access, "alipay.trade.close", {"out_trade_no": number})
            if sub_code(answer) == ABSENT:
                return
            if sub_code(answer) in NOT_OPEN:
                _closed((await self.query(access, number)).state)
                return
        accepted(answer)
        if answer.get("out_trade_no", number) != number:
            raise OutcomeUnknown("Alipay answered for another number", code="answer_mismatch")

    # ── Charging ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def charge(self, access: Access, opening: Opening) -> ChannelReport:
        """A number that stands for a trade already is no failure of it: what became of that trade is asked."""
        async with in_time("Alipay", self._deadline):
            method, biz = openings.PRODUCTS[Method.ALIPAY_BARCODE].method, openings.wanted(access, opening)
            answer = await self._ask(access, method, biz, notify_url=opening.notice_url)
            if sub_code(answer) in TAKEN:
                return await self.query(access, opening.number)
        if answer.get("code") != "10003":  # waiting for the payer's password is no refusal
            accepted(answer)
        _of(answer, opening.number, "trade_no")
        try:
            return charged(answer, app_id=access.credential.app_id, payee=access.account.payee)
        except Unreadable as error:
            raise OutcomeUnknown(str(error), code=error.code) from error

    async def reverse(self, access: Access, number: str) -> None:
        """alipay.trade.cancel: closes the trade, or gives the money back. retry_flag Y means that it has done neither
        yet, whatever the code beside it says."""
        answer = await self._ask(access, "alipay.trade.cancel", {"out_trade_no": number})
        if answer.get("retry_flag") == "Y":
            raise OutcomeUnknown("Alipay asks to cancel again", code="cancel_again")
        if sub_code(answer) == ABSENT:
            return
        refunded(answer)
        if _of(answer, number, "retry_flag") != "N":
            raise OutcomeUnknown("Alipay does not say whether it is cancelled", code="answer_invalid")

    # ── Refunding ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def refund(self, access: Access, request: RefundRequest) -> RefundReport:
        """Alipay refunds while it answers. fund_change N says that this call moved nothing: either an earlier one with
        the number did, or nothing will yet, and only the query tells."""
        async with in_time("Alipay", self._deadline):
            answer = await self._ask(access, "alipay.trade.refund", refunds.wanted(request))
            refunded(answer)
            try:
                if (report := refunds.done(answer, request)) is not None:
                    return report
            except Unreadable as error:
                raise OutcomeUnknown(str(error), code=error.code) from error
            found = await self.query_refund(access, request)
        if found.state is not RefundState.SUCCEEDED:
            raise OutcomeUnknown("Alipay neither refunds it nor refuses to", code="fund_change")
        return found

    async def query_refund(self, access: Access, request: RefundRequest) -> RefundReport:
        biz = {
            "out_trade_no": request.payment_number,
            "out_request_no": request.number,
            "query_options": ["gmt_refund_pay"],
        }
        answer = await self._ask(access, "alipay.trade.fastpay.refund.query", biz)
        if sub_code(answer) == ABSENT:
            return refunds.absent(request, ABSENT)
        refunded(answer)
        try:
            return refunds.found(answer, request)
        except Unreadable as error:
            raise OutcomeUnknown(str(error), code=error.code) from error

    # ── Who pays ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def authorize_url(self, access: Access, redirect_uri: str, state: str) -> str:
        """auth_base asks the payer nothing. The page stands beside the gateway, under Alipay's name for it."""
        place = urlsplit(self._address(access))
        host = "openauth" + place.netloc.removeprefix("openapi") if place.netloc.startswith("openapi") else place.netloc
        asked = {"app_id": access.paying_app, "scope": "auth_base", "redirect_uri": redirect_uri, "state": state}
        return urlunsplit((place.scheme, host, "/oauth2/publicAppAuthorize.htm", urlencode(asked), ""))

    async def payer_id(self, access: Access, code: str, method: Method = Method.ALIPAY_JSAPI) -> str:
        """The user id, or the open id for an application that is given those. Only a code for the merchant's own app is
        exchanged with its app_auth_token (服务商代商家获取会员信息)."""
        del method  # Alipay's page and its mini-program give the same kind of code
        common = {"grant_type": "authorization_code", "code": code}
        answer = await self._ask(
            access, "alipay.system.oauth.token", {}, own=access.account.sub_app_id is None, **common
        )
        if str(answer.get("sub_code") or "").endswith("code-invalid"):
            raise ChannelRejected("Alipay does not know this code (any more)", code="payer_code_invalid")
        if "code" in answer:  # a success has none
            accepted(answer)
        try:
            return text(answer, "user_id" if answer.get("user_id") else "open_id")
        except Unreadable as error:
            raise OutcomeUnknown(str(error), code=error.code) from error

    # ── Statements ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def fetch(
        self, access: Access, kind: StatementKind, day: date, into: IO[bytes], *, fund: str = "BASIC"
    ) -> bool:
        """Asked before the bills of a day are surely made, Alipay says of every one that it does not exist."""
        bill_type = "trade" if kind is StatementKind.TRADE else "signcustomer"
        answer = await self._ask(access, _BILLS, {"bill_type": bill_type, "bill_date": day.isoformat()})
        if "bill_not_exist" in str(answer.get("sub_code") or "").lower():
            if datetime.now(SHANGHAI) < datetime.combine(day + timedelta(days=1), _BILLS_BY, SHANGHAI):
                raise ChannelUnavailable("Alipay has not made this bill yet", code="bill_not_ready")
            return False
        if answer.get("code") == "40006":
            raise ChannelRejected("this account may not have that bill", code="bill_not_permitted")
        accepted(answer)
        try:
            address = text(answer, "bill_download_url")
        except Unreadable as error:
            raise OutcomeUnknown(str(error), code=error.code) from error
        await download(self._client, address, into, most=bills.LARGEST, seconds=_DOWNLOAD_SECONDS)
        return True

    def trade_lines(self, access: Access, day: date, source: IO[bytes]) -> Iterator[Lines]:
        return bills.trade_lines(access, day, source)

    def fund_lines(self, access: Access, day: date, source: IO[bytes], *, fund: str = "BASIC") -> Iterator[FundLine]:
        return bills.fund_lines(access, day, source, fund)

    # ── Notices ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def read(self, access: Access, headers: Mapping[str, str], body: bytes, *, now: datetime) -> ChannelNotice:
        return notices.read(await self._apps.of(access), access, body)

    def answer(self, *, accepted: bool) -> NoticeAnswer:
        """Exactly ``success``, or Alipay repeats the notice: eight times within 25 hours."""
        if accepted:
            return NoticeAnswer(200, "text/plain", b"success")
        return NoticeAnswer(400, "text/plain", b"fail")

    # ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _ask(
        self, access: Access, method: str, biz: Mapping[str, object], *, own: bool = False, **common: str | None
    ) -> Mapping[str, Any]:
        """One call, believed. ``own``: as ourselves, not for the merchant that authorised us."""
        address = self._address(access)
        async with in_time("Alipay", self._deadline):
            gateway = await self._apps.of(access)
            token = None if own else self._token(access)
            raw = await post(self._client, address, gateway.request(method, biz, app_auth_token=token, **common))
            try:
                return gateway.believe(method, raw)
            except UnknownSerial as unknown:
                await self._learn(address, gateway, unknown.serial)
                return gateway.believe(method, raw)

    async def _learn(self, address: str, gateway: Gateway, serial: str) -> None:
        """Alipay has changed its platform certificate: it hands out the new one, which our root must vouch for.

        Only an answer leads here, never a notice, or anybody could make us ask.
        """
        raw = await post(self._client, address, gateway.request(_DOWNLOAD, {"alipay_cert_sn": serial}))
        answer = gateway.unverified(_DOWNLOAD, raw)
        try:
            pem = base64.b64decode(text(answer, "alipay_cert_content"), validate=True).decode()
        except (Unreadable, binascii.Error, ValueError) as error:
            raise OutcomeUnknown("Alipay does not hand out its certificate", code="certificate_untrusted") from error
        gateway.learn(serial, pem, now=datetime.now(UTC))

    def _address(self, access: Access) -> str:
        address = self._gateways.get(access.account.mode)
        if address is None:
            raise ChannelUnavailable(f"no Alipay gateway for {access.account.mode}", code="gateway_missing")
        return address

    def _token(self, access: Access) -> str | None:
        return keys.app_auth_token(self._vault, access.account)


def _closed(state: ChannelState) -> None:
    """What a trade that no longer waits for its buyer means for the one who asked to close it."""
    if state is ChannelState.PAID:
        raise ChannelRejected("it has been paid", code="trade_paid")
    if state is ChannelState.PENDING:
        raise OutcomeUnknown("Alipay neither closes it nor says that it was paid")


def _of(answer: Mapping[str, Any], number: str, name: str) -> str:
    """A field of an answer that speaks of this number and no other."""
    try:
        said, value = text(answer, "out_trade_no"), text(answer, name)
    except Unreadable as error:
        raise OutcomeUnknown(str(error), code=error.code) from error
    if said != number:
        raise OutcomeUnknown("Alipay answered for another number", code="answer_mismatch")
    return value
