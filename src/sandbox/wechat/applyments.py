"""Applications of a service provider's sub-merchants (微信支付「特约商户进件」, 「图片上传」)."""

import hashlib
import json
import re
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import msgspec

from sandbox.wechat.orders import Call, Refused, parameter
from sandbox.wechat.sensitive import plain
from sandbox.wire import digits
from sandbox.world import World

_CODE = re.compile(r"[0-9A-Za-z_]{1,124}")
_SECTIONS = ("contact_info", "subject_info", "business_info", "settlement_info", "bank_account_info")
_SENSITIVE = (
    ("contact_info", "contact_name"), ("contact_info", "contact_id_number"), ("contact_info", "mobile_phone"),
    ("contact_info", "contact_email"), ("bank_account_info", "account_name"), ("bank_account_info", "account_number"),
)  # fmt: skip
_WAITS = {
    "APPLYMENT_STATE_EDITTING": "提交申请发生错误，请重新提交",
    "APPLYMENT_STATE_AUDITING": "审核中",
    "APPLYMENT_STATE_REJECTED": "已驳回",
    "APPLYMENT_STATE_TO_BE_CONFIRMED": "待账户验证",
    "APPLYMENT_STATE_TO_BE_SIGNED": "待签约",
    "APPLYMENT_STATE_SIGNING": "开通权限中",
    "APPLYMENT_STATE_FINISHED": "已完成",
    "APPLYMENT_STATE_CANCELED": "已作废",
}
STATES = tuple(_WAITS)
_SIGNED = frozenset({"APPLYMENT_STATE_FINISHED", "APPLYMENT_STATE_SIGNING"})


class Applyment(msgspec.Struct):
    """One application. `names` is what its form says in clear of its merchant, never a person's."""

    mchid: str
    code: str
    id: int
    state: str = "APPLYMENT_STATE_AUDITING"
    sub_mchid: str = ""
    details: list[dict[str, str]] = []
    submissions: int = 1
    short_name: str = ""


def meta_of(content_type: str, body: bytes) -> tuple[bytes, bytes]:
    """What is signed of an upload, and the image. Refused for anything but `meta` and `file`."""
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    parts = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
    if not {"meta", "file"} <= parts.keys():
        raise Refused(400, "PARAM_ERROR", "图片上传需要meta和file两部分")
    meta, image = (parts[name].get_payload(decode=True) for name in ("meta", "file"))
    if not isinstance(meta, bytes) or not isinstance(image, bytes):
        raise Refused(400, "PARAM_ERROR", "图片上传的meta或file格式错误")
    return meta, image


def upload(world: World, call: Call) -> tuple[int, Any]:
    """「图片上传」: a media id for an image whose digest is the one that was signed."""
    meta, image = json.loads(call.body["meta"]), call.body["file"]
    if meta.get("sha256") != hashlib.sha256(image).hexdigest():
        raise Refused(400, "PARAM_ERROR", "图片sha256值与文件不一致")
    if not str(meta.get("filename", "")).lower().endswith((".jpg", ".jpeg", ".bmp", ".png")) or len(image) > 2 * 2**20:
        raise Refused(400, "PARAM_ERROR", "图片格式不正确或超过2M")
    media_id = f"sandbox-media-{hashlib.sha256(image).hexdigest()[:32]}"
    world.store.put("media", f"{call.merchant.mchid} {media_id}", Media(media_id))
    return 200, {"media_id": media_id}


class Media(msgspec.Struct, frozen=True):
    """An uploaded image, of which nothing but its id is kept."""

    id: str


def submit(world: World, call: Call) -> tuple[int, Any]:
    """「提交申请单」: a new one, or one that was sent back, under the same code."""
    body, mchid = call.body, call.merchant.mchid
    code = body.get("business_code")
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise parameter("/business_code", code, "业务申请编号只能由数字、字母或下划线组成")
    for section in _SECTIONS:
        if not isinstance(body.get(section), dict):
            raise parameter(f"/{section}", None, "必填")
    for section, name in _SENSITIVE:
        if body[section].get(name) is not None:
            plain(world, call, f"/{section}/{name}", body[section][name])
    copy = (body["subject_info"].get("business_license_info") or {}).get("license_copy")
    if copy is not None and world.store.thing("media", f"{mchid} {copy}", Media) is None:
        raise parameter("/subject_info/business_license_info/license_copy", copy, "图片不存在，请重新上传")
    known = world.store.thing("applyment", f"{mchid} {code}", Applyment)
    if known is None:
        known = Applyment(mchid, code, int("2000" + digits(12)))
    elif known.state in ("APPLYMENT_STATE_REJECTED", "APPLYMENT_STATE_EDITTING"):
        known.state, known.details, known.submissions = "APPLYMENT_STATE_AUDITING", [], known.submissions + 1
    else:
        raise Refused(400, "PROCESSING", "申请单正在处理中，不能重复提交")
    known.short_name = str(body["business_info"].get("merchant_shortname") or "")
    _save(world, known)
    return 200, {"applyment_id": known.id}


def query(world: World, call: Call) -> tuple[int, Any]:
    """「查询申请单状态」 by either number."""
    mchid, code, id_ = call.merchant.mchid, call.path.get("code"), call.path.get("id")
    if id_ is not None:
        by_id = world.store.thing("applyment_id", f"{mchid} {id_}", Place)
        code = by_id.code if by_id else ""
    found = world.store.thing("applyment", f"{mchid} {code}", Applyment)
    if found is None:
        raise Refused(404, "RESOURCE_NOT_EXISTS", "申请单不存在")
    return 200, told(found)


class Place(msgspec.Struct, frozen=True):
    """The code of an application, by its id."""

    code: str


def told(applyment: Applyment) -> dict[str, Any]:
    done = applyment.state in ("APPLYMENT_STATE_FINISHED", "APPLYMENT_STATE_CANCELED")
    return {
        "business_code": applyment.code,
        "applyment_id": applyment.id,
        **({"sub_mchid": applyment.sub_mchid} if applyment.sub_mchid else {}),
        **(
            {} if done else {"sign_url": f"https://pay.weixin.qq.com/public/apply4ec_sign/s?applymentId={applyment.id}"}
        ),
        "applyment_state": applyment.state,
        "applyment_state_msg": _WAITS[applyment.state],
        "audit_detail": applyment.details,
    }


def moved(world: World, mchid: str, code: str, state: str, reason: str) -> Applyment | None:
    """What people at WeChat Pay and at the merchant do."""
    found = world.store.thing("applyment", f"{mchid} {code}", Applyment)
    if found is None:
        return None
    found.state = state
    if state == "APPLYMENT_STATE_REJECTED":
        found.details = [{"field": "license_copy", "field_name": "营业执照照片", "reject_reason": reason}]
    if state in _SIGNED and not found.sub_mchid:
        found.sub_mchid = "19" + digits(8)
    _save(world, found)
    return found


def _save(world: World, applyment: Applyment) -> None:
    world.store.put("applyment", f"{applyment.mchid} {applyment.code}", applyment)
    world.store.put("applyment_id", f"{applyment.mchid} {applyment.id}", Place(applyment.code))
