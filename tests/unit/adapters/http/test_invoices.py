"""/v1/invoices and the operators' side: two people settle one, and everybody sees it as CSV."""

from application.keep_invoices import IssueInvoices
from domain.invoices import last_month
from domain.permissions import FINANCE, RISK
from tests.unit.adapters.http.office import Office
from tests.unit.adapters.http.shop import Shop


async def test_an_invoice_from_its_issue_to_its_payment() -> None:
    office = Office()
    house = office.house
    merchant = await house.merchant(of_platform=False)
    shop = Shop(house, merchant)
    await house.paid(merchant)
    month = last_month(office.clock.now())
    while last_month(office.clock.now()) == month:
        office.clock.advance(86_400)
    assert await IssueInvoices(house.database.unit_of_work, house.clock, house.ids)() == 1
    (invoice,) = (await shop.call("GET", "/v1/invoices")).json()["data"]
    assert (invoice["status"], invoice["amount"]) == ("issued", 60)
    fay, rita = await office.person("fay", FINANCE), await office.person("rita", RISK)
    await fay.enter()
    await rita.enter()
    path = f"/invoices/{invoice['id']}/end"
    proposed = await fay.call("POST", path, {"end": "paid", "reference": "20261105-0001"})
    assert proposed.status_code == 201, proposed.text
    assert (await fay.call("POST", f"/proposals/{proposed.json()['id']}/approve")).status_code == 403
    approved = await rita.call("POST", f"/proposals/{proposed.json()['id']}/approve")
    assert approved.status_code == 200, approved.text
    again = await fay.call("POST", path, {"end": "paid", "reference": "20261105-0002"})
    assert (again.status_code, again.json()["code"]) == (409, "invoice_settled")
    listed = (await fay.call("GET", f"/merchants/{merchant.merchant.id}/invoices")).json()["data"]
    assert [(one["status"], one["reference"]) for one in listed] == [("paid", "20261105-0001")]
    table = (await shop.call("GET", "/v1/invoices.csv")).text
    assert table.count("\r\n") == 2
    assert invoice["id"] in table
    months = (await fay.call("GET", f"/invoices.csv?month={invoice['month']}")).text
    assert merchant.merchant.id in months
    assert (await fay.call("GET", "/invoices.csv?month=2026-13")).status_code == 422


async def test_another_merchant_sees_none_of_it() -> None:
    office = Office()
    merchant = await office.house.merchant(of_platform=False)
    assert (await Shop(office.house, merchant).call("GET", "/v1/invoices")).json()["data"] == []
