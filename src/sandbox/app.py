"""The sandbox as one application: two channels, a phone, a shop, and the switches."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import structlog
from litestar import Litestar, get
from litestar.di import Provide
from litestar.response import Redirect
from litestar.static_files import create_static_files_router

from sandbox import control, keys, payer, phone
from sandbox.alipay import control as alipay_control
from sandbox.alipay import gateway, login
from sandbox.alipay import notices as alipay_notices
from sandbox.alipay import transfers as alipay_transfers
from sandbox.authority import Authority
from sandbox.courier import ALIPAY_LADDER, WECHAT_LADDER, Courier, Post
from sandbox.faults import Faults
from sandbox.model import Channel
from sandbox.shop import orders, paying, till, webhook, window
from sandbox.store import Store
from sandbox.wechat import api, identity, payee, refunds, transfers, wallet
from sandbox.wechat import control as wechat_control
from sandbox.wechat import notices as wechat_notices
from sandbox.world import World

log = structlog.get_logger(__name__)

_BODY_LIMIT = 1024 * 1024
_CLOSE_EVERY_SECONDS = 0.5


def create_app(state: Path | None, public_url: str = "http://127.0.0.1:8400", pitaya_url: str = "") -> Litestar:
    """Builds a box of its own; `state` None keeps it in memory."""
    world = _world(state, public_url.rstrip("/"), pitaya_url)

    @contextlib.asynccontextmanager
    async def life(app: Litestar) -> AsyncIterator[None]:
        del app
        tasks = [asyncio.create_task(world.courier.run()), asyncio.create_task(_close_expired(world))]
        yield
        world.stopping.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await world.courier.close()
        world.store.close()

    files = create_static_files_router("/static", directories=[Path(__file__).parent / "static"])
    alipay = gateway.handlers
    switches = [*control.handlers, *alipay_control.handlers, *wechat_control.handlers]
    people = [*phone.handlers, *payee.handlers, *wallet.handlers, *identity.handlers, *login.handlers]
    shop = [*window.handlers, *paying.handlers, *orders.handlers, *till.handlers, *webhook.handlers]
    return Litestar(
        [livez, front, api.v3, *alipay, *switches, *people, *shop, files],
        dependencies={"world": Provide(lambda: world, sync_to_thread=False)},
        lifespan=[life],
        openapi_config=None,
        request_max_body_size=_BODY_LIMIT,
        exception_handlers=control.exception_handlers,
    )


def _world(state: Path | None, public_url: str, pitaya_url: str) -> World:
    if state:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    store, own, faults = Store(state), keys.load_or_make(state), Faults()
    authority = Authority(state, own.alipay)
    if pitaya_url:
        settings = store.settings()
        settings.pitaya_url = pitaya_url.rstrip("/")
        store.save_settings(settings)
    posts: dict[Channel, Post] = {
        "alipay": Post(
            compose=partial(alipay_notices.compose, store),
            render=partial(alipay_notices.render, store, own, authority),
            taken=alipay_notices.taken,
            spoil_amount=alipay_notices.spoil_amount,
            ladder=ALIPAY_LADDER,
            timeout=10,
        ),
        "wechat": Post(
            compose=wechat_notices.compose,
            render=partial(wechat_notices.render, own, store),
            taken=wechat_notices.taken,
            spoil_amount=wechat_notices.spoil_amount,
            ladder=WECHAT_LADDER,
            timeout=5,
        ),
    }
    return World(store, own, faults, Courier(store, faults, posts), public_url, authority)


async def _close_expired(world: World) -> None:
    while True:
        await asyncio.sleep(_CLOSE_EVERY_SECONDS)
        try:
            payer.close_expired(world)
            refunds.advance(world)
            transfers.advance(world)
            alipay_transfers.advance(world)
        except Exception:
            log.exception("what comes by itself failed")


@get("/livez", media_type="text/plain")
async def livez() -> str:
    """Whether the process answers."""
    return "ok\n"


@get("/")
async def front() -> Redirect:
    """The shop is what a visitor came for."""
    return Redirect("/shop")
