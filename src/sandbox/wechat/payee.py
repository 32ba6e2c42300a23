"""The payee's phone: where a user of WeChat takes the money that a merchant sends (wx.requestMerchantTransfer)."""

from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlencode

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect

from sandbox.pages import language, page
from sandbox.wechat import transfers
from sandbox.world import World


@get("/phone/wechat/transfers")
async def waiting(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Response[str]:
    """All that waits to be taken; with `package`, that one, as a merchant's page opens it."""
    package = request.query_params.get("package", "")
    bills = [
        bill
        for bill in world.store.things("transfer", transfers.Bill)
        if bill.state == "WAIT_USER_CONFIRM" and package in ("", bill.package_info)
    ]
    return page(request, "payee.html", bills=bills)


@post("/phone/wechat/transfers")
async def take(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Redirect:
    """The payee's thumb; then the list again, so that reloading takes nothing twice."""
    form = {name: values[-1] for name, values in parse_qs((await request.body()).decode("utf-8", "replace")).items()}
    act = transfers.leave if form.get("action") == "leave" else transfers.confirm
    # One that is not there any more is not on the list that follows.
    with suppress(transfers.NotThereError):
        act(world, form.get("package", ""))
    return Redirect("/phone/wechat/transfers?" + urlencode({"lang": language(request)}), status_code=303)


handlers = [waiting, take]
