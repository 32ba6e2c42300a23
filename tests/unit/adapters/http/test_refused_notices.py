"""Notices that were refused or did not fit: kept, listed, and read again after a fix."""

import asyncio
from dataclasses import replace

import pytest

from domain.attempts import Attempt
from domain.channels import Method
from domain.orders import OrderStatus
from domain.permissions import OPERATIONS
from tests.fakes.house import caller
from tests.fakes.promises import FakePromises
from tests.unit.adapters.http.office import Office, Person


async def test_a_notice_that_we_could_not_verify_is_read_again_after_the_fix() -> None:
    office = Office()
    house = office.house
    merchant = await house.merchant()
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, Method.ALIPAY_QR)
    house.alipay.pay(attempt.number)
    credentials = house.database.tables.credentials
    right = dict(credentials.committed)
    for id_, credential in right.items():  # somebody has put in a wrong key
        credentials.apply(id_, replace(credential, version=credential.version + 7))
    assert not (await house.notice(house.alipay, attempt)).accepted
    for id_, credential in right.items():
        credentials.apply(id_, credential)
    mina = await (await office.person("mina", OPERATIONS)).enter()
    office.clock.advance(5)
    (kept,) = (await mina.call("GET", "/refused_notices")).json()["data"]
    assert (kept["reason"], kept["account_id"]) == ("signature_invalid", attempt.account_id)
    done = await mina.call("POST", f"/refused_notices/{kept['id']}/read_again")
    assert (done.status_code, done.json()) == (200, {"accepted": True, "outcome": "confirmed"}), done.text
    assert (await house.now(order)).status is OrderStatus.PAID
    again = await mina.call("POST", f"/refused_notices/{kept['id']}/read_again")
    assert again.json()["outcome"] == "known"


def payee(office: Office, account_id: str, payee: str) -> None:
    """Somebody sets whose account it is, rightly or not."""
    accounts = office.house.database.tables.accounts
    accounts.apply(account_id, replace(accounts.committed[account_id], payee=payee))


async def strangers_money(office: Office, method: Method) -> tuple[Attempt, str, Person]:
    """An order is paid and its notice is rightly signed; but our account has another payee than the channel's."""
    house = office.house
    merchant = await house.merchant()
    order = await house.order(merchant)
    attempt = await house.start_attempt(caller(merchant), order.id, method)
    channel = house.alipay if method is Method.ALIPAY_QR else house.wechat
    right = house.database.tables.accounts.committed[attempt.account_id].payee
    channel.pay(attempt.number)
    payee(office, attempt.account_id, "2088000000000000")
    office.clock.advance(5)
    handled = await house.notice(channel, attempt)
    assert (handled.accepted, handled.outcome) == (True, "mismatch")
    return attempt, right, await (await office.person("mina", OPERATIONS)).enter()


def which(office: Office) -> dict[str, str]:
    kept = next(iter(office.house.database.tables.notices.committed.values()))
    return {"account_id": kept.account_id, "notice_id": kept.notice.id}


def outcomes(office: Office) -> list[str]:
    """Of the notice when it came, and of each reading since."""
    rows = list(office.house.database.tables.notices.committed.values())
    assert all(row.notice.id.partition("#")[0] == rows[0].notice.id for row in rows)
    return [str(row.outcome) for row in rows]


@pytest.mark.parametrize("method", [Method.ALIPAY_QR, Method.WECHAT_NATIVE])
async def test_a_verified_notice_that_did_not_fit_pays_its_order_once_our_mistake_is_mended(method: Method) -> None:
    office = Office()
    attempt, right, mina = await strangers_money(office, method)
    office.clock.advance(86_400)  # it is verified as of when it came
    await mina.enter()
    notice = which(office)
    still = await mina.call("POST", "/notices/read_again", notice)
    assert (still.status_code, still.json()) == (200, {"accepted": True, "outcome": "mismatch"}), still.text
    payee(office, attempt.account_id, right)
    done = await mina.call("POST", "/notices/read_again", notice)
    assert done.json() == {"accepted": True, "outcome": "confirmed"}
    (payment,) = office.house.database.tables.payments.committed.values()
    assert payment.evidence.startswith(f"notice:{notice['notice_id']}#rdg_")
    assert office.house.database.tables.orders.committed[attempt.order_id].order.status is OrderStatus.PAID
    again = await mina.call("POST", "/notices/read_again", notice)
    assert again.json()["outcome"] == "known"
    assert outcomes(office) == ["mismatch", "mismatch", "confirmed", "known"]
    assert await FakePromises(office.house.database.tables, office.clock).broken() == []
    assert len(office.house.database.tables.payments.committed) == 1
    audit = [row.record for row in office.house.database.tables.audit.committed.values()]
    read = [each for each in audit if each.action == "notice.read_again"]
    assert [each.after["outcome"] for each in read] == ["mismatch", "confirmed", "known"]
    assert {(each.actor.name, each.object_id) for each in read} == {("Mina", notice["notice_id"])}


async def test_two_operators_at_once_book_a_notice_once() -> None:
    office = Office()
    attempt, right, mina = await strangers_money(office, Method.ALIPAY_QR)
    payee(office, attempt.account_id, right)
    notice = which(office)
    answers = await asyncio.gather(*(mina.call("POST", "/notices/read_again", notice) for _ in range(8)))
    assert sorted(answer.json()["outcome"] for answer in answers) == ["confirmed"] + ["known"] * 7
    assert len(office.house.database.tables.payments.committed) == 1
    assert await FakePromises(office.house.database.tables, office.clock).broken() == []


async def test_a_kept_notice_that_no_longer_verifies_is_refused_and_moves_nothing() -> None:
    office = Office()
    attempt, right, mina = await strangers_money(office, Method.WECHAT_NATIVE)
    payee(office, attempt.account_id, right)
    notices = office.house.database.tables.notices
    ((key, kept),) = notices.committed.items()
    notice = which(office)
    for body, headers in ((kept.body.replace(b"10000", b"90000"), kept.notice.headers), (kept.body, {})):
        assert (body, headers) != (kept.body, kept.notice.headers)
        notices.apply(key, replace(kept, body=body, notice=replace(kept.notice, headers=headers)))
        refused = await mina.call("POST", "/notices/read_again", notice)
        assert refused.json() == {"accepted": False, "outcome": "signature_invalid"}
    assert office.house.database.tables.orders.committed[attempt.order_id].order.status is OrderStatus.PENDING
    assert not office.house.database.tables.payments.committed


async def test_a_notice_that_nobody_sent_is_not_read_again() -> None:
    office = Office()
    _, _, mina = await strangers_money(office, Method.ALIPAY_QR)
    right = which(office)
    for wrong in (right | {"notice_id": "x"}, right | {"account_id": "cha_other"}):
        answer = await mina.call("POST", "/notices/read_again", wrong)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "notice.read_again" not in office.did()
