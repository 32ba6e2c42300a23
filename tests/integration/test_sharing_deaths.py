"""kill -9 while a share, its return or an application is on its way to WeChat Pay: taken up again, it is made once.

All of it as a service provider (服务商) for a sub-merchant, over the wire, with the container's own use cases.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from adapters.outbound.sql.promises import SqlPromises
from application.open_merchant import NewAccount
from bootstrap.container import Container, opened
from bootstrap.crashes import arm
from bootstrap.settings import Settings
from domain.actors import SYSTEM
from domain.applyments import Applyment, ApplymentStatus
from domain.channels import Channel, FundMode, Method, Mode
from domain.ledger import Account, AccountKind
from domain.merchants import Caller
from domain.money import FeePlan, Money, Rate
from domain.orders import Order, OrderRequest
from domain.receivers import Receiver, ReceiverWish
from domain.refunds import Refund, RefundStatus, RefundWish
from domain.share_returns import ReturnStatus, ShareReturn
from domain.shares import Share, ShareStatus, ShareWish, WishedPart
from domain.sharing import ReceiverKind, Relation
from tests.integration.stack import settings_of
from tests.unit.sandbox.box import free_port, new_key, running

PROVIDER, APP_ID, SUB_MCHID = "1900000001", "wx0000000000000001", "1900000999"
RECEIVER = "1900000777"
SERIAL, APIV3_KEY = "0" * 39 + "1", "a-key-of-thirty-two-characters-0"
SHARE_DEATHS = ("share.after_intent", "share.after_channel")
RETURN_DEATHS = ("share_return.after_intent", "share_return.after_channel")
APPLYMENT_DEATHS = ("applyment.after_intent", "applyment.after_channel")
SHARING_DEATHS = (*SHARE_DEATHS, *RETURN_DEATHS, *APPLYMENT_DEATHS)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with running(port, tmp_path_factory.mktemp("sandbox")):
        yield f"http://127.0.0.1:{port}"


@dataclass
class Provider:
    """A service provider, one sub-merchant of it, and a receiver that its channel account may share with."""

    container: Container
    control: httpx.AsyncClient
    environment: dict[str, str]
    caller: Caller
    account_id: str
    credential_id: str
    receiver: Receiver

    async def paid(self) -> Order:
        """An order over 100.00 that is to be shared, paid."""
        container = self.container
        asked = OrderRequest(
            merchant_order_no=container.ids().token(12),
            amount=Money(10_000),
            subject="火龙果",
            expires_in=900,
            profit_sharing=True,
        )
        order = await container.place_order()(self.caller, asked)
        attempt = await container.start_attempt()(self.caller, order.id, Method.WECHAT_NATIVE)
        paying = {"channel": "wechat", "out_trade_no": attempt.number, "notify": False}
        (await self.control.post("pay", json=paying)).raise_for_status()
        await container.check_attempt()(attempt)
        return order

    async def asked(self, order: Order) -> Share:
        wish = ShareWish(
            merchant_share_no=order.request.merchant_order_no,
            order_id=order.id,
            parts=(WishedPart(receiver_id=self.receiver.id, amount=Money(1_000), description="佣金"),),
        )
        return await self.container.request_share()(self.caller, wish)

    async def now(self, share: Share) -> Share:
        return await self.container.find_share()(self.caller, share.id)

    async def at_the_channel(self, order: Order) -> dict[str, Any]:
        async with self.container.database().unit_of_work() as uow:
            (attempt,) = await uow.attempts.of_order(order.id)
        asked = {"channel": "wechat", "out_trade_no": attempt.number}
        (trade,) = (await self.control.get("trades", params=asked)).json()
        return dict(trade)

    async def held(self) -> int:
        """What stands in the merchant's own channel account, as our books have it."""
        account = Account(AccountKind.DIRECT_HELD, self.account_id, Mode.TEST, "CNY")
        async with self.container.database().unit_of_work() as uow:
            return -await uow.ledger.balance(account)

    async def dies(self, name: str, *words: str) -> None:
        """A process of its own does it and is killed at that place."""
        bare = {name: value for name, value in os.environ.items() if not name.startswith("PITAYA_")}
        died = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "tests.integration.test_sharing_deaths", *words],
            capture_output=True,
            text=True,
            timeout=120,
            env=bare | self.environment | {"PITAYA_CRASH": f"{name}:1"},
            start_new_session=True,
        )
        assert died.returncode == -signal.SIGKILL, died.stderr

    async def swept(self, job: str, table: str) -> None:
        """What the next sweep does when the dead one's rung has passed."""
        async with self.container.database().engine.begin() as connection:
            await connection.exec_driver_sql(
                f"UPDATE {table} SET next_at = now() WHERE next_at < now() + interval '1 h'"
            )
        await self.container.sweeps()[job]()

    async def right(self) -> None:
        breaches = await SqlPromises(self.container.database().engine, lag=timedelta(minutes=5)).broken()
        assert [each for each in breaches if each.promise.startswith(("M", "R"))] == []


