"""Logging: one JSON object a line on one stream, with the ids of what is being done, and without secrets.

Ids come from context variables: ``with structlog.contextvars.bound_contextvars(order_id=…)`` around the work, and each
line below it carries them, those of libraries too.
"""

import logging
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

MASK = "***"

# A second wall: secrets are not to be logged in the first place. Cutting too much is better than too little. All
# repetitions that could be tried at every place of a hostile text are bounded.
_NAMES = r"secret|passw(?:or)?d|passphrase|token|authori[sz]ation|cookie|api_?key|private_?key|pepper|signature"
_SECRET_KEY = re.compile(_NAMES, re.IGNORECASE)
_SECRET_TEXT = re.compile(
    "|".join(
        (
            r"pty_[a-z]{2}_\w+",  # API keys, sessions and service tokens
            r"whsec_[\w+/=-]+",  # signing secrets of Standard Webhooks
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
            r"(?-i:MI[IG])[\w+/=\s\\-]{200,}",  # the same without its frame, as Alipay hands keys out
            r"(?<=://)[^/\s:@]*:[^/\s@]*(?=@)",  # user and password of a URL
            r"(?<=Bearer )\S+",
            r"(?<=Basic )\S+",
            rf"(?P<name>(?:{_NAMES})[\w-]{{0,40}}[\"']?\s{{0,4}}[=:]\s{{0,4}})(?:\"[^\"]*\"|'[^']*'|[^\s,;&)}}\]]+)",
        )
    ),
    re.DOTALL | re.IGNORECASE,
)

# Most words of a line are short and of these characters alone. A secret in such a word is a token, by its prefix;
# looking closer takes ten times longer.
_PLAIN = re.compile(r"[\w./-]{,100}", re.ASCII)

# Libraries that say too much: httpx logs every URL with its query, Celery a line for each message.
_QUIETER = ("httpx", "httpcore", "asyncio", "celery", "kombu", "amqp", "aiohttp.access")


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Sends everything, structlog's and the standard library's, to ``stream`` (standard output) as JSON lines.

    Call it after the imports: some libraries configure logging when they are imported, and this undoes it. May be
    called again.
    """
    out = stream or sys.stdout
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    # The time is ours and needs no masking. ASCII, so no text can forge a line or move a terminal's cursor.
    rendered: list[Processor] = [
        redact,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(),
    ]
    # Our own lines go straight out: a detour through the standard library's records would double their cost.
    structlog.configure(
        processors=[*shared, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *names: _Output(out, *names),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    _take_over(handler, level)


class _Output(structlog.WriteLogger):
    """Where a line of ours goes, and who says it."""

    def __init__(self, stream: TextIO, name: str = "pitaya") -> None:
        super().__init__(stream)
        self.name = name


def redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: masks what looks like a secret, and whatever stands under a name that sounds like one."""
    return {_clean_name(str(key)): _clean(key, value) for key, value in event.items()}


def _clean(key: object, value: Any) -> Any:
    if isinstance(key, str) and value is not None and _sounds_secret(key):
        return MASK
    match value:
        case str():
            return _clean_text(value)
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {_clean_name(str(inner)): _clean(inner, item) for inner, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(None, item) for item in value]
        case bytes() | bytearray():
            return _clean_text(value.decode(errors="backslashreplace"))
    return _clean_text(repr(value))


# The same few names come with every line.
@lru_cache(maxsize=1024)
def _sounds_secret(name: str) -> bool:
    return _SECRET_KEY.search(name) is not None


@lru_cache(maxsize=1024)
def _clean_name(name: str) -> str:
    return _clean_text(name)


def _clean_text(text: str) -> str:
    if _PLAIN.fullmatch(text):
        lowered = text.lower()
        if "pty_" not in lowered and "whsec_" not in lowered:
            return text
    return _SECRET_TEXT.sub(lambda found: (found["name"] or "") + MASK, text)


def _take_over(handler: logging.Handler, level: str) -> None:
    """Everything reaches this handler and no other, whatever was configured before."""
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in list(root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate, logger.disabled = True, False
    for name in _QUIETER:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("pitaya").critical("uncaught", exc_info=(kind, error, trace))
