"""The demo's merchant: keys for both channels, registered at the sandbox as a merchant's console would do it."""

import json
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from application.open_merchant import NewAccount
from bootstrap.container import Container, opened
from bootstrap.demo_desk import desk, webhook_secret
from bootstrap.leftovers import write as write_private
from bootstrap.settings import Settings
from domain.channels import Channel, FundMode, Method, Mode
from domain.errors import Unauthenticated
from domain.merchants import Caller
from domain.money import FeePlan, Money, Rate
from domain.orders import OrderRequest

FEE_PLAN = FeePlan(Rate(6_000))
COST_RATE = Rate(3_800)
ALIPAY_APP, ALIPAY_SELLER = "2021000000000001", "2088000000000001"
WECHAT_APP, WECHAT_MCHID = "wx0000000000000001", "1900000001"
WECHAT_SERIAL = "0000000000000000000000000000000000000001"
# The second merchant's own, where its money lands without touching the platform.
DIRECT_ALIPAY_APP, DIRECT_ALIPAY_SELLER = "2021000000000002", "2088000000000002"
DIRECT_WECHAT_APP, DIRECT_WECHAT_MCHID = "wx0000000000000002", "1900000002"
APIV3_KEY = "pitaya-demo-apiv3-key-0123456789"
# What the platform's payouts to merchants are, in WeChat Pay's table of scenes (商家转账, 采购货款).
TRANSFER_SCENE = '{"id": "1009", "reports": {"采购商品名称": "货款结算"}}'
APP_SECRET = "pitaya-demo-app-secret-012345678"  # noqa: S105 - of the sandbox


@dataclass(frozen=True, slots=True)
class DemoMerchant:
    """What the shop and the welcome text need. ``sample_token`` opens the cashier of an order placed just now.

    The shop's merchant collects through the platform's accounts; ``direct_api_key`` is of another one, which receives
    its money itself.
    """

    merchant_id: str
    api_key: str
    webhook_secret: str
    alipay_public_key: str
    wechat_public_key: str
    sample_token: str = ""
    direct_merchant_id: str = ""
    direct_api_key: str = ""
    direct_alipay_public_key: str = ""
    direct_wechat_public_key: str = ""


async def open_demo_merchant(stack: AsyncExitStack, settings: Settings, state: Path, sandbox_url: str) -> DemoMerchant:
    """The merchants of last time if their key still opens the API, else new ones, a collecting and a direct one, set
    up over the operators' API: the web process has to be there. Sets the sandbox's shop up for the first."""
    container = await stack.enter_async_context(opened(settings))
    async with httpx.AsyncClient(base_url=sandbox_url, trust_env=False, timeout=10) as sandbox:
        path = state / "demo.json"
        merchant = await _kept(container, path)
        if merchant is None:
            merchant = await _set_up(container, sandbox, settings.public_url)
            write_private(path, json.dumps(asdict(merchant)))
        await register(sandbox, merchant.alipay_public_key, merchant.wechat_public_key)
        if merchant.direct_api_key:
            await register_direct(sandbox, merchant.direct_alipay_public_key, merchant.direct_wechat_public_key)
        shop = {
            "pitaya_url": settings.public_url,
            "api_key": merchant.api_key,
            "webhook_secret": merchant.webhook_secret,
            "alipay_app_id": ALIPAY_APP,
            "wechat_appid": WECHAT_APP,
        }
        (await sandbox.post("/control/shop", json=shop)).raise_for_status()
    return await _with_sample(container, merchant)


async def _kept(container: Container, path: Path) -> DemoMerchant | None:
    if not path.exists():
        return None
    merchant = DemoMerchant(**json.loads(path.read_text()))
    try:
        await container.authenticate()(merchant.api_key)
    except Unauthenticated:
        return None  # another database than last time
    return merchant


async def register(
    sandbox: httpx.AsyncClient, alipay_public_key: str, wechat_public_key: str, *, certificates: bool = False
) -> dict[str, Any]:
    """Hand our public keys to the sandbox, as one does in the channels' consoles. Returns the channels' keys, and with
    ``certificates`` the files of Alipay's certificate mode."""
    app = {"app_id": ALIPAY_APP, "seller_id": ALIPAY_SELLER, "public_key": alipay_public_key}
    mode = {"certificates": True} if certificates else {}
    mch = {"mchid": WECHAT_MCHID, "appid": WECHAT_APP, "public_key": wechat_public_key}
    return await _register(sandbox, app | mode, mch)


async def register_direct(sandbox: httpx.AsyncClient, alipay_public_key: str, wechat_public_key: str) -> dict[str, Any]:
    """The same for the direct merchant's own application and merchant number."""
    app = {"app_id": DIRECT_ALIPAY_APP, "seller_id": DIRECT_ALIPAY_SELLER, "public_key": alipay_public_key}
    mch = {"mchid": DIRECT_WECHAT_MCHID, "appid": DIRECT_WECHAT_APP, "public_key": wechat_public_key}
    return await _register(sandbox, app, mch)


async def _register(sandbox: httpx.AsyncClient, app: dict[str, Any], mch: dict[str, str]) -> dict[str, Any]:
    alipay = await sandbox.post("/control/alipay/apps", json=app)
    rest = {"serial_no": WECHAT_SERIAL, "apiv3_key": APIV3_KEY, "secrets": {mch["appid"]: APP_SECRET}}
    wechat = await sandbox.post("/control/wechat/merchants", json=mch | rest)
    return {**alipay.raise_for_status().json(), **wechat.raise_for_status().json()}