@pytest_asyncio.fixture
async def provider(database_url: str, redis_url: str, sandbox: str) -> AsyncIterator[Provider]:
    environment = settings_of(database_url, redis_url, "https://pay.example", sandbox)
    async with AsyncExitStack() as stack:
        control = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"{sandbox}/control/", trust_env=False, timeout=30)
        )
        container = await stack.enter_async_context(opened(Settings.from_environment(environment)))
        yield await _open(container, control, environment)


async def _open(container: Container, control: httpx.AsyncClient, environment: dict[str, str]) -> Provider:
    private, public = new_key()
    ours = {"mchid": PROVIDER, "appid": APP_ID, "serial_no": SERIAL, "public_key": public, "apiv3_key": APIV3_KEY}
    theirs = (await control.post("wechat/merchants", json=ours)).raise_for_status().json()
    (await control.post("settings", json={"share_seconds": 0, "share_return_seconds": 0})).raise_for_status()
    account = NewAccount(
        channel=Channel.WECHAT,
        app_id=APP_ID,
        payee=SUB_MCHID,
        methods=frozenset({Method.WECHAT_NATIVE}),
        public={
            "mch_serial": SERIAL,
            "public_key_id": theirs["public_key_id"],
            "public_key": theirs["public_key"],
        },
        secrets={"mch_private_key": private, "apiv3_key": APIV3_KEY},
        of_platform=False,
        provider=PROVIDER,
    )
    made = await container.open_merchant()("Sub", FeePlan(Rate(6_000)), Mode.TEST, accounts=[account])
    now, ids = container.clock().now(), container.ids()
    async with container.database().unit_of_work() as uow:
        access = await uow.accounts.access(made.account_ids[0])
        receiver = Receiver(
            id=ids.new("rcv"),
            merchant_id=made.merchant.id,
            mode=Mode.TEST,
            channel=Channel.WECHAT,
            number=ids.new("num"),
            wish=ReceiverWish(
                account_id=access.account.id,
                kind=ReceiverKind.WECHAT_MERCHANT,
                account=RECEIVER,
                name="平台公司",
                relation=Relation.SERVICE_PROVIDER,
            ),
            created_at=now,
        ).created(now)
        await uow.receivers.add(receiver)
        await uow.receivers.save(replace(receiver, events=()).approved(now))
    assert access.account.fund_mode is FundMode.DIRECT
    assert await container.sweeps()["tell_receivers"]() == 1
    caller = Caller(made.merchant.id, Mode.TEST)
    return Provider(container, control, environment, caller, access.account.id, access.credential.id, receiver)


@pytest.mark.parametrize("name", SHARE_DEATHS)
async def test_a_share_whose_process_was_killed_goes_out_once(provider: Provider, name: str) -> None:
    order = await provider.paid()
    share = await provider.asked(order)
    before = await provider.held()
    await provider.dies(name, "share", share.id)
    assert (await provider.now(share)).status is ShareStatus.SUBMITTED, "the intent stands"
    there = (await provider.at_the_channel(order))["shares"]
    assert len(there) == (1 if name == "share.after_channel" else 0)
    await provider.swept("check_shares", "share")
    assert (await provider.now(share)).status is ShareStatus.FINISHED
    (made,) = (await provider.at_the_channel(order))["shares"]
    assert (made["number"], [part["amount"] for part in made["parts"]]) == (share.number, [1_000])
    assert await provider.held() == before - 1_000
    await provider.right()


