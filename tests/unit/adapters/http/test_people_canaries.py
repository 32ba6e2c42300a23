"""No secret of a person is anywhere but in the one answer that shows it: not in logs, rows, audit, or other answers."""

import io
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from bootstrap import logging as our_logging
from domain.permissions import ADMINISTRATOR
from tests.unit.adapters.http.office import PASSWORD, Office, Person

NEW_PASSWORD = "a canary sings at noon"


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """What the process would write, from DEBUG on."""
    out, root = io.StringIO(), logging.getLogger()
    handlers, level, hook = list(root.handlers), root.level, sys.excepthook
    our_logging.configure("DEBUG", out)
    yield out
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


async def test_secrets_are_shown_once_and_kept_nowhere(logs: io.StringIO) -> None:
    office = Office()
    mina = await (await office.person("mina", ADMINISTRATOR)).enter()
    answers = []

    async def call(person: Person, *words: object) -> dict[str, object]:
        answer = await person.call(*words)  # type: ignore[arg-type]
        assert answer.status_code < 300, answer.text
        answers.append(answer.text)
        return dict(answer.json())

    secrets: dict[str, str] = {"password": PASSWORD, "session token": mina.token, "TOTP secret": mina.secret}
    made = await call(mina, "POST", "/operators", {"login": "noah", "name": "Noah", "roles": ["finance"]})
    secrets["first password"] = first = str(made["first_password"])
    noah = Person(office, str(made["user"]["id"]), "noah", "")  # type: ignore[index]
    opened = await noah.try_to_enter(password=first)
    answers.append(opened.text)
    secrets["second session token"] = noah.token = opened.json()["token"]
    await call(noah, "PUT", "/me/password", {"current": first, "password": NEW_PASSWORD})
    secrets["new password"] = NEW_PASSWORD
    begun = await call(noah, "POST", "/me/totp", {"password": NEW_PASSWORD})
    secrets["new TOTP secret"] = noah.secret = str(begun["secret"])
    confirmed = await call(noah, "POST", "/me/totp/confirm", {"code": noah.code()})
    for n, code in enumerate(confirmed["recovery_codes"]):  # type: ignore[arg-type, var-annotated]
        secrets[f"recovery code {n}"] = code
    proved = await call(noah, "POST", "/sessions/current/prove", {"code": noah.code()})
    secrets["proved session token"] = noah.token = str(proved["token"])
    token = await call(
        mina, "POST", "/service_tokens", {"name": "nightly", "permissions": ["audit.read"], "valid_days": 1}
    )
    secrets["service token"] = str(token["token"])
    for wrong in ({"password": NEW_PASSWORD + "!"}, {"code": "000000"}, {"login": NEW_PASSWORD}):
        answers.append((await noah.try_to_enter(**wrong)).text)
    for path in ("/audit?limit=100", "/operators", "/service_tokens", "/me", "/sessions"):
        await call(mina, "GET", path)

    said, kept, told = logs.getvalue(), repr(office.stored()), "\n".join(answers)
    assert "request" in said
    for kind, secret in secrets.items():
        assert secret not in said, f"{kind} in the logs"
        assert secret not in kept, f"{kind} in the database"
        assert told.count(secret) == (0 if secret in (PASSWORD, NEW_PASSWORD, mina.token, mina.secret) else 1) or (
            kind == "new TOTP secret" and told.count(secret) == 2  # as a text and in the address for the QR code
        ), f"{kind} is shown {told.count(secret)} times"


async def test_no_digest_that_is_quick_to_guess_is_kept_of_a_password() -> None:
    """What requests under an Idempotency-Key are compared by is kept for a week: it must not follow from a password."""
    kept = []
    for password in ("dragon fruit for two", "dragon fruit for three"):
        office = Office(totp_required=False)
        mina = await (await office.person("mina", ADMINISTRATOR, totp=False)).enter()
        for path in ("/me/totp", "/sessions/current/prove"):
            await mina.call("POST", path, {"password": password}, headers={"Idempotency-Key": "k"})
        rows = office.stored()["idempotency_key"].values()
        kept.append(sorted(row.call.key.fingerprint for row in rows))
    assert len(kept[0]) >= 1
    assert kept[0] == kept[1]
