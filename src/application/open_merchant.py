"""Set a merchant up: its fees, channel accounts, API key and the address of its notifications."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from application.keep_accounts import material
from application.keep_endpoints import nameless_endpoint
from application.keep_keys import new_key
from application.ports.channels import Channels
from application.ports.storage import UnitOfWorkFactory
from application.ports.world import Clock, Ids, Vault, account_context, endpoint_context
from domain.channels import Access, Channel, ChannelAccount, Credential, Method, Mode
from domain.errors import InvalidRequest
from domain.merchants import LatePayment, Merchant
from domain.money import FeePlan, Rate
from domain.notifications import Endpoint
from domain.products import Binding, Product, ProductVersion
from domain.webhooks import encode_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """A channel account with the credential that serves it. ``secrets`` are encrypted before they are stored.

    Alipay: public ``alipay_public_key``; secret ``app_private_key``. WeChat Pay: public ``mch_serial``,
    ``public_key_id``, ``public_key``, optional ``platform_certificates``; secrets ``mch_private_key``, ``apiv3_key``,
    optional ``app_secret``. Under a service provider (``provider``) ``payee`` is the sub-merchant, ``sub_app_id`` an
    app of its own, and ``account_secrets`` what is secret of this account alone.
    """

    channel: Channel
    app_id: str
    payee: str
    methods: frozenset[Method]
    public: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)
    of_platform: bool = True
    cost_rate: Rate = Rate(0)
    provider: str | None = None
    sub_app_id: str | None = None
    account_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedMerchant:
    """What only this moment can show: the API key and the signing secret are not readable again as text."""

    merchant: Merchant
    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    endpoint: Endpoint
    account_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenMerchant:
    """Create a merchant ready to collect, with a product of its own that has every method at ``fee_plan``.

    Its endpoint has no address of its own: orders name their notify_url.
    """

    unit_of_work: UnitOfWorkFactory
    channels: Channels
    vault: Vault
    clock: Clock
    ids: Ids
    key_pepper: bytes = field(repr=False)

    async def __call__(
        self,
        name: str,
        fee_plan: FeePlan,
        mode: Mode,
        *,
        accounts: Sequence[NewAccount] = (),
        late_payment: LatePayment = LatePayment.REFUND,
        key_expires_at: datetime | None = None,
    ) -> OpenedMerchant:
        now = self.clock.now()
        merchant = Merchant(id=self.ids.new("mch"), name=name, created_at=now, late_payment=late_payment)
        product = Product(id=self.ids.new("prd"), name=name, created_at=now)
        accesses = [self._access(account, merchant.id, mode) for account in accounts]
        for access in accesses:
            self.channels[access.account.channel].check(access.credential, access.account.payee)
        key, api_key = new_key(self.ids, self.key_pepper, merchant.id, mode, now, expires_at=key_expires_at)
        endpoint = nameless_endpoint(self.vault, self.ids, merchant.id, mode, now)
        async with self.unit_of_work() as uow:
            await uow.merchants.add(merchant)
            await uow.products.add(product)
            await uow.products.add_version(
                ProductVersion(
                    product_id=product.id, n=1, plans=dict.fromkeys(Method, fee_plan), valid_from=now, created_at=now
                )
            )
            await uow.pricings.bind(
                Binding(
                    id=self.ids.new("bnd"),
                    merchant_id=merchant.id,
                    product_id=product.id,
                    valid_from=now,
                    created_at=now,
                )
            )
            await uow.keys.add(key)
            for access in accesses:
                await uow.accounts.add_credential(access.credential)
                await uow.accounts.add(access.account)
            await uow.endpoints.add(endpoint)
        return OpenedMerchant(
            merchant=merchant,
            api_key=api_key,
            webhook_secret=encode_secret(self.vault.open(endpoint_context(endpoint.id), endpoint.sealed)),
            endpoint=endpoint,
            account_ids=tuple(access.account.id for access in accesses),
        )

    def _access(self, new: NewAccount, merchant_id: str, mode: Mode) -> Access:
        if any(method.channel is not new.channel for method in new.methods):
            raise InvalidRequest(
                f"an account of {new.channel} offers that channel's methods only", code="method_invalid"
            )
        unsupported = new.methods - self.channels[new.channel].methods
        if unsupported:
            raise InvalidRequest(f"not supported yet: {', '.join(sorted(unsupported))}", code="method_unsupported")
        owner = None if new.of_platform else merchant_id
        credential_id, account_id = self.ids.new("crd"), self.ids.new("cha")
        own = json.dumps(dict(new.account_secrets)).encode() if new.account_secrets else None
        keys = material(self.vault, credential_id, new.public, new.secrets)
        return Access(
            ChannelAccount(
                id=account_id,
                channel=new.channel,
                mode=mode,
                credential_id=credential_id,
                payee=new.payee,
                methods=new.methods,
                merchant_id=owner,
                sub_app_id=new.sub_app_id,
                sealed=b"" if own is None else self.vault.seal(account_context(account_id), own),
                cost_rate=new.cost_rate,
            ),
            Credential(
                id=credential_id,
                channel=new.channel,
                mode=mode,
                app_id=new.app_id,
                merchant_id=owner,
                provider=new.provider,
                public=keys.public,
                sealed=keys.sealed,
                fingerprints=keys.fingerprints,
            ),
        )
