"""Both adapters against the sandbox in a process of its own: real sockets, real signatures, real faults."""

import json
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from adapters.outbound.alipay import Alipay
from adapters.outbound.wechat import WechatPay
from application.ports.channels import ChannelAdapter
from application.ports.world import account_context, credential_context
from domain.channels import Access, Channel, ChannelAccount, Credential, Method, Mode, Opening
from domain.money import Money
from domain.numbers import channel_number
from tests.fakes.vault import FakeVault
from tests.unit.sandbox.box import free_port, new_key, running

PATIENT, HASTY = 10.0, 0.5  # seconds; the first is bootstrap's own
APP_SECRET, SUB_MCHID, SUB_APP_ID = "0123456789abcdef0123456789abcdef", "1900000999", "wx0000000000000999"
NOWHERE = "http://127.0.0.1:9/"  # crafted notices are read from the sandbox's own log
_VAULT = FakeVault()
_LOADED: dict[Channel, dict[Any, Any]] = {Channel.ALIPAY: {}, Channel.WECHAT: {}}  # keys, once for all tests


@dataclass(frozen=True)
class Sandbox:
    """The control API of a sandbox, over one connection."""

    base: str
    control: httpx.Client

    def post(self, path: str, **body: Any) -> Any:
        answer = self.control.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def get(self, path: str, **query: Any) -> Any:
        answer = self.control.get(path, params=query)
        assert answer.is_success, answer.text
        return answer.json()

    def clear_faults(self) -> None:
        assert self.control.delete("faults").is_success


@pytest.fixture(scope="package")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with (
        running(port, tmp_path_factory.mktemp("sandbox")),
        httpx.Client(base_url=f"{base}/control/", trust_env=False, timeout=20) as control,
    ):
        yield Sandbox(base, control)


@pytest.fixture(scope="package")
def accesses(sandbox: Sandbox) -> dict[Channel, Access]:
    """An application and a merchant, registered at the sandbox with keys of their own."""
    private, public = new_key()
    app_id, seller_id, mchid = "2021000000000001", "2088000000000001", "1900000001"
    app = sandbox.post("alipay/apps", app_id=app_id, seller_id=seller_id, public_key=public, certificates=True)
    alipay = _access(
        Channel.ALIPAY,
        app_id,
        seller_id,
        public={name: app[name] for name in ("app_certificate", "alipay_certificate", "alipay_root_certificate")},
        sealed={"app_private_key": private},
    )
    serial, apiv3_key, appid = secrets.token_hex(20).upper(), secrets.token_hex(16), "wx0000000000000001"
    merchant = sandbox.post(
        "wechat/merchants",
        mchid=mchid,
        appid=appid,
        serial_no=serial,
        public_key=public,
        apiv3_key=apiv3_key,
        secrets={appid: APP_SECRET, SUB_APP_ID: APP_SECRET[::-1]},
    )
    wechat = _access(
        Channel.WECHAT,
        appid,
        mchid,
        public={
            "mch_serial": serial,
            "public_key_id": merchant["public_key_id"],
            "public_key": merchant["public_key"],
            "platform_certificates": merchant["platform_certificate"],
            "transfer_scene": json.dumps({"id": "1009", "reports": {"采购商品名称": "货款"}}),
        },
        sealed={"mch_private_key": private, "apiv3_key": apiv3_key, "app_secret": APP_SECRET},
    )
    return {Channel.ALIPAY: alipay, Channel.WECHAT: wechat}


def _access(channel: Channel, app_id: str, payee: str, *, public: dict[str, str], sealed: dict[str, str]) -> Access:
    id_ = f"crd_{channel}"
    credential = Credential(
        id=id_,
        channel=channel,
        mode=Mode.TEST,
        app_id=app_id,
        public=public,
        sealed=_VAULT.seal(credential_context(id_), json.dumps(sealed).encode()),
    )
    methods = {method for method in Method if method.channel is channel}
    account = ChannelAccount(
        id=f"cha_{channel}",
        channel=channel,
        mode=Mode.TEST,
        credential_id=id_,
        payee=payee,
        methods=frozenset(methods),
    )
    return Access(account, credential)


