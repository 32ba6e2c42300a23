"""Both adapters keep the channel's contract, with the sandbox at the other end."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import cast
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from adapters.outbound.alipay import Alipay
from adapters.outbound.wechat import WechatPay
from application.ports.channels import ChannelAdapter, PayerIdentity, Payouts, Refunding, Sharing
from domain.channels import Access, Channel, Opening
from tests.contracts.channel import ChannelContract, ChannelTrouble
from tests.contracts.charging import ChargingContract, Wallet
from tests.contracts.giving_back import PayerIdentityContract, RefundingContract
from tests.contracts.paying_out import PayoutsContract, PayoutTrouble
from tests.contracts.sharing import SharingContract
from tests.integration.channels.conftest import Side
from tests.unit.sandbox.box import free_port, new_key

WECHAT_REFUNDS_END = 0.1  # seconds
SHARES_END = 0.3


@dataclass
class SandboxDriver:
    """A payer with a phone, over the sandbox's control API."""

    side: Side
    client: httpx.AsyncClient
    stranger: Access
    next: ChannelAdapter | None = None  # for one call

    @property
    def adapter(self) -> ChannelAdapter:
        adapter, self.next = self.next or self.side.adapter, None
        return adapter

    @property
    def access(self) -> Access:
        return self.side.access

    @property
    def unscanned_is_absent(self) -> bool:
        return self.side.channel is Channel.ALIPAY

    def now(self) -> datetime:
        return datetime.now(UTC)

    def opening(self) -> Opening:
        return self.side.opening()

    async def scan(self, number: str) -> None:
        self.side.sandbox.post("scan", channel=self.side.channel, out_trade_no=number)

    async def pay(self, number: str) -> bool:
        # With its notice: one that was sent keeps its id.
        body = {"channel": self.side.channel, "out_trade_no": number}
        answer = self.side.sandbox.control.post("pay", json=body)
        assert answer.status_code in (200, 409), answer.text
        return answer.status_code == 200

    async def notice(self, number: str) -> tuple[Mapping[str, str], bytes]:
        return self.side.notice(number)

    @property
    def undone_was_paid(self) -> bool:
        return self.side.channel is Channel.ALIPAY

    @property
    def refunding(self) -> Refunding:
        return cast("Refunding", self.adapter)

    @property
    def identity(self) -> PayerIdentity:
        return cast("PayerIdentity", self.adapter)

    async def end_refunds(self) -> None:
        if self.side.channel is Channel.WECHAT:
            await asyncio.sleep(WECHAT_REFUNDS_END + 0.6)  # the sandbox looks twice a second

    @property
    def payouts(self) -> Payouts:
        payouts: Payouts = self.adapter.payouts  # type: ignore[attr-defined]  # of both classes, not of the port
        return payouts

    async def payout_trouble(self, kind: PayoutTrouble) -> None:
        faults = {"short": "funds_short", "refused": "transfer_refused", "fails": "transfer_fails"}
        self.side.sandbox.post("faults", channel=self.side.channel, api="transfer", fault=faults[kind], seconds=0.1)

    async def take(self, number: str, *, leave: bool = False) -> None:
        if self.side.channel is Channel.WECHAT:
            (bill,) = [one for one in self.side.sandbox.get("wechat/transfers") if one["out_bill_no"] == number]
            action = "leave" if leave else "confirm"
            self.side.sandbox.post("wechat/transfers", package_info=bill["package_info"], action=action)

    async def end_payouts(self) -> None:
        await asyncio.sleep(WECHAT_REFUNDS_END + 0.6)  # the sandbox looks twice a second

    async def payout_notice(self, number: str) -> tuple[Mapping[str, str], bytes] | None:
        if self.side.channel is Channel.ALIPAY:
            return None
        sent = self.side.sandbox.get("notices", out_trade_no=number)[-1]
        return sent["headers"], sent["body"].encode()

    @property
    def sharing(self) -> Sharing:
        rail: Sharing = cast("Alipay | WechatPay", self.adapter).sharing
        return rail

    @property
    def receiver(self) -> str:
        return "2088000000000777" if self.side.channel is Channel.ALIPAY else "1900000777"

    async def transaction(self, opening: Opening) -> str:
        number: str = self.side.trade(opening)["transactions"][0]["transaction"]
        return number

    async def end_shares(self) -> None:
        await asyncio.sleep(SHARES_END)

    async def log_in(self) -> str:
        if self.side.channel is Channel.WECHAT:
            asked = {"appid": self.access.credential.app_id, "kind": "page"}
            code: str = self.side.sandbox.post("wechat/login_codes", **asked)["code"]
            return code
        page = self.identity.authorize_url(self.access, "https://pay.example/back", "s")
        answer = await self.client.get(page)
        return parse_qs(urlsplit(answer.headers["Location"]).query)["auth_code"][0]

    async def show_code(self, wallet: Wallet) -> str:
        shown: str = self.side.sandbox.post("codes", channel=self.side.channel, wallet=wallet)["code"]
        return shown

    async def trouble(self, kind: ChannelTrouble) -> None:
        if kind is ChannelTrouble.UNREACHABLE:
            self.next = self.side.elsewhere(self.client, f"http://127.0.0.1:{free_port()}").adapter
        else:
            self.side.sandbox.post("faults", channel=self.side.channel, fault="silent")
            self.next = self.side.hasty(self.client).adapter


@pytest.fixture(scope="module")
def others_key() -> str:
    """The public half of a key that is not our channel's."""
    return new_key()[1]


@pytest.fixture
def driver(side: Side, client: httpx.AsyncClient, others_key: str) -> SandboxDriver:
    credential = side.access.credential
    if side.channel is Channel.ALIPAY:
        public = {"alipay_public_key": others_key}
    else:
        public = {"mch_serial": "BB", "public_key_id": "PUB_KEY_ID_2", "public_key": others_key}
    # Sealed for our credential: under another id it would not even open.
    stranger = replace(side.access, credential=replace(credential, public=public, version=100))
    return SandboxDriver(side, client, stranger)


class TestChannels(ChannelContract):
    pass


class TestCharging(ChargingContract):
    pass


class TestRefunding(RefundingContract):
    @pytest.fixture(autouse=True)
    def at_once(self, side: Side) -> Iterator[None]:
        side.sandbox.post("settings", wechat_refund_gap=0, wechat_refund_seconds=WECHAT_REFUNDS_END)
        yield
        side.sandbox.post("settings", wechat_refund_gap=60, wechat_refund_seconds=1)


class TestPayouts(PayoutsContract):
    @pytest.fixture(autouse=True)
    def at_once(self, side: Side) -> Iterator[None]:
        side.sandbox.post("settings", wechat_refund_seconds=WECHAT_REFUNDS_END)
        yield
        side.sandbox.post("settings", wechat_refund_seconds=1)


class TestSharing(SharingContract):
    @pytest.fixture(autouse=True)
    def soon_done(self, side: Side) -> Iterator[None]:
        side.sandbox.post("settings", share_seconds=SHARES_END / 2)
        yield
        side.sandbox.post("settings", share_seconds=1)


class TestPayerIdentity(PayerIdentityContract):
    pass
