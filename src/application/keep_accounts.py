"""What operators do with channel accounts and credentials: enter, check, edit, switch, rotate."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from application.ports.channels import Channels
from application.ports.storage import UnitOfWork, UnitOfWorkFactory
from application.ports.world import Clock, Ids, Vault, account_context, credential_context
from domain.actors import Actor, changed
from domain.channels import (
    Access,
    Channel,
    ChannelAccount,
    ChannelState,
    Credential,
    Material,
    Method,
    Mode,
    check_names,
    fingerprint,
)
from domain.errors import ChannelError, Conflict, InvalidRequest
from domain.money import Rate
from domain.numbers import channel_number

# How long the channel may go on signing for the material before a rotation: WeChat repeats a notice for a day,
# Alipay for 25 hours, and both take some time to change keys.
OVERLAP = timedelta(hours=72)
LONGEST_OVERLAP = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCredential:
    """Keys as they are entered (docs/merchants.md says which ones a channel has)."""

    app_id: str
    public: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)
    provider: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDetails:
    """A channel account as it is entered. ``merchant_id`` is its owner; None: the platform. ``secrets`` are of this
    account alone: Alipay's ``app_auth_token``, the ``app_secret`` of a sub-merchant's own app at WeChat."""

    channel: Channel
    mode: Mode
    payee: str
    methods: frozenset[Method]
    merchant_id: str | None = None
    sub_app_id: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    cost_rate: Rate = Rate(0)
    cost_rates: Mapping[Method, Rate] = field(default_factory=dict)
    priority: int = 0


@dataclass(frozen=True, slots=True)
class CheckAccess:
    """Ask the channel for a payment that cannot exist: a rightly signed "no such payment" shows that the channel
    takes our signature for this payee, and that we can verify its own.

    Raises InvalidRequest: with the field's code for material that cannot be used at all, else
    ``credential_check_failed`` with what the channel said.
    """

    channels: Channels
    ids: Ids

    async def __call__(self, access: Access, *, ask: bool = True) -> None:
        channel = self.channels[access.account.channel]
        channel.check(access.credential, access.account.payee)
        if not ask:
            return
        number = channel_number(self.ids.new("num").removeprefix("num_"))
        try:
            report = await channel.query(access, number)
        except ChannelError as failure:
            raise InvalidRequest(f"the channel said: {failure}"[:300], code="credential_check_failed") from failure
        if report.state is not ChannelState.ABSENT:
            raise InvalidRequest(
                f"the channel knows a payment that cannot exist: {report.state}", code="credential_check_failed"
            )


@dataclass(frozen=True, slots=True)
class KeepAccounts:
    """Secrets go in and never come out: an account shows which they are by the fingerprints of its credential.

    ``check=False`` leaves the question to the channel out; it is for test mode alone (Conflict otherwise).
    """

    unit_of_work: UnitOfWorkFactory
    channels: Channels
    vault: Vault
    clock: Clock
    ids: Ids
    check: CheckAccess

    async def get(self, account_id: str) -> Access:
        async with self.unit_of_work() as uow:
            return await uow.accounts.access(account_id)

    async def page(self, *, before: str | None, limit: int, merchant_id: str | None = None) -> Sequence[Access]:
        async with self.unit_of_work() as uow:
            return await uow.accounts.page(before=before, limit=limit, merchant_id=merchant_id)

    async def add(
        self, actor: Actor, details: AccountDetails, credential: NewCredential | str, *, check: bool = True
    ) -> Access:
        """An account with a credential of its own, or (by its id) with one that stands. Enabled at once."""
        _may_skip(details.mode, check=check)
        self._offers(details.channel, details.methods)
        async with self.unit_of_work() as uow:
            if details.merchant_id is not None:
                await uow.merchants.get(details.merchant_id)
            standing = await uow.credentials.get(credential) if isinstance(credential, str) else None
        new = standing or self._credential(details, credential)
        _fits(new, details)
        access = Access(self._account(details, new), new)
        await self.check(access, ask=check)
        async with self.unit_of_work() as uow:
            if standing is None:
                await uow.accounts.add_credential(new)
            await uow.accounts.add(access.account)
            await self._record(uow, actor, "channel_account.added", None, access)
        return access

    async def edit(self, actor: Actor, account_id: str, **changes: Any) -> Access:
        """``changes`` are fields of ChannelAccount: methods, cost_rate, cost_rates, priority, enabled."""
        async with self.unit_of_work() as uow:
            before = Access(await uow.accounts.lock(account_id), (await uow.accounts.access(account_id)).credential)
            account = replace(before.account, **changes)
            if "methods" in changes:
                self._offers(account.channel, account.methods)
            after = replace(before, account=account)
            await uow.accounts.save(account)
            await self._record(uow, actor, "channel_account.edited", before, after)
        return after

    async def verify(self, actor: Actor, account_id: str) -> Access:
        """Ask the channel whether the account's credential works, at any time. Raises as CheckAccess."""
        access = await self.get(account_id)
        await self.check(access)
        async with self.unit_of_work() as uow:
            await self._record(uow, actor, "channel_account.checked", access, access)
        return access

    async def rotate(
        self,
        actor: Actor,
        credential_id: str,
        public: Mapping[str, str],
        secrets: Mapping[str, str],
        *,
        overlap: timedelta = OVERLAP,
        check: bool = True,
    ) -> Credential:
        """New keys for all accounts of a credential, from the next call on. What the channel signed for the keys
        before is still believed for ``overlap``.

        Raises Conflict("credential_changed") when somebody else rotated it meanwhile: one of two at once wins.
        """
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            raise InvalidRequest("an overlap of 0 to 14 days", code="value_invalid", pointer="/overlap_hours")
        async with self.unit_of_work() as uow:
            seen = await uow.credentials.get(credential_id)
            accounts = await uow.credentials.accounts(credential_id)
        _may_skip(seen.mode, check=check)
        check_names(seen.channel, public, secrets)
        after = seen.rotated(
            material(self.vault, credential_id, public, secrets), keep_until=self.clock.now() + overlap
        )
        for account in accounts[:1]:
            await self.check(Access(account, after), ask=check)
        async with self.unit_of_work() as uow:
            before = await uow.credentials.lock(credential_id)
            if before.version != seen.version:
                raise Conflict("somebody else has rotated this credential meanwhile", code="credential_changed")
            await uow.credentials.save(after)
            was, is_ = changed(before.snapshot(), after.snapshot())
            await uow.audit.add(
                actor.did(
                    "credential.rotated",
                    credential_id,
                    id=self.ids.new("aud"),
                    at=self.clock.now(),
                    merchant_id=after.merchant_id,
                    before=was,
                    after=is_,
                )
            )
        return after

    def _offers(self, channel: Channel, methods: frozenset[Method]) -> None:
        if not methods or any(method.channel is not channel for method in methods):
            raise InvalidRequest(f"methods of {channel}, at least one", code="method_invalid", pointer="/methods")
        unsupported = methods - self.channels[channel].methods
        if unsupported:
            raise InvalidRequest(
                f"not supported: {', '.join(sorted(unsupported))}", code="method_unsupported", pointer="/methods"
            )

    def _credential(self, details: AccountDetails, new: NewCredential | str) -> Credential:
        assert isinstance(new, NewCredential)
        check_names(details.channel, new.public, new.secrets)
        credential_id = self.ids.new("crd")
        entered = material(self.vault, credential_id, new.public, new.secrets)
        return Credential(
            id=credential_id,
            channel=details.channel,
            mode=details.mode,
            app_id=new.app_id,
            # A provider's signs for its sub-merchants: it is the platform's, whoever owns the account.
            merchant_id=None if new.provider else details.merchant_id,
            provider=new.provider,
            public=entered.public,
            sealed=entered.sealed,
            fingerprints=entered.fingerprints,
        )

    def _account(self, details: AccountDetails, credential: Credential) -> ChannelAccount:
        account_id, sealed = self.ids.new("cha"), b""
        if details.secrets:
            sealed = self.vault.seal(account_context(account_id), json.dumps(dict(details.secrets)).encode())
        return ChannelAccount(
            id=account_id,
            channel=details.channel,
            mode=details.mode,
            credential_id=credential.id,
            payee=details.payee,
            methods=details.methods,
            merchant_id=details.merchant_id,
            sub_app_id=details.sub_app_id,
            sealed=sealed,
            cost_rate=details.cost_rate,
            cost_rates=details.cost_rates,
            priority=details.priority,
        )

    async def _record(self, uow: UnitOfWork, actor: Actor, action: str, before: Access | None, after: Access) -> None:
        was, is_ = changed(before.account.snapshot() if before else {}, after.account.snapshot())
        await uow.audit.add(
            actor.did(
                action,
                after.account.id,
                id=self.ids.new("aud"),
                at=self.clock.now(),
                merchant_id=after.account.merchant_id,
                before=was,
                after=is_,
            )
        )


def material(vault: Vault, credential_id: str, public: Mapping[str, str], secrets: Mapping[str, str]) -> Material:
    """Keys as they are stored: the secret ones sealed for this credential, and told apart by their fingerprints."""
    return Material(
        public=dict(public),
        sealed=vault.seal(credential_context(credential_id), json.dumps(dict(secrets)).encode()),
        fingerprints={name: fingerprint(secret) for name, secret in sorted(secrets.items())},
    )


def _fits(credential: Credential, details: AccountDetails) -> None:
    """A credential serves accounts of its channel and mode; a merchant's own serves that merchant alone."""
    strange = credential.merchant_id is not None and credential.merchant_id != details.merchant_id
    if (credential.channel, credential.mode) != (details.channel, details.mode) or strange:
        raise InvalidRequest(
            "this credential is for another channel, mode or owner",
            code="credential_mismatch",
            pointer="/credential_id",
        )


def _may_skip(mode: Mode, *, check: bool) -> None:
    if not check and mode is not Mode.TEST:
        raise InvalidRequest("a live credential is checked", code="check_required", pointer="/check")
