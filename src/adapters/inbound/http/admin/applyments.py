"""/admin/v1: merchants become sub-merchants of ours at WeChat Pay (特约商户进件)."""

import base64
from typing import Annotated, Any, Literal

import msgspec
import segno
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin, Who, once
from adapters.inbound.http.kit import Req
from application.keep_applyments import MOST_IMAGE
from domain.applyments import Applyment, ApplymentStatus
from domain.channels import Method, Mode
from domain.errors import InvalidRequest

TAGS = ["Applications"]
MOST_UPLOAD = MOST_IMAGE * 4 // 3 + 4096  # in base64, with the rest of the body

Id = Annotated[str, Meta(min_length=1, max_length=40)]
FormBody = Annotated[
    dict[
        Literal[
            "contact_info", "subject_info", "business_info", "settlement_info", "bank_account_info", "addition_info"
        ],
        dict[str, Any],
    ],
    Meta(
        description="The sections of WeChat Pay's 提交申请单 as its documents have them, in clear: what concerns "
        "people is encrypted on the way. Images by their media id.",
        examples=[{"business_info": {"merchant_shortname": "小店"}}],
    ),
]


class NewApplyment(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A merchant's application."""

    credential_id: Annotated[
        Id, Meta(description="A service provider's credential.", examples=["crd_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])
    ]
    methods: Annotated[
        list[Method],
        Meta(min_length=1, description="What its account will offer.", examples=[["wechat_jsapi", "wechat_native"]]),
    ]
    form: FormBody


class AmendedForm(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The whole form, mended."""

    form: FormBody


class ImageBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An image of a form: a licence, an identity card."""

    credential_id: Annotated[
        Id, Meta(description="The same as the application's.", examples=["crd_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])
    ]
    name: Annotated[
        Annotated[str, Meta(min_length=1, max_length=128)], Meta(description="Its file name.", examples=["licence.jpg"])
    ]
    content: Annotated[
        Annotated[str, Meta(min_length=1, max_length=MOST_UPLOAD)],
        Meta(description="Base64 of a JPG, PNG or BMP of 2 MB at most.", examples=["/9j/4AAQSkZJRg=="]),
    ]

    def image(self) -> bytes:
        try:
            return base64.b64decode(self.content, validate=True)
        except ValueError:  # binascii.Error, or a plain one where it is not even ASCII
            raise InvalidRequest("not base64", code="image_invalid", pointer="/content") from None


class MediaView(msgspec.Struct, kw_only=True):
    """What a form calls the image by."""

    media_id: Annotated[
        str, Meta(description="WeChat Pay's.", examples=["H1ihR9JUtVj-J7CJqBUY5ZOrG_Je75H-rKhTG7FUmg9s"])
    ]


class RejectionView(msgspec.Struct, kw_only=True):
    """What the channel does not like."""

    field: Annotated[str, Meta(description="The form's field.", examples=["license_copy"])]
    name: Annotated[str, Meta(description="As people call it.", examples=["营业执照照片"])]
    reason: Annotated[str, Meta(description="In the channel's words.", examples=["看不清"])]


class ApplymentView(msgspec.Struct, kw_only=True):
    """An application. Its form is not kept once the channel has it, and never shown."""

    id: Annotated[str, Meta(description="Our id.", examples=["apl_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    object: Annotated[Literal["applyment"], Meta(description="What kind of object this is.")]
    merchant_id: Annotated[str, Meta(description="Whose.", examples=["mch_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    mode: Annotated[Mode, Meta(description="The credential's.", examples=["live"])]
    credential_id: Annotated[str, Meta(description="Through whom.", examples=["crd_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    code: Annotated[str, Meta(description="业务申请编号.", examples=["1900000001_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    methods: Annotated[list[Method], Meta(description="What its account will offer.", examples=[["wechat_native"]])]
    status: Annotated[
        ApplymentStatus,
        Meta(
            description="`rejected` and `editing` wait for an amended form, `to_be_confirmed` and `to_be_signed` for "
            "the merchant's administrator.",
            examples=["to_be_signed"],
        ),
    ]
    channel_id: Annotated[str | None, Meta(description="微信支付申请单号.", examples=["2000002124775691"])]
    sub_mchid: Annotated[str | None, Meta(description="特约商户号, once there is one.", examples=["1900000109"])]
    sign_url: Annotated[
        str | None, Meta(description="The administrator opens it in WeChat.", examples=["https://pay.weixin.qq.com/…"])
    ]
    sign_code: Annotated[
        str | None, Meta(description="The same as a QR, a data: URL of an SVG.", examples=["data:image/svg+xml;…"])
    ]
    rejections: Annotated[list[RejectionView], Meta(description="Why it was sent back.")]
    account_id: Annotated[
        str | None,
        Meta(
            description="The channel account made from it, switched off.", examples=["cha_01KB5P4Z0W3V7H2M9T8Q6R5N4B"]
        ),
    ]
    created_at: Annotated[str, Meta(description="RFC 3339 with offset.", examples=["2026-11-01T08:30:00.000+00:00"])]


class ApplymentList(msgspec.Struct, kw_only=True):
    """A merchant's applications, newest first."""

    data: Annotated[list[ApplymentView], Meta(description="All of them.")]


def applyment_view(applyment: Applyment) -> ApplymentView:
    shown = applyment.snapshot()
    url = applyment.sign_url
    code = segno.make(url, error="m").svg_data_uri(scale=4) if url else None
    return msgspec.convert({**shown, "sign_code": code}, ApplymentView)


@post(
    "/channel_images",
    summary="Upload an image of a form",
    operation_id="uploadImage",
    tags=TAGS,
    opt=needs("applyments.submit", step_up=True),
    request_max_body_size=MOST_UPLOAD,
)
async def upload_image(data: JSONBody[ImageBody], request: Req, admin: Admin, actor: Who) -> Response[MediaView]:
    """Straight on to WeChat Pay: nothing of it is kept here."""

    async def run() -> MediaView:
        return MediaView(
            media_id=await admin.keep_applyments.upload(actor, data.credential_id, data.name, data.image())
        )

    return await once(admin, request, actor, data, run, compared=False)


@post(
    "/merchants/{merchant_id:str}/applyments",
    summary="Apply for a merchant",
    operation_id="submitApplyment",
    tags=TAGS,
    opt=needs("applyments.submit", step_up=True),
)
async def submit_applyment(
    merchant_id: FromPath[str], data: JSONBody[NewApplyment], request: Req, admin: Admin, actor: Who
) -> Response[ApplymentView]:
    """Stored encrypted, told to WeChat Pay, and followed from then on. When it is finished, the merchant has a channel
    account, switched off until somebody has set its costs and enables it."""

    async def run() -> ApplymentView:
        form: Any = data.form
        made = await admin.keep_applyments.apply(actor, merchant_id, data.credential_id, frozenset(data.methods), form)
        return applyment_view(made)

    return await once(admin, request, actor, data, run, compared=False)


@post(
    "/applyments/{applyment_id:str}/amend",
    status_code=200,
    summary="Submit an amended form",
    operation_id="amendApplyment",
    tags=TAGS,
    opt=needs("applyments.submit", step_up=True),
)
async def amend_applyment(
    applyment_id: FromPath[str], data: JSONBody[AmendedForm], request: Req, admin: Admin, actor: Who
) -> Response[ApplymentView]:
    """For one that was sent back; under the same code."""

    async def run() -> ApplymentView:
        form: Any = data.form
        return applyment_view(await admin.keep_applyments.amend(actor, applyment_id, form))

    return await once(admin, request, actor, data, run, status=200, compared=False)


@post(
    "/applyments/{applyment_id:str}/check",
    status_code=200,
    summary="Ask the channel now",
    operation_id="checkApplyment",
    tags=TAGS,
    opt=needs("applyments.submit"),
)
async def check_applyment(
    applyment_id: FromPath[str], request: Req, admin: Admin, actor: Who
) -> Response[ApplymentView]:
    """What became of it. It is asked after by itself, too: within a minute at first, every hour later."""

    async def run() -> ApplymentView:
        return applyment_view(await admin.keep_applyments.check(applyment_id))

    return await once(admin, request, actor, None, run, status=200)


@get(
    "/applyments/{applyment_id:str}",
    summary="One application",
    operation_id="getApplyment",
    tags=TAGS,
    opt=needs("applyments.read"),
)
async def get_applyment(applyment_id: FromPath[str], admin: Admin) -> ApplymentView:
    """As the channel had it when it was last asked."""
    return applyment_view(await admin.keep_applyments.get(applyment_id))


@get(
    "/merchants/{merchant_id:str}/applyments",
    summary="A merchant's applications",
    operation_id="listApplyments",
    tags=TAGS,
    opt=needs("applyments.read"),
)
async def list_applyments(merchant_id: FromPath[str], admin: Admin) -> ApplymentList:
    """Newest first."""
    found = await admin.keep_applyments.of_merchant(merchant_id)
    return ApplymentList(data=[applyment_view(each) for each in found])


HANDLERS = [upload_image, submit_applyment, amend_applyment, check_applyment, get_applyment, list_applyments]