@pytest.mark.parametrize("name", RETURN_DEATHS)
async def test_a_refund_whose_process_was_killed_takes_a_receivers_part_back_once(
    provider: Provider, name: str
) -> None:
    order = await provider.paid()
    await provider.container.submit_share()((await provider.asked(order)).id)
    before = await provider.held()
    wish = RefundWish(merchant_refund_no=order.request.merchant_order_no, order_id=order.id, amount=Money(4_000))
    refund = await provider.container.request_refund()(provider.caller, wish)
    await provider.dies(name, "refund", refund.id)
    (left,) = await _returns(provider, refund)
    assert left.status is ReturnStatus.SUBMITTED
    there = await provider.at_the_channel(order)
    assert len(there["share_returns"]) == (1 if name == "share_return.after_channel" else 0)
    assert there["refunds"] == [], "the parts come back first"
    await provider.swept("check_refunds", "refund")
    (back,) = await _returns(provider, refund)
    assert (back.status, back.number) == (ReturnStatus.SUCCEEDED, left.number)
    there = await provider.at_the_channel(order)
    assert [(one["number"], one["amount"]) for one in there["share_returns"]] == [(left.number, 400)]
    assert [one["amount"] for one in there["refunds"]] == [4_000]
    async with provider.container.database().unit_of_work() as uow:
        assert (await uow.refunds.get(refund.id)).status in (RefundStatus.ACCEPTED, RefundStatus.SUCCEEDED)
    assert await provider.held() == before + 400 - 4_000
    await provider.right()


async def _returns(provider: Provider, refund: Refund) -> list[ShareReturn]:
    async with provider.container.database().unit_of_work() as uow:
        return list(await uow.share_returns.of_refund(refund.id))


@pytest.mark.parametrize("name", APPLYMENT_DEATHS)
async def test_an_application_whose_process_was_killed_is_handed_in_once(provider: Provider, name: str) -> None:
    container, credential_id = provider.container, provider.credential_id
    media_id = await container.keep_applyments().upload(SYSTEM, credential_id, "licence.png", b"\x89PNG a licence")
    await provider.dies(name, "apply", provider.caller.merchant_id, credential_id, media_id)
    (left,) = await _applyments(provider)
    assert left.status is ApplymentStatus.SUBMITTING
    assert left.sealed, "what was filled in is still there to be sent"
    await provider.swept("follow_applyments", "applyment")
    (now,) = await _applyments(provider)
    assert (now.status, now.code, now.sealed) == (ApplymentStatus.AUDITING, left.code, b"")
    move = {"mchid": PROVIDER, "business_code": left.code, "state": "APPLYMENT_STATE_FINISHED"}
    told = (await provider.control.post("wechat/applyments", json=move)).raise_for_status().json()
    assert told["submissions"] == 1
    await provider.swept("follow_applyments", "applyment")
    (done,) = await _applyments(provider)
    assert done.status is ApplymentStatus.FINISHED
    assert done.account_id is not None


async def _applyments(provider: Provider) -> list[Applyment]:
    async with provider.container.database().unit_of_work() as uow:
        return list(await uow.applyments.of_merchant(provider.caller.merchant_id))


def _form(media_id: str) -> dict[str, dict[str, Any]]:
    return {
        "contact_info": {"contact_name": "王小明", "mobile_phone": "13900000000", "contact_email": "a@shop.example"},
        "subject_info": {
            "subject_type": "SUBJECT_TYPE_ENTERPRISE",
            "business_license_info": {"license_copy": media_id, "merchant_name": "小店"},
            "identity_info": {"id_card_info": {"id_card_name": "王小明", "id_card_number": "11010519491231002X"}},
        },
        "business_info": {"merchant_shortname": "小店", "sales_info": {"sales_scenes_type": ["SALES_SCENES_STORE"]}},
        "settlement_info": {"settlement_id": "719"},
        "bank_account_info": {"account_name": "小店有限公司", "account_number": "6222021234567890128"},
    }


async def _act(what: str, *about: str) -> None:
    """What the child does until it dies."""
    arm(os.environ.get("PITAYA_CRASH"))
    async with opened(Settings.from_environment(os.environ)) as container:
        match what:
            case "share":
                await container.submit_share()(*about)
            case "refund":
                await container.submit_refund()(*about)
            case "apply":
                methods = frozenset({Method.WECHAT_NATIVE})
                merchant_id, credential_id, media_id = about
                await container.keep_applyments().apply(SYSTEM, merchant_id, credential_id, methods, _form(media_id))


if __name__ == "__main__":
    asyncio.run(_act(*sys.argv[1:]))
