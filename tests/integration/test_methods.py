"""Every way to pay, through the wire: method × fund mode × signature mode × how it ends (docs/methods.md)."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text

from application.open_merchant import NewAccount
from bootstrap.demo_merchant import APIV3_KEY, APP_SECRET, COST_RATE, FEE_PLAN, DemoMerchant, key_pair
from domain.attempts import AttemptStatus
from domain.channels import Channel, FundMode, Method, Mode
from domain.ledger import Transfer
from domain.payments import Unattributed
from domain.refunds import RefundStatus
from tests.integration.stack import Stack, running
from tests.integration.ways import Case, Ending, Party, Signature, cases

pytestmark = pytest.mark.asyncio(loop_scope="module")

AMOUNT = 10_000
CALLS = {
    Method.ALIPAY_QR: "precreate",
    Method.ALIPAY_JSAPI: "create",
    Method.ALIPAY_BARCODE: "pay",
    Method.WECHAT_NATIVE: "native",
    Method.WECHAT_JSAPI: "jsapi",
    Method.WECHAT_MINIPROGRAM: "jsapi",
    Method.WECHAT_H5: "h5",
    Method.WECHAT_APP: "app",
    Method.WECHAT_BARCODE: "codepay",
}


@dataclass
class Till:
    """One merchant with one account at each channel, and the payer in front of it."""

    stack: Stack
    accounts: tuple[str, ...]

    async def choose(self, method: Method, wallet: str = "pays") -> dict[str, Any]:
        """What the API is asked for this method."""
        asked: dict[str, Any] = {"method": method}
        if method.is_barcode:
            asked["auth_code"] = (await self.stack.control("codes", channel=method.channel, wallet=wallet))["code"]
        if method is Method.ALIPAY_JSAPI:
            asked["payer_id"] = "2088000000000009"
        elif method.needs_payer:
            asked["payer_id"] = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
        if method is Method.WECHAT_H5:
            asked["payer_ip"] = "203.0.113.7"
        return asked

    async def hush(self, method: Method) -> None:
        """Alipay sends a notice of a bar code too, which may be faster than the answer to the charge. Not this time."""
        if method is Method.ALIPAY_BARCODE:
            await self.stack.control("faults", channel=method.channel, api="notice", fault="silent", times=1)

    async def start(self, order: dict[str, Any], asked: dict[str, Any]) -> httpx.Response:
        return await self.stack.api("POST", f"/orders/{order['id']}/attempts", json=asked)

    async def meet(self, attempt: dict[str, Any]) -> None:
        """The payer's side does with the action what docs/methods.md says: then the wallet shows the amount."""
        action, method = attempt["action"], Method(attempt["method"])
        if method in (Method.ALIPAY_PAGE, Method.ALIPAY_WAP):
            shown = await self.stack.http.post(action["value"], data=action["fields"], follow_redirects=True)
            assert shown.status_code == 200, shown.text
            assert attempt["number"] in shown.text or "¥" in shown.text
        elif method is Method.ALIPAY_APP:
            await self.stack.control("alipay/app_pay", order_string=action["value"])
        elif method is Method.WECHAT_H5:
            shown = await self.stack.http.get(action["value"], follow_redirects=True)
            assert shown.status_code == 200, shown.text
        elif method in (Method.WECHAT_JSAPI, Method.WECHAT_MINIPROGRAM, Method.WECHAT_APP):
            asked = await self.stack.http.get(f"{self.stack.sandbox}/phone/wechat/pay", params=action["fields"])
            assert asked.status_code in (302, 303, 307), asked.text  # the wallet found our signature good

    async def act(self, attempt: dict[str, Any], what: str, **how: Any) -> None:
        channel = Method(attempt["method"]).channel
        await self.stack.control(what, channel=channel, out_trade_no=attempt["number"], **how)

    async def attempt(self, order: dict[str, Any]) -> dict[str, Any]:
        (attempt,) = (await self.stack.api("GET", f"/orders/{order['id']}")).json()["attempts"]
        return dict(attempt)

    async def swept(self, order: dict[str, Any], status: str) -> None:
        """As the worker would, until the order has this status. What waits for its rung is due at once."""
        async with asyncio.timeout(30):
            while (await self.stack.order(order)).status != status:
                await self.hurry(order)
                await self.stack.sweep("check_attempts")
                await asyncio.sleep(0.05)

    async def until_attempt(self, order: dict[str, Any], status: str) -> None:
        async with asyncio.timeout(30):
            while (await self.attempt(order))["status"] != status:
                await self.hurry(order)
                await self.stack.sweep("check_attempts")
                await asyncio.sleep(0.05)

    async def refunded(self, order: dict[str, Any]) -> dict[str, Any]:
        """The order's one refund, when it has succeeded."""
        async with asyncio.timeout(30):
            while True:
                (refund,) = (await self.stack.api("GET", "/refunds", params={"order_id": order["id"]})).json()["data"]
                if refund["status"] == RefundStatus.SUCCEEDED:
                    return dict(refund)
                await self.sql(
                    "UPDATE refund SET next_at = now() WHERE id = :id AND next_at IS NOT NULL", id=refund["id"]
                )
                await self.stack.sweep("check_refunds")
                await asyncio.sleep(0.05)

    async def trade(self, attempt: dict[str, Any]) -> dict[str, Any]:
        """What the channel has of it."""
        asked = {"out_trade_no": attempt["number"]}
        (trade,) = (await self.stack.http.get(f"{self.stack.sandbox}/control/trades", params=asked)).json()
        return dict(trade)

    async def hurry(self, order: dict[str, Any]) -> None:
        await self.sql(
            "UPDATE attempt SET next_at = now() WHERE order_id = :id AND next_at IS NOT NULL", id=order["id"]
        )

    async def sql(self, statement: str, **values: Any) -> None:
        async with self.stack.container.database().engine.begin() as connection:
            await connection.execute(text(statement), values)

    async def booked(self, order: dict[str, Any]) -> list[tuple[str, str, int]]:
        """All transfers about the order's money, in the order of the facts."""
        rows: list[Transfer] = []
        async with self.stack.container.database().unit_of_work() as uow:
            for payment in await uow.payments.of_order(order["id"]):
                rows += await uow.ledger.about(payment.id)
            for refund in await uow.refunds.of_order(order["id"]):
                rows += await uow.ledger.about(refund.id)
        return [(row.debit.kind, row.credit.kind, row.amount.minor) for row in rows]