async def _set_up(container: Container, sandbox: httpx.AsyncClient, web: str) -> DemoMerchant:
    """A merchant in each fund mode, both on one product. Nothing goes past the API."""
    (alipay, alipay_public), (wechat, wechat_public) = key_pair(), key_pair()
    (own_alipay, own_alipay_public), (own_wechat, own_wechat_public) = key_pair(), key_pair()
    async with desk(container, web) as people:
        theirs = await register(sandbox, alipay_public, wechat_public)
        for account in _accounts(theirs, alipay, wechat):
            await people.account(account)
        product = await people.product("全渠道 0.6%", FEE_PLAN.rate.ppm)
        merchant_id, api_key = await people.merchant({"name": "火龙果咖啡 Pitaya Café"}, product)
        theirs = await register_direct(sandbox, own_alipay_public, own_wechat_public)
        direct_id, direct_key = await people.merchant(
            {"name": "火龙果书店 Pitaya Books", "fund_modes": [FundMode.DIRECT]}, product
        )
        for account in _accounts(theirs, own_alipay, own_wechat, direct_id):
            await people.account(account)
    return DemoMerchant(
        merchant_id=merchant_id,
        api_key=api_key,
        webhook_secret=await webhook_secret(web, api_key),
        alipay_public_key=alipay_public,
        wechat_public_key=wechat_public,
        direct_merchant_id=direct_id,
        direct_api_key=direct_key,
        direct_alipay_public_key=own_alipay_public,
        direct_wechat_public_key=own_wechat_public,
    )


def _accounts(
    theirs: dict[str, Any], alipay_key: str, wechat_key: str, owner: str | None = None
) -> tuple[dict[str, Any], ...]:
    """Bodies of both channels' accounts: the platform's, or its owner's own."""
    mine = owner is not None
    common = {"merchant_id": owner, "cost_rate_ppm": COST_RATE.ppm}
    return (
        {
            "channel": Channel.ALIPAY,
            "payee": DIRECT_ALIPAY_SELLER if mine else ALIPAY_SELLER,
            "methods": [method for method in Method if method.channel is Channel.ALIPAY],
            "credential": {
                "app_id": DIRECT_ALIPAY_APP if mine else ALIPAY_APP,
                "public": {"alipay_public_key": theirs["alipay_public_key"]},
                "secrets": {"app_private_key": alipay_key},
            },
            **common,
        },
        {
            "channel": Channel.WECHAT,
            "payee": DIRECT_WECHAT_MCHID if mine else WECHAT_MCHID,
            "methods": [method for method in Method if method.channel is Channel.WECHAT],
            "credential": {
                "app_id": DIRECT_WECHAT_APP if mine else WECHAT_APP,
                "public": {
                    "mch_serial": WECHAT_SERIAL,
                    "public_key_id": theirs["public_key_id"],
                    "public_key": theirs["public_key"],
                    "transfer_scene": TRANSFER_SCENE,
                },
                "secrets": {"mch_private_key": wechat_key, "apiv3_key": APIV3_KEY, "app_secret": APP_SECRET},
            },
            **common,
        },
    )


async def open_merchant_at(container: Container, sandbox: httpx.AsyncClient) -> DemoMerchant:
    """A merchant whose platform accounts live at this sandbox, in test mode."""
    (alipay_key, alipay_public), (wechat_key, wechat_public) = key_pair(), key_pair()
    theirs = await register(sandbox, alipay_public, wechat_public, certificates=True)
    certified = ("app_certificate", "alipay_certificate", "alipay_root_certificate")
    accounts = (
        NewAccount(
            channel=Channel.ALIPAY,
            app_id=ALIPAY_APP,
            payee=ALIPAY_SELLER,
            methods=frozenset(method for method in Method if method.channel is Channel.ALIPAY),
            public={name: theirs[name] for name in certified},
            secrets={"app_private_key": alipay_key},
            cost_rate=COST_RATE,
        ),
        NewAccount(
            channel=Channel.WECHAT,
            app_id=WECHAT_APP,
            payee=WECHAT_MCHID,
            methods=frozenset(method for method in Method if method.channel is Channel.WECHAT),
            public={
                "mch_serial": WECHAT_SERIAL,
                "public_key_id": theirs["public_key_id"],
                "public_key": theirs["public_key"],
                "transfer_scene": TRANSFER_SCENE,
            },
            secrets={"mch_private_key": wechat_key, "apiv3_key": APIV3_KEY, "app_secret": APP_SECRET},
            cost_rate=COST_RATE,
        ),
    )
    opened_merchant = await container.open_merchant()("火龙果咖啡 Pitaya Café", FEE_PLAN, Mode.TEST, accounts=accounts)
    return DemoMerchant(
        merchant_id=opened_merchant.merchant.id,
        api_key=opened_merchant.api_key,
        webhook_secret=opened_merchant.webhook_secret,
        alipay_public_key=alipay_public,
        wechat_public_key=wechat_public,
    )


def key_pair() -> tuple[str, str]:
    """A new RSA key of 2048 bits, private and public, as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


async def _with_sample(container: Container, merchant: DemoMerchant) -> DemoMerchant:
    request = OrderRequest(
        merchant_order_no=f"sample-{container.ids().token(8)}",
        amount=Money(12_983),
        subject="火龙果咖啡 · 机械键盘",
        expires_in=86_400,
    )
    order = await container.place_order()(Caller(merchant.merchant_id, Mode.TEST), request)
    return DemoMerchant(**{**asdict(merchant), "sample_token": order.cashier_token})
