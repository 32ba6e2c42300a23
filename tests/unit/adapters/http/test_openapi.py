"""The documents: complete, true, and served without asking any foreign host."""

import json
import re
from typing import Any

import msgspec
import pytest

from adapters.inbound.http import (
    balance_views,
    bodies,
    code_views,
    invoice_views,
    refund_views,
    report_views,
    settlement_views,
    share_views,
    statement_views,
    views,
)
from adapters.inbound.http.docs import ASSETS
from adapters.inbound.http.problems import Problem
from tests.unit.adapters.http.shop import Shop


@pytest.fixture
async def document(quiet_shop: Shop) -> dict[str, Any]:
    answer = await quiet_shop.call("GET", "/docs/openapi.json", key=None)
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert isinstance(found, dict)
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, each) for path, item in document["paths"].items() for method, each in item.items()]


async def test_every_route_of_the_api_is_documented_and_nothing_else(
    quiet_shop: Shop, document: dict[str, Any]
) -> None:
    assert document["openapi"].startswith("3.1")
    served = {
        (route.path_format, method.lower())
        for route in quiet_shop.app.routes
        if route.path.startswith("/v1")
        for method in route.methods
        if method != "OPTIONS"
    }
    assert {(path, method) for path, method, _ in operations(document)} == served
    assert len(served) >= 14


async def test_every_operation_says_what_it_does_and_how_it_fails(document: dict[str, Any]) -> None:
    ids = []
    for path, method, operation in operations(document):
        assert operation["summary"], path
        assert len(operation["description"]) > 20, path
        ids.append(operation["operationId"])
        assert {"400", "401", "422", "500", "503"} <= set(operation["responses"])
        assert ("404" in operation["responses"]) or "{" not in path
        for status, answer in operation["responses"].items():
            shared = document["components"]["responses"].get(answer.get("$ref", "").rpartition("/")[2])
            (content,) = (shared or answer)["content"].items()
            assert content[1]["example"]
            if content[0] == "text/csv":
                continue
            assert content[0] == ("application/json" if status < "400" else "application/problem+json")
            assert content[1]["schema"]["$ref"]
        if method == "post":
            assert "Idempotency-Key" in [parameter["name"] for parameter in operation["parameters"]]
        for parameter in operation.get("parameters", []):
            assert parameter["in"] == "path" or parameter["description"], path
    assert len(set(ids)) == len(ids)
    assert {tuple(each) for each in document["security"]} == {("bearer",)}


async def test_every_field_has_a_description_and_closed_bodies_are_closed(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        for field, its in schema.get("properties", {}).items():
            assert its.get("description"), f"{name}.{field}"
    for name in ("NewOrder", "NewAttempt", "NewRefund", "NewEndpoint"):
        assert schemas[name]["additionalProperties"] is False
    order = schemas["NewOrder"]["properties"]
    assert (order["amount"]["minimum"], order["amount"]["maximum"]) == (1, 10**10)
    assert order["metadata"]["maxProperties"] == 20
    assert order["metadata"]["propertyNames"]["pattern"] == bodies.METADATA_KEY


async def test_no_reference_leads_nowhere(document: dict[str, Any]) -> None:
    for kind in ("schemas", "responses"):
        named = set(re.findall(rf"#/components/{kind}/(\w+)", json.dumps(document)))
        assert named <= set(document["components"][kind])


async def test_every_example_is_one(document: dict[str, Any]) -> None:
    kinds = {
        **vars(bodies),
        **vars(views),
        **vars(code_views),
        **vars(refund_views),
        **vars(settlement_views),
        **vars(report_views),
        **vars(share_views),
        **vars(invoice_views),
        **vars(statement_views),
        **vars(balance_views),
        "Problem": Problem,
    }
    for path, _, operation in operations(document):
        for body in (operation.get("requestBody", {}), *operation["responses"].values()):
            for type_, content in body.get("content", {}).items():
                if type_ == "text/csv":
                    continue
                kind = kinds[content["schema"]["$ref"].rpartition("/")[2]]
                assert msgspec.convert(content["example"], kind, strict=True), path


async def test_the_documented_order_can_be_placed(shop: Shop, document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/orders"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert (await shop.call("POST", "/v1/orders", body)).status_code == 201


async def test_swagger_comes_from_here_alone(quiet_shop: Shop) -> None:
    page = await quiet_shop.call("GET", "/docs", key=None)
    assert page.headers["content-type"].startswith("text/html")
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(addresses) == 4
    for address in addresses:
        assert address.startswith("/docs/assets/")
        assert (await quiet_shop.call("GET", address, key=None)).status_code == 200
    assert "<script>" not in page.text
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "http" not in policy
    assert "cdn" not in (page.text + (await quiet_shop.call("GET", "/docs/assets/start.js")).text)


@pytest.mark.parametrize("name", [*ASSETS, "start.js"])
async def test_assets_are_whole_files_of_their_type(quiet_shop: Shop, name: str) -> None:
    answer = await quiet_shop.call("GET", f"/docs/assets/{name}", key=None)
    assert answer.status_code == 200
    assert len(answer.content) > 50
    assert answer.headers["content-type"].split(";")[0] == ASSETS.get(name, "text/javascript")


@pytest.mark.parametrize("name", ["index.html", "..%2f..%2f__init__.py", "swagger-ui.css.map", "%2fetc%2fpasswd"])
async def test_no_other_file_is_served(quiet_shop: Shop, name: str) -> None:
    assert (await quiet_shop.call("GET", f"/docs/assets/{name}", key=None)).status_code == 404


async def test_a_problem_leads_to_the_page_that_explains_it(quiet_shop: Shop) -> None:
    problem = (await quiet_shop.call("GET", "/v1/orders/x")).json()
    page, _, anchor = problem["type"].partition("#")
    answer = await quiet_shop.call("GET", page, key=None)
    assert answer.status_code == 200
    assert f'id="{anchor}"' in answer.text
