"""What the shop sells, and the ways in which it lets people pay."""

import msgspec

# 花呗分期: how many parts a buyer may pay in, on Alipay's own page. The payer bears the fee.
INSTALMENTS = ("3", "6", "12")


class Product(msgspec.Struct, frozen=True):
    """Something to sell; the price in fen."""

    key: str
    price: int
    zh: str
    en: str


class Way(msgspec.Struct, frozen=True):
    """A method of Pitaya's as its buyers know it; `place` is where they are when they pay by it."""

    method: str
    place: str
    zh: str
    en: str
    zh_hint: str
    en_hint: str

    @property
    def channel(self) -> str:
        return self.method.partition("_")[0]


PRODUCTS = {
    product.key: product
    for product in (
        Product("coffee", 1990, "火龙果咖啡", "Dragon-fruit coffee"),
        Product("keyboard", 12983, "机械键盘", "Mechanical keyboard"),
        Product("sticker", 1, "贴纸", "Sticker"),
    )
}
WAYS = {
    way.method: way
    for way in (
        Way("alipay_qr", "scan", "支付宝扫码", "Alipay, scan", "出示二维码，付款人用支付宝扫", "Show a code to Alipay"),
        Way("wechat_native", "scan", "微信扫码", "WeChat, scan", "出示二维码，付款人用微信扫", "Show a code to WeChat"),
        Way("alipay_page", "web", "支付宝电脑网站", "Alipay, website", "跳转到支付宝收银台", "On to Alipay's own page"),
        Way(
            "alipay_wap",
            "web",
            "支付宝手机网站",
            "Alipay, mobile web",
            "手机浏览器唤起支付宝",
            "From a phone's browser",
        ),
        Way("wechat_h5", "web", "微信 H5", "WeChat, H5", "手机浏览器唤起微信", "From a phone's browser"),
        Way("alipay_app", "app", "支付宝 App", "Alipay, app", "把订单串交给支付宝 SDK", "An order string for its SDK"),
        Way("wechat_app", "app", "微信 App", "WeChat, app", "把参数交给微信开放 SDK", "Fields for its SDK"),
        Way("alipay_jsapi", "wallet", "支付宝内", "Inside Alipay", "支付宝里的网页", "A page inside Alipay"),
        Way("wechat_jsapi", "wallet", "公众号", "Official account", "微信里的网页", "A page inside WeChat"),
        Way("wechat_miniprogram", "wallet", "小程序", "Mini program", "wx.login 与 wx.requestPayment", "With wx.login"),
        Way("alipay_barcode", "till", "支付宝付款码", "Alipay bar code", "收银台扫付款人的码", "The till scans it"),
        Way("wechat_barcode", "till", "微信付款码", "WeChat bar code", "收银台扫付款人的码", "The till scans it"),
    )
}
PLACES = ("scan", "web", "app", "wallet", "till")
