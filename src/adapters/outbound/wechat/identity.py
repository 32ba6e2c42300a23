"""Who is paying: official-account OAuth and mini-program log-in, which both turn a code into an openid.

https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/Wechat_webpage_authorization.html
https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-login/code2Session.html
These hosts sign nothing: what they say is as good as their TLS certificate.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx

from adapters.channel_wire import exchange
from domain.channels import Method
from domain.errors import ChannelRejected, ChannelUnavailable, InvalidRequest, OutcomeUnknown

_STATE = re.compile(r"[0-9A-Za-z]{1,128}")
_OPENID = re.compile(r"[0-9A-Za-z_-]{1,128}")
_CODE = re.compile(r"[0-9A-Za-z_-]{1,512}")
# errcode: the code is wrong, used, missing or too old. 40226 is a payer that WeChat will not let log in.
_CODE_REFUSED = frozenset({40029, 40163, 41008, 42003, 40226})
_LATER = frozenset({-1, 45011})


def authorize_url(page: str, app_id: str, redirect_uri: str, state: str) -> str:
    """The page that sends the payer's browser back with a code, without asking (snsapi_base). WeChat Pay takes the
    parameters in this order only. Raises InvalidRequest for a state that WeChat would cut."""
    if not _STATE.fullmatch(state):
        raise InvalidRequest("WeChat takes up to 128 letters and digits as state")
    query = {
        "appid": app_id,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": "snsapi_base",
        "state": state,
    }
    return f"{page}?{urlencode(query)}#wechat_redirect"


async def openid(client: httpx.AsyncClient, host: str, *, app_id: str, secret: str, code: str, method: Method) -> str:
    """The openid behind a code. Raises ChannelRejected for a code that is no good, and as ``exchange``."""
    if not _CODE.fullmatch(code):
        raise ChannelRejected("this is no code of WeChat's", code="payer_code_invalid")
    if method is Method.WECHAT_MINIPROGRAM:
        path, name = "/sns/jscode2session", "js_code"
    else:
        path, name = "/sns/oauth2/access_token", "code"
    query = {"appid": app_id, "secret": secret, name: code, "grant_type": "authorization_code"}
    url = f"{host.rstrip('/')}{path}?{urlencode(query)}"
    response, body = await exchange(client, "WeChat", "GET", url, headers={}, content=None)
    told = _read(body)
    refusal = told.get("errcode") or 0
    if refusal in _CODE_REFUSED:
        raise ChannelRejected(f"WeChat does not take this code: errcode {refusal}", code="payer_code_invalid")
    if refusal in _LATER or response.status_code == 429:
        raise ChannelUnavailable(f"WeChat wants it later: errcode {refusal}")
    if refusal:
        # Our appid, secret or address list: nothing that the payer could mend.
        raise ChannelUnavailable(f"WeChat does not know us: errcode {refusal}", code="payer_identity_refused")
    found = told.get("openid")
    if response.status_code != 200 or not isinstance(found, str) or not _OPENID.fullmatch(found):
        raise OutcomeUnknown(f"WeChat answered {response.status_code} without an openid", code="answer_invalid")
    return found


def _read(body: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise OutcomeUnknown("WeChat's answer cannot be read", code="answer_invalid") from error
    if not isinstance(content, dict):
        raise OutcomeUnknown("WeChat's answer is not an object", code="answer_invalid")
    return content