PAID = {
    FundMode.COLLECT: [("CR", "MP", 9_940), ("CR", "FI", 60)],
    FundMode.DIRECT: [("DH", "DO", 10_000), ("SFD", "FI", 60)],
}
HELD_AND_BACK = {
    FundMode.COLLECT: [("CR", "SUS", 10_000), ("SUS", "CR", 10_000)],
    FundMode.DIRECT: [("DH", "DO", 10_000), ("DO", "DH", 10_000)],
}
REFUNDED = {
    FundMode.COLLECT: [("MP", "MR", 9_940), ("FI", "MR", 60), ("MR", "CR", 10_000)],
    FundMode.DIRECT: [("DO", "DH", 10_000), ("FI", "SFD", 60)],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(
    module_database_url: str, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    logs: Path = tmp_path_factory.mktemp("methods")
    async with running(module_database_url, redis_server, logs) as stack:
        yield stack


class Tills:
    """One merchant for each of who signs, fund mode and signature mode, made when first asked for."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._made: dict[tuple[Party, FundMode, Signature], Till] = {}

    async def at(self, party: Party, fund_mode: FundMode, signature: Signature) -> Till:
        key = (party, fund_mode, signature)
        if key not in self._made:
            self._made[key] = await self._open(*key, len(self._made) + 2)
        till = self._made[key]
        ours = ", ".join(f"'{account}'" for account in till.accounts)
        # Platform accounts serve every merchant: only this mode's may.
        await till.sql(f"UPDATE channel_account SET enabled = id IN ({ours})")
        signer = "certificate" if signature is Signature.CERTIFICATE else "public_key"
        await self._stack.control("settings", wechat_signer=signer, wechat_refund_seconds=0)
        await self._stack.http.delete(f"{self._stack.sandbox}/control/faults")
        return till

    async def _open(self, party: Party, fund_mode: FundMode, signature: Signature, n: int) -> Till:
        alipay, wechat = await self._alipay(signature, n), await self._wechat(signature, n)
        if party is Party.PROVIDER:
            alipay, wechat = await self._for_sub_merchants(alipay, wechat, n)
        of_platform = fund_mode is FundMode.COLLECT
        accounts = [replace(account, of_platform=of_platform) for account in (alipay, wechat)]
        opened = await self._stack.container.open_merchant()("各种支付方式", FEE_PLAN, Mode.TEST, accounts=accounts)
        merchant = DemoMerchant(opened.merchant.id, opened.api_key, opened.webhook_secret, "", "")
        return Till(replace(self._stack, merchant=merchant), opened.account_ids)

    async def _for_sub_merchants(self, alipay: NewAccount, wechat: NewAccount, n: int) -> tuple[NewAccount, NewAccount]:
        """The same applications, acting for others: whoever was the payee is the provider now."""
        app, seller = f"202100000000009{n}", f"208800000000009{n}"
        authorised = await self._stack.control(
            "alipay/authorisations", app_id=alipay.app_id, merchant_app_id=app, seller_id=seller
        )
        token = {"app_auth_token": authorised["app_auth_token"]}
        return (
            replace(alipay, provider=alipay.payee, payee=seller, sub_app_id=app, account_secrets=token),
            replace(wechat, provider=wechat.payee, payee=f"190000009{n}", sub_app_id=f"wx000000000000009{n}"),
        )

    async def _alipay(self, signature: Signature, n: int) -> NewAccount:
        private, public = key_pair()
        app_id, seller_id = f"202100000000000{n}", f"208800000000000{n}"
        certified = signature is Signature.CERTIFICATE
        theirs = await self._stack.control(
            "alipay/apps", app_id=app_id, seller_id=seller_id, public_key=public, certificates=certified
        )
        names = ["app_certificate", "alipay_certificate", "alipay_root_certificate"]
        return NewAccount(
            channel=Channel.ALIPAY,
            app_id=app_id,
            payee=seller_id,
            methods=frozenset(method for method in Method if method.channel is Channel.ALIPAY),
            public={name: theirs[name] for name in (names if certified else ["alipay_public_key"])},
            secrets={"app_private_key": private},
            cost_rate=COST_RATE,
        )

    async def _wechat(self, signature: Signature, n: int) -> NewAccount:
        private, public = key_pair()
        appid, mchid, serial = f"wx000000000000000{n}", f"190000000{n}", secrets.token_hex(20).upper()
        theirs = await self._stack.control(
            "wechat/merchants",
            mchid=mchid,
            appid=appid,
            serial_no=serial,
            public_key=public,
            apiv3_key=APIV3_KEY,
            secrets={appid: APP_SECRET},
        )
        verified = {"public_key_id": theirs["public_key_id"], "public_key": theirs["public_key"]}
        if signature is Signature.CERTIFICATE:
            verified = {"platform_certificates": theirs["platform_certificate"]}
        return NewAccount(
            channel=Channel.WECHAT,
            app_id=appid,
            payee=mchid,
            methods=frozenset(method for method in Method if method.channel is Channel.WECHAT),
            public={"mch_serial": serial, **verified},
            secrets={"mch_private_key": private, "apiv3_key": APIV3_KEY, "app_secret": APP_SECRET},
            cost_rate=COST_RATE,
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tills(stack: Stack) -> Tills:
    return Tills(stack)


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.id)
async def test_a_way_to_pay_ends_as_it_should(tills: Tills, case: Case) -> None:
    till = await tills.at(case.party, case.fund_mode, case.signature)
    play = {
        Ending.SUCCESS: succeeds,
        Ending.FAIL: fails,
        Ending.UNKNOWN: is_unknown,
        Ending.LATE: is_late,
        Ending.REFUND: is_refunded,
    }[case.ending]
    await play(till, case)


async def succeeds(till: Till, case: Case) -> dict[str, Any]:
    order = await till.stack.place(AMOUNT)
    asked = await till.choose(case.method)
    await till.hush(case.method)
    started = await till.start(order, asked)
    assert started.status_code == 201, started.text
    attempt = started.json()
    if case.method.is_barcode:
        assert (attempt["status"], attempt["action"]) == ("succeeded", None)
    else:
        assert attempt["status"] == "pending"
        await till.meet(attempt)
        await till.act(attempt, "pay")
        await till.stack.until(order, "paid")
    if case.method is Method.ALIPAY_BARCODE:
        (told,) = await till.stack.control("notices/resend", out_trade_no=attempt["number"])
        assert told["accepted"], "what we know already is taken, and counts once"
    assert await till.booked(order) == PAID[case.fund_mode]
    (payment,) = await till.stack.payments(order)
    assert payment.fund_mode is case.fund_mode
    assert payment.evidence.startswith("query:" if case.method.is_barcode else "notice:")
    return order


async def fails(till: Till, case: Case) -> None:
    order = await till.stack.place(AMOUNT)
    started = await till.start(order, await till.choose(case.method, "poor"))
    if case.method.is_barcode:
        assert (started.status_code, started.json()["code"]) == (422, "channel_rejected"), started.text
        assert (await till.attempt(order))["status"] == "failed"
    else:
        await till.meet(started.json())
        await till.act(started.json(), "refuse")
        closed = await till.stack.api("POST", f"/orders/{order['id']}/close")
        assert (closed.status_code, closed.json()["status"]) == (200, "closed"), closed.text
        assert (await till.attempt(order))["status"] == "closed"
    assert await till.booked(order) == []


async def is_unknown(till: Till, case: Case) -> None:
    """The channel does it, and its answer is torn off: the same number is paid once."""
    order = await till.stack.place(AMOUNT)
    asked = await till.choose(case.method)
    await till.hush(case.method)
    await till.stack.control("faults", channel=case.method.channel, api=CALLS[case.method], fault="torn", times=1)
    started = await till.start(order, asked)
    if case.method.is_barcode:
        assert (started.status_code, started.json()["status"]) == (201, "unknown"), started.text
        await till.swept(order, "paid")
    else:
        assert (started.status_code, started.json()["code"]) == (504, "outcome_unknown"), started.text
        unknown = await till.attempt(order)
        assert unknown["status"] == "unknown"
        again = (await till.start(order, asked)).json()
        assert (again["id"], again["number"], again["status"]) == (unknown["id"], unknown["number"], "pending")
        await till.meet(again)
        await till.act(again, "pay")
        await till.stack.until(order, "paid")
    assert await till.booked(order) == PAID[case.fund_mode]


async def is_late(till: Till, case: Case) -> None:
    order = await till.stack.place(AMOUNT)
    attempt = (await till.start(order, await till.choose(case.method, "asks"))).json()
    assert attempt["status"] == "pending"
    if not case.method.is_barcode:
        await till.meet(attempt)
        await till.act(attempt, "scan")
    closed = await till.stack.api("POST", f"/orders/{order['id']}/close")
    assert (closed.status_code, closed.json()["status"]) == (200, "closed"), closed.text
    await till.act(attempt, "pay", late=True)
    async with asyncio.timeout(20):
        while not (found := await till.stack.payments(order)):  # noqa: ASYNC110 - the web process takes the notice
            await asyncio.sleep(0.05)
    reason = Unattributed.REVERSED if case.method.is_barcode else Unattributed.LATE
    assert [payment.unattributed for payment in found] == [reason]
    if case.method.is_barcode:
        assert (await till.attempt(order))["status"] == AttemptStatus.REVERSING, "it is undone once more"
        await till.until_attempt(order, AttemptStatus.REVERSED)
    else:
        refund = await till.refunded(order)
        assert (refund["origin"], refund["amount"], refund["fee_returned"]) == ("suspense", AMOUNT, 0)
    assert await till.booked(order) == HELD_AND_BACK[case.fund_mode]
    assert (await till.stack.order(order)).status == "closed"
    trade = await till.trade(attempt)
    assert sum(each["amount"] for each in trade["refunds"]) == AMOUNT, "the payer has it back"


async def is_refunded(till: Till, case: Case) -> None:
    order = await succeeds(till, case)
    asked = {
        "merchant_refund_no": secrets.token_hex(8),
        "order_id": order["id"],
        "amount": AMOUNT,
        "reason": "不想要了",
    }
    made = await till.stack.api("POST", "/refunds", json=asked)
    assert made.status_code == 201, made.text
    refund = await till.refunded(order)
    assert (refund["id"], refund["origin"], refund["fee_returned"]) == (made.json()["id"], "merchant", 60)
    assert await till.booked(order) == PAID[case.fund_mode] + REFUNDED[case.fund_mode]
    after = (await till.stack.api("GET", f"/orders/{order['id']}")).json()
    assert (after["refunded_amount"], after["refunding_amount"], after["net_amount"]) == (AMOUNT, 0, 0)
    again = await till.stack.api("POST", "/refunds", json=asked)
    assert (again.status_code, again.json()["id"]) == (201, refund["id"]), again.text