@pytest_asyncio.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Set up as bootstrap sets it up, but for certificates, which plain HTTP does not need."""
    timeout = httpx.Timeout(5.0, connect=3.0, pool=2.0)
    async with httpx.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=False, verify=False) as shared:
        yield shared


def _adapter(channel: Channel, client: httpx.AsyncClient, base: str, deadline_seconds: float) -> ChannelAdapter:
    if channel is Channel.ALIPAY:
        alipay = Alipay(_VAULT, client, {Mode.TEST: f"{base}/gateway.do"}, deadline_seconds=deadline_seconds)
        alipay._apps._loaded = _LOADED[channel]
        return alipay
    wechat = WechatPay(
        _VAULT,
        client,
        {Mode.TEST: base},
        pages={Mode.TEST: f"{base}/connect/oauth2/authorize"},
        hosts={Mode.TEST: base},
        deadline_seconds=deadline_seconds,
    )
    wechat._keys._loaded = _LOADED[channel]
    return wechat


@dataclass(frozen=True)
class Side:
    """One channel: our adapter, who we are there, and the sandbox's other end of it."""

    channel: Channel
    adapter: ChannelAdapter
    access: Access
    sandbox: Sandbox

    def opening(self, **changes: Any) -> Opening:
        ulid = "".join(secrets.choice("0123456789ABCDEFGHJKMNPQRSTVWXYZ") for _ in range(26))
        asked: dict[str, Any] = {
            "number": channel_number(ulid),
            "method": {Channel.ALIPAY: Method.ALIPAY_QR, Channel.WECHAT: Method.WECHAT_NATIVE}[self.channel],
            "amount": Money(8888),
            "subject": "火龙果 {两斤}",
            "expires_at": datetime.now(UTC) + timedelta(minutes=15),
            "notice_url": NOWHERE,
        }
        return Opening(**(asked | changes))

    async def call(self, name: str, opening: Opening) -> Any:
        if name == "open":
            return await self.adapter.open(self.access, opening)
        return await getattr(self.adapter, name)(self.access, opening.number)

    def hasty(self, client: httpx.AsyncClient) -> "Side":
        """The same side, with little patience."""
        return replace(self, adapter=_adapter(self.channel, client, self.sandbox.base, HASTY))

    def elsewhere(self, client: httpx.AsyncClient, base: str) -> "Side":
        """The same side, asking at another address."""
        return replace(self, adapter=_adapter(self.channel, client, base, PATIENT))

    def scan(self, opening: Opening) -> None:
        self.sandbox.post("scan", channel=self.channel, out_trade_no=opening.number)

    def pay(self, opening: Opening, **changes: Any) -> None:
        self.sandbox.post("pay", channel=self.channel, out_trade_no=opening.number, notify=False, **changes)

    def fault(self, call: str, name: str, *, seconds: float = 0.0) -> None:
        opens = {Channel.ALIPAY: "precreate", Channel.WECHAT: "native"}[self.channel]
        api = opens if call == "open" else call
        self.sandbox.post("faults", channel=self.channel, api=api, fault=name, seconds=seconds)

    def trade(self, opening: Opening) -> dict[str, Any]:
        (trade,) = self.sandbox.get("trades", channel=self.channel, out_trade_no=opening.number)
        told: dict[str, Any] = trade
        return told

    def notice(self, number: str, **how: Any) -> tuple[dict[str, str], bytes]:
        """Headers and body of a notice as the sandbox sends it."""
        sent = self.sandbox.post("notices/send", channel=self.channel, out_trade_no=number, url=NOWHERE, **how)
        return sent["headers"], sent["body"].encode()


@pytest.fixture(params=[Channel.ALIPAY, Channel.WECHAT], ids=str)
def side(
    request: pytest.FixtureRequest, sandbox: Sandbox, accesses: dict[Channel, Access], client: httpx.AsyncClient
) -> Iterator[Side]:
    """The tests that are alike for both channels."""
    side = Side(request.param, _adapter(request.param, client, sandbox.base, PATIENT), accesses[request.param], sandbox)
    yield side
    sandbox.clear_faults()
    sandbox.post("settings", wechat_signer="public_key")


def sealed_for(account_id: str, **secrets_of_it: str) -> bytes:
    """What a channel account keeps to itself."""
    return _VAULT.seal(account_context(account_id), json.dumps(secrets_of_it).encode())


@pytest.fixture
def wechat_side(sandbox: Sandbox, accesses: dict[Channel, Access], client: httpx.AsyncClient) -> Iterator[Side]:
    """What only WeChat Pay has."""
    access = accesses[Channel.WECHAT]
    yield Side(Channel.WECHAT, _adapter(Channel.WECHAT, client, sandbox.base, PATIENT), access, sandbox)
    sandbox.clear_faults()
    sandbox.post("settings", wechat_signer="public_key", wechat_refund_gap=60, wechat_refund_seconds=1)
    sandbox.post("wechat/certificates/restore")
