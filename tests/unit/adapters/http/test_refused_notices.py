"""Notices that were refused: kept, listed, and read again after a fix."""

from dataclasses import replace

from domain.channels import Method
from domain.orders import OrderStatus
from domain.permissions import OPERATIONS
from tests.fakes.house import caller
from tests.unit.adapters.http.office import Office


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
