"""With which key Alipay signs what it says to an application, and the certificate of that key for whoever asks."""

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from sandbox.alipay.calls import Call, Refused
from sandbox.authority import Authority
from sandbox.keys import Keys
from sandbox.model import App
from sandbox.store import Store
from sandbox.world import World


def signer(store: Store, keys: Keys, authority: Authority, app: App | None) -> tuple[RSAPrivateKey, str]:
    """The serial is "" for an application that uses plain keys."""
    if app is None or not app.certificate:
        return keys.alipay, ""
    which = store.settings().alipay_certificate
    return authority.platform_key(which), authority.platform_serial(which)


def download(world: World, call: Call) -> dict[str, str]:
    """alipay.open.app.alipaycert.download: a platform certificate by its SN."""
    content = world.authority.content(call.text("alipay_cert_sn"))
    if content is None:
        raise Refused("40002", "isv.alipay-cert-not-exist", "支付宝公钥证书不存在")
    return {"alipay_cert_content": content}
