"""A machine reads our OpenAPI document and tries what no person would: no 5xx, and every answer as documented."""

import asyncio
import http
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import structlog
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.python.asgi import shutdown_lifespans

from domain.permissions import ADMINISTRATOR, OWNER, Realm
from tests.unit.adapters.http.office import BASES, Office
from tests.unit.adapters.http.shop import Shop

EXAMPLES = 100  # the least for each operation, beside those that the document's limits ask for

CHECKS: dict[str, Any] = {
    # What a schema cannot say (a cursor of ours, a key used before) is 422; but what fits it is never unreadable (400).
    # People's tries are counted, and a wrong password is 401.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", "404", "409", "422", "429"]},
    # A body beyond the document's limits may be too large to be read, and another type is none that is read.
    "negative_data_rejection": {"expected-statuses": ["400", "401", "403", "404", "406", "413", "415", "422", "428"]},
    # Litestar's own answers to OPTIONS name only the methods of the route that was registered first.
    "allow_header_conformance": {"enabled": False},
}


@pytest.fixture
def silent() -> Iterator[None]:
    """Thousands of requests would print thousands of lines."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)
    shutdown_lifespans()  # the next walk starts the same application anew


# They end the session that everything else is tried with.
SIGN_OUT = ("endSession", "endAllSessions")

PARTS = {Realm.PLATFORM: 10, Realm.MERCHANT: 1, None: 3}  # of each document's addresses, for as many cores to try
WALKS = [(realm, part) for realm, parts in PARTS.items() for part in range(parts)]


@pytest.mark.parametrize(("realm", "part"), WALKS, ids=lambda value: "program" if value is None else str(value))
def test_every_operation_answers_as_its_document_says(silent: None, realm: Realm | None, part: int) -> None:
    address, app, token = asyncio.run(somebody(realm))
    tried = walk(address, app, token, part, PARTS[realm])
    assert sum(tried.values()) > EXAMPLES * len(tried) / 2, tried  # some have fewer ways of being called


async def somebody(realm: Realm | None) -> tuple[str, Any, str]:
    """Where a document is, the application that it describes, and the token of one who may do everything there."""
    if realm is None:
        shop = await Shop.open()
        return "/docs/openapi.json", shop.app, shop.merchant.api_key
    office = Office()
    if realm is Realm.PLATFORM:
        person = await office.person("mina", ADMINISTRATOR)
    else:
        person = await office.employee(await office.merchant(), "mina", OWNER)
    return f"{BASES[realm].removesuffix('/v1')}/docs/openapi.json", office.apps[realm], (await person.enter()).token


def walk(address: str, app: Any, token: str, part: int, parts: int) -> dict[str, int]:
    """How many cases of each operation were tried, at every so many-th address. Fails with every answer that is not as
    documented."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": 20261101,
            "continue-on-failure": True,
            "headers": {"Authorization": f"Bearer {token}"},
            "generation": {"max-examples": EXAMPLES, "database": "none"},
            "phases": {"stateful": {"enabled": False}},
            "checks": CHECKS,
        }
    )
    schema: Any = schemathesis.openapi.from_asgi(address, app, config=config)
    addresses = sorted(schema.raw_schema["paths"])[part::parts]
    schema = schema.include(path=addresses).exclude(operation_id=list(SIGN_OUT))
    tried: dict[str, int] = {}
    good: dict[str, int] = {}
    failures = []
    for event in from_schema(schema).execute():
        assert not isinstance(event, events.FatalError | events.NonFatalError), event
        if isinstance(event, events.ScenarioFinished) and event.label is not None:
            tried[event.label] = tried.get(event.label, 0) + len(event.recorder.cases)
            answers = [one.response for one in event.recorder.interactions.values() if one.response is not None]
            good[event.label] = good.get(event.label, 0) + sum(200 <= one.status_code < 300 for one in answers)
            failures += [
                _told(event, case, check) for case, checks in event.recorder.checks.items() for check in checks
            ]
    for label, cases in sorted(tried.items()):
        print(f"{label:70} {cases:5} cases, {100 * good.get(label, 0) // max(cases, 1):3} % answered 2xx")
    assert [failure for failure in failures if failure] == []
    described = ((path, how, said) for path in addresses for how, said in schema.raw_schema["paths"][path].items())
    assert {*tried} == {f"{how.upper()} {path}" for path, how, said in described if said["operationId"] not in SIGN_OUT}
    return tried


def _told(event: events.ScenarioFinished, case: str, check: Any) -> str:
    """One failure in words, or nothing."""
    if check.failure_info is None:
        return ""
    sent, interaction = event.recorder.cases[case].value, event.recorder.interactions.get(case)
    answer = interaction.response if interaction else None
    # JSON Schema counts 13.0 as an integer, where ours are written in digits alone; and it cannot forbid U+0000 in the
    # names of a map or in a text without a pattern.
    strict = ("Expected `int`, got `float`", "Expected `int | null`, got `float`", "U+0000")
    if answer is not None and answer.status_code == 400 and any(words in answer.text for words in strict):
        return ""
    said = f"{answer.status_code} {http.HTTPStatus(answer.status_code).phrase} {answer.text[:200]}" if answer else ""
    return f"{event.label} {check.name}: {check.failure_info.failure} — {sent.query} {sent.body!r:.200} → {said}"
