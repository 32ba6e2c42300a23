"""The signing secret of an endpoint, in the text form that Standard Webhooks 1.0 gives it."""

import base64

SECRET_LENGTH = 32  # bytes; the specification asks for 24 to 64
_PREFIX = "whsec_"


def encode_secret(secret: bytes) -> str:
    """``whsec_`` + base64, as every Standard Webhooks library takes it."""
    return _PREFIX + base64.b64encode(secret).decode()
