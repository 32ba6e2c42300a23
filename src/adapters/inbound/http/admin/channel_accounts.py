"""/admin/v1/channel_accounts and /credentials: where money lands, and how we sign for it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

import msgspec
from litestar import Response, get, patch, post
from litestar.openapi.spec import Example
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin, Who, once
from adapters.inbound.http.admin.merchant_views import (
    AccountPage,
    AccountView,
    CredentialView,
    account_view,
    credential_view,
    next_cursor,
    page_after,
)
from adapters.inbound.http.kit import Cursor, Limit, Req
from application.keep_accounts import AccountDetails, NewCredential
from domain.channels import Channel, Method, Mode
from domain.errors import InvalidRequest
from domain.money import Rate

TAGS = ["Channel accounts"]

_ID = r"^[0-9A-Za-z_-]+(?!\n)$"
Number = Annotated[str, Meta(min_length=1, max_length=64, pattern=_ID)]
Material = dict[Annotated[str, Meta(max_length=40)], Annotated[str, Meta(max_length=20_000)]]
Ppm = Annotated[int, Meta(ge=0, le=1_000_000)]
Methods = Annotated[
    list[Method], Meta(min_length=1, max_length=len(Method), description="What it offers.", examples=[["alipay_qr"]])
]
Priority = Annotated[int, Meta(ge=-1000, le=1000)]
Check = Annotated[
    bool,
    Meta(
        description="Ask the channel whether it takes the credential, before anything is stored. Only in test mode may "
        "this be false.",
        examples=[True],
    ),
]
Public = Annotated[
    Material,
    Meta(
        description="What may be shown. Alipay: `alipay_public_key`, or `app_certificate`, `alipay_certificate` and "
        "`alipay_root_certificate`. WeChat Pay: `mch_serial`, `public_key_id`, `public_key`, `platform_certificates`.",
        examples=[{"alipay_public_key": "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A…"}],
    ),
]
Secrets = Annotated[
    Material,
    Meta(
        description="Encrypted at once and never shown again. Alipay: `app_private_key`. WeChat Pay: "
        "`mch_private_key`, `apiv3_key` and, to log payers in, `app_secret`.",
        examples=[{"app_private_key": "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC…"}],
    ),
]


class CostBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the channel charges for one method."""

    method: Annotated[Method, Meta(description="The method.", examples=["alipay_wap"])]
    rate_ppm: Annotated[Ppm, Meta(description="Parts per million.", examples=[6000])]


Costs = Annotated[
    list[CostBody],
    Meta(
        max_length=len(Method),
        description="For methods that the channel charges otherwise.",
        examples=[[{"method": "alipay_wap", "rate_ppm": 6000}]],
    ),
]


class CredentialBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How we sign and verify at the channel."""

    app_id: Annotated[Number, Meta(description="Alipay's application, WeChat's appid.", examples=["2021000000000001"])]
    public: Public
    secrets: Secrets
    provider: Annotated[
        Number | None,
        Meta(
            description="A service provider's own number (WeChat sp_mchid, Alipay sys_service_provider_id).",
            examples=[None],
        ),
    ] = None

    def credential(self) -> NewCredential:
        return NewCredential(app_id=self.app_id, public=self.public, secrets=self.secrets, provider=self.provider)


class NewChannelAccount(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Where money lands, with a credential of its own or one that stands."""

    channel: Annotated[Channel, Meta(description="The channel.", examples=["alipay"])]
    mode: Annotated[Mode, Meta(description="Live or test.", examples=["test"])]
    payee: Annotated[Number, Meta(description="seller_id, mchid or sub_mchid.", examples=["2088000000000001"])]
    methods: Methods
    merchant_id: Annotated[
        Annotated[str, Meta(max_length=40)] | None,
        Meta(
            description="Its owner, who then receives the money (direct). Null: the platform's (collect).",
            examples=[None],
        ),
    ] = None
    sub_app_id: Annotated[Number | None, Meta(description="WeChat's sub_appid.", examples=[None])] = None
    app_auth_token: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200, pattern=_ID)] | None,
        Meta(description="What an Alipay merchant authorised the provider with. Never shown again.", examples=[None]),
    ] = None
    sub_app_secret: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200, pattern=_ID)] | None,
        Meta(description="The secret of that app, to log its payers in. Never shown again.", examples=[None]),
    ] = None
    cost_rate_ppm: Annotated[Ppm, Meta(description="What the channel charges.", examples=[3800])] = 0
    cost_rates: Costs = msgspec.field(default_factory=list)
    priority: Annotated[Priority, Meta(description="Higher ones are taken first.", examples=[0])] = 0
    credential: Annotated[CredentialBody | None, Meta(description="A credential of its own.")] = None
    credential_id: Annotated[
        Annotated[str, Meta(max_length=40)] | None,
        Meta(description="Or one that stands.", examples=[None]),
    ] = None
    check: Check = True

    def details(self) -> AccountDetails:
        own = {"app_auth_token": self.app_auth_token, "app_secret": self.sub_app_secret}
        return AccountDetails(
            channel=self.channel,
            mode=self.mode,
            payee=self.payee,
            methods=frozenset(self.methods),
            merchant_id=self.merchant_id,
            sub_app_id=self.sub_app_id,
            secrets={name: secret for name, secret in own.items() if secret is not None},
            cost_rate=Rate(self.cost_rate_ppm),
            cost_rates=_costs(self.cost_rates),
            priority=self.priority,
        )

    def how(self) -> NewCredential | str:
        if (self.credential is None) == (self.credential_id is None):
            raise InvalidRequest(
                "credential or credential_id, one of them", code="field_missing", pointer="/credential"
            )
        return self.credential.credential() if self.credential else str(self.credential_id)


