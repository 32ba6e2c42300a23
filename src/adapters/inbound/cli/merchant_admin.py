"""`pitaya merchant` and `pitaya channel-account`: what the operators' API does, for who has a shell on the machine.

Answers are JSON, the same objects as the API's. Whoever can run this stands above every operator already, so what
takes two people there takes one here, and the audit says that it was the system's hand.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from application.keep_accounts import AccountDetails, KeepAccounts, NewCredential
from application.keep_merchants import KeepMerchants
from domain.actors import SYSTEM
from domain.channels import Access, Channel, Method, Mode
from domain.errors import InvalidRequest
from domain.limits import Limit
from domain.merchants import LatePayment, Merchant
from domain.money import Rate

SHOWN = 100


class CredentialFile(msgspec.Struct, forbid_unknown_fields=True):
    """Keys as PEM or bare base64 text (docs/merchants.md)."""

    public: dict[str, str]
    secrets: dict[str, str]


class ChannelAccountFile(CredentialFile):
    """A channel account with a credential of its own."""

    channel: Channel
    mode: Mode
    app_id: str
    payee: str
    methods: list[Method]
    provider: str | None = None
    merchant_id: str | None = None
    sub_app_id: str | None = None
    account_secrets: dict[str, str] = msgspec.field(default_factory=dict)
    cost_rate_ppm: int = 0
    priority: int = 0


async def list_merchants(keep: KeepMerchants) -> str:
    """The newest ones, one a line."""
    found = await keep.page(before=None, limit=SHOWN)
    return "\n".join(f"{each.id}  {'active   ' if each.active else 'suspended'}  {each.name}" for each in found)


async def show_merchant(keep: KeepMerchants, merchant_id: str) -> str:
    """The merchant with its prices and limits as they stand."""
    standing, _ = await keep.standing(merchant_id)
    prices = {str(method): plan.rate.ppm for method, plan in sorted(standing.plans.items())}
    limits = [limit.snapshot() for _, limit in sorted(standing.limits.items())]
    return _json({**standing.merchant.snapshot(), "rates_ppm": prices, "limits": limits})


async def edit_merchant(
    keep: KeepMerchants,
    merchant_id: str,
    *,
    name: str | None,
    short_name: str | None,
    late_payment: str | None,
    networks: Sequence[str] | None,
) -> str:
    """What is given changes. Networks in place of those that stand; one that is empty text takes them all away."""
    changes: dict[str, Any] = {"name": name, "short_name": short_name}
    changes["late_payment"] = LatePayment(late_payment) if late_payment else None
    changes["networks"] = [each for each in networks if each] if networks else None
    given = {field: value for field, value in changes.items() if value is not None}
    return _json((await keep.edit(SYSTEM, merchant_id, **given)).snapshot())


async def suspend_merchant(keep: KeepMerchants, merchant_id: str, *, reason: str, suspended: bool) -> str:
    act = keep.suspend if suspended else keep.reactivate
    merchant: Merchant = await act(SYSTEM, merchant_id, reason)
    return _json(merchant.snapshot())


async def limit_merchant(
    keep: KeepMerchants, merchant_id: str, *, method: str, single: int | None, daily: int | None
) -> str:
    """In place of the method's earlier limits."""
    limit = await keep.limit(SYSTEM, merchant_id, Limit(_method(method), single, daily))
    return _json(limit.snapshot())


async def list_accounts(keep: KeepAccounts, merchant_id: str | None) -> str:
    found = await keep.page(before=None, limit=SHOWN, merchant_id=merchant_id)
    return "\n".join(
        f"{access.account.id}  {'on ' if access.account.enabled else 'off'}  {access.account.mode:4}  "
        f"{access.account.channel:6}  {access.account.fund_mode:7}  {access.account.payee}"
        for access in found
    )


async def show_account(keep: KeepAccounts, account_id: str) -> str:
    return _account(await keep.get(account_id))


async def add_account(keep: KeepAccounts, path: Path, *, check: bool) -> str:
    """From a JSON file, checked by a question to the channel. Raises InvalidRequest, never with what the file holds."""
    asked = _read(path, ChannelAccountFile)
    details = AccountDetails(
        channel=asked.channel,
        mode=asked.mode,
        payee=asked.payee,
        methods=frozenset(asked.methods),
        merchant_id=asked.merchant_id,
        sub_app_id=asked.sub_app_id,
        secrets=asked.account_secrets,
        cost_rate=Rate(asked.cost_rate_ppm),
        priority=asked.priority,
    )
    credential = NewCredential(app_id=asked.app_id, public=asked.public, secrets=asked.secrets, provider=asked.provider)
    return _account(await keep.add(SYSTEM, details, credential, check=check))


async def switch_account(keep: KeepAccounts, account_id: str, *, enabled: bool) -> str:
    return _account(await keep.edit(SYSTEM, account_id, enabled=enabled))


async def check_account(keep: KeepAccounts, account_id: str) -> str:
    """Raises InvalidRequest with what the channel said."""
    await keep.verify(SYSTEM, account_id)
    return f"{account_id}: the channel accepts its credential"


async def rotate_account(keep: KeepAccounts, account_id: str, path: Path, *, overlap_hours: int, check: bool) -> str:
    """New keys from a JSON file for the credential that signs for this account, and for all others that it serves."""
    asked = _read(path, CredentialFile)
    access = await keep.get(account_id)
    credential = await keep.rotate(
        SYSTEM,
        access.credential.id,
        asked.public,
        asked.secrets,
        overlap=timedelta(hours=overlap_hours),
        check=check,
    )
    return _json(credential.snapshot())


def _read(path: Path, type_: type[msgspec.Struct]) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=type_)
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise InvalidRequest(f"{path}: {error}") from None


def _method(text: str) -> Method:
    try:
        return Method(text)
    except ValueError:
        raise InvalidRequest(f"one of {', '.join(Method)}", code="method_invalid") from None


def _account(access: Access) -> str:
    return _json({**access.account.snapshot(), "credential": access.credential.snapshot()})


def _json(shown: Mapping[str, Any]) -> str:
    return json.dumps(shown, ensure_ascii=False, indent=2)
