"""Who gets which language, and that nothing is left untranslated."""

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from litestar.testing import AsyncTestClient, RequestFactory

from adapters.inbound.web import languages
from adapters.inbound.web.languages import CATALOGUE, Language, choose
from tests.unit.adapters.apps import SharedApp
from tests.unit.adapters.web.world import World

WEB = Path(languages.__file__).parent


@pytest.mark.parametrize(
    ("query", "cookie", "suggested", "accepted", "expected"),
    [
        ("en", "zh", "zh-CN", "zh", Language.EN),
        (None, "en", "zh-CN", "zh", Language.EN),
        (None, None, "en-US", "zh", Language.EN),
        (None, None, None, "en", Language.EN),
        (None, None, None, "fr;q=0.9, zh-TW;q=0.8, en;q=0.5", Language.ZH),
        (None, None, None, "en;q=0.2,zh-CN", Language.ZH),
        (None, None, None, "zh;q=0, en", Language.EN),
        (None, None, None, "zh;q=many, en;q=0.1", Language.EN),
        (None, None, None, "fr", Language.EN),
        (None, None, None, None, Language.ZH),
        ("xx", "<script>", "tlh", "ZH_cn", Language.ZH),
        ("", "", "", "", Language.ZH),
    ],
)
def test_the_readers_choice_then_the_merchants_then_the_browsers(
    query: str | None, cookie: str | None, suggested: str | None, accepted: str | None, expected: Language
) -> None:
    headers = {} if accepted is None else {"accept-language": accepted}
    if cookie is not None:
        headers["cookie"] = f"{languages.COOKIE}={cookie}"
    request = RequestFactory().get("/", query_params={} if query is None else {"lang": query}, headers=headers)
    assert choose(request, suggested) is expected


async def test_a_click_is_remembered_on_every_page_and_a_made_up_language_is_not(
    world: World, client: AsyncTestClient[SharedApp]
) -> None:
    order = await world.order(locale="zh-CN")
    path = f"/pay/{order.cashier_token}"
    assert '<html lang="zh-CN">' in (await client.get(path)).text
    await client.get(f"{path}?lang=xx")
    assert '<html lang="zh-CN">' in (await client.get(path)).text
    await client.get(f"{path}?lang=en")
    assert '<html lang="en">' in (await client.get(path)).text
    assert "There is no such payment page" in (await client.get("/pay/nobody")).text
    await client.get("/pay/nobody?lang=zh")
    assert '<html lang="zh-CN">' in (await client.get(path)).text


def test_every_text_of_every_template_is_translated_and_nothing_else_is_kept() -> None:
    with CATALOGUE.open("rb") as file:
        catalogue = read_po(file, locale="zh_CN", abort_invalid=True)
    options = {"templates/**.html": {"newstyle_gettext": "true"}}
    extracted = {
        message for _, _, message, _, _ in extract_from_dir(WEB, [("templates/**.html", "jinja2")], options_map=options)
    }
    known = {message.id for message in catalogue if message.id}
    assert len(extracted) > 20
    assert known == extracted
    assert not catalogue.obsolete
    for message in catalogue:
        if message.id:
            assert message.string, f"not translated: {message.id}"
            assert not message.fuzzy, f"fuzzy: {message.id}"
            assert placeholders(message.id) == placeholders(message.string), message.id


def placeholders(text: object) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)s|\{\w+\}", str(text)))