class AccountChanges(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is given changes, the rest stays."""

    methods: Methods | UnsetType = UNSET
    cost_rate_ppm: Annotated[Ppm | UnsetType, Meta(description="What the channel charges.", examples=[3800])] = UNSET
    cost_rates: Costs | UnsetType = UNSET
    priority: Annotated[Priority | UnsetType, Meta(description="Higher ones are taken first.", examples=[10])] = UNSET

    def fields(self) -> dict[str, object]:
        fields: dict[str, object] = {}
        if self.methods is not UNSET:
            fields["methods"] = frozenset(self.methods)
        if self.cost_rate_ppm is not UNSET:
            fields["cost_rate"] = Rate(self.cost_rate_ppm)
        if self.cost_rates is not UNSET:
            fields["cost_rates"] = _costs(self.cost_rates)
        if self.priority is not UNSET:
            fields["priority"] = self.priority
        return fields


class RotateBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """New keys in place of those that stand. All of them: what is left out is gone."""

    public: Public
    secrets: Secrets
    overlap_hours: Annotated[
        Annotated[int, Meta(ge=0, le=336)],
        Meta(
            description="How long notices that the channel signed for the keys before are still believed.",
            examples=[72],
        ),
    ] = 72
    check: Check = True


def _costs(costs: list[CostBody]) -> Mapping[Method, Rate]:
    found = {cost.method: Rate(cost.rate_ppm) for cost in costs}
    if len(found) < len(costs):
        raise InvalidRequest("a method stands there twice", code="value_invalid", pointer="/cost_rates")
    return found


@post(
    "/channel_accounts",
    summary="Add a channel account",
    operation_id="addChannelAccount",
    tags=TAGS,
    opt=needs("channel_accounts.write", step_up=True),
)
async def add_account(
    data: JSONBody[NewChannelAccount], request: Req, admin: Admin, actor: Who
) -> Response[AccountView]:
    """The channel is asked for a payment that cannot exist, and has to say so, rightly signed; otherwise the answer is
    422 `credential_check_failed` with what it said, and nothing is stored."""

    async def run() -> AccountView:
        return account_view(await admin.keep_accounts.add(actor, data.details(), data.how(), check=data.check))

    return await once(admin, request, actor, data, run)


@get(
    "/channel_accounts",
    summary="List channel accounts",
    operation_id="listChannelAccounts",
    tags=TAGS,
    opt=needs("channel_accounts.read"),
)
async def list_accounts(
    admin: Admin,
    merchant_id: Annotated[
        str | None,
        QueryParameter(
            max_length=40,
            description="Only those that this merchant owns.",
            examples=[Example(value="mch_01KB5P4Z0W3V7H2M9T8Q6R5N4B")],
        ),
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> AccountPage:
    """Newest first, disabled ones among them."""
    found = await admin.keep_accounts.page(before=page_after(cursor, "cha"), limit=limit, merchant_id=merchant_id)
    return AccountPage(
        data=[account_view(access) for access in found],
        next_cursor=next_cursor([access.account.id for access in found], limit),
    )


@get(
    "/channel_accounts/{account_id:str}",
    summary="Get a channel account",
    operation_id="getChannelAccount",
    tags=TAGS,
    opt=needs("channel_accounts.read"),
)
async def get_account(account_id: FromPath[str], admin: Admin) -> AccountView:
    """One account with its credential: ids, serials and fingerprints, no secret."""
    return account_view(await admin.keep_accounts.get(account_id))


@patch(
    "/channel_accounts/{account_id:str}",
    summary="Edit a channel account",
    operation_id="editChannelAccount",
    tags=TAGS,
    opt=needs("channel_accounts.write"),
)
async def edit_account(
    account_id: FromPath[str], data: JSONBody[AccountChanges], admin: Admin, actor: Who
) -> AccountView:
    """For attempts that begin from now on; those under way keep their cost rate."""
    return account_view(await admin.keep_accounts.edit(actor, account_id, **data.fields()))


@post(
    "/channel_accounts/{account_id:str}/enable",
    status_code=200,
    summary="Enable a channel account",
    operation_id="enableChannelAccount",
    tags=TAGS,
    opt=needs("channel_accounts.switch"),
)
async def enable(account_id: FromPath[str], request: Req, admin: Admin, actor: Who) -> Response[AccountView]:
    """New attempts may go through it."""

    async def run() -> AccountView:
        return account_view(await admin.keep_accounts.edit(actor, account_id, enabled=True))

    return await once(admin, request, actor, None, run, status=200)


@post(
    "/channel_accounts/{account_id:str}/disable",
    status_code=200,
    summary="Disable a channel account",
    operation_id="disableChannelAccount",
    tags=TAGS,
    opt=needs("channel_accounts.switch"),
)
async def disable(account_id: FromPath[str], request: Req, admin: Admin, actor: Who) -> Response[AccountView]:
    """Nothing new goes through it. It still verifies notices, answers questions and refunds."""

    async def run() -> AccountView:
        return account_view(await admin.keep_accounts.edit(actor, account_id, enabled=False))

    return await once(admin, request, actor, None, run, status=200)


@post(
    "/channel_accounts/{account_id:str}/check",
    status_code=200,
    summary="Ask the channel whether the credential works",
    operation_id="checkChannelAccount",
    tags=TAGS,
    opt=needs("channel_accounts.switch"),
)
async def check(account_id: FromPath[str], request: Req, admin: Admin, actor: Who) -> Response[AccountView]:
    """As when it was added. Changes nothing."""

    async def run() -> AccountView:
        return account_view(await admin.keep_accounts.verify(actor, account_id))

    return await once(admin, request, actor, None, run, status=200)


@post(
    "/credentials/{credential_id:str}/rotate",
    status_code=200,
    summary="Rotate a credential",
    operation_id="rotateCredential",
    tags=TAGS,
    opt=needs("credentials.rotate", step_up=True),
)
async def rotate(
    credential_id: FromPath[str], data: JSONBody[RotateBody], request: Req, admin: Admin, actor: Who
) -> Response[CredentialView]:
    """Without downtime: the next call signs with the new keys, and notices that the channel signed for the keys before
    verify for a while. Of two at once one wins; the other is 409 `credential_changed`."""

    async def run() -> CredentialView:
        overlap = timedelta(hours=data.overlap_hours)
        return credential_view(
            await admin.keep_accounts.rotate(
                actor, credential_id, data.public, data.secrets, overlap=overlap, check=data.check
            )
        )

    return await once(admin, request, actor, data, run, status=200)


HANDLERS = [add_account, list_accounts, get_account, edit_account, enable, disable, check, rotate]
