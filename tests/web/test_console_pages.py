"""Every page of the console, for a store on its first day and for a large one, in both languages; and what pages do when they are used."""

import asyncio
import html
import importlib.util
import pkgutil
import re
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

pytest.importorskip("nicegui", reason="the pages need the extra `web`")
from nicegui.testing.user_simulation import user_simulation

from banyan.client import AsyncClient
from banyan.web.console import pages
from banyan.web.console.desk import console_words
from banyan.web.console.opening import open_console
from banyan.web.console.pages import ORDER, address
from banyan.web.console.sessions import COOKIE, Sessions
from banyan.web.gateway import Gateway

SPEC = importlib.util.spec_from_file_location("banyan_console_answers", Path(__file__).parent / "answers.py")
answers = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(answers)
ASKED = {"users": "?user=u1&item=i3", "items": "?item=i1", "search": "?q=tea&user=u1"}
LARGE = 50
PATIENT = 200  # looks at a page, a tenth of a second apart, on a machine that has much else to do


@asynccontextmanager
async def console(service, language="en", key=answers.KEY):
    """A browser that is signed in."""

    def client(key):
        return AsyncClient("http://service", key, tries=1, transport=service)

    async with user_simulation() as user:
        sessions = Sessions()
        open_console(Gateway(client("pages")), client, sessions)
        user.http_client.cookies.set("banyan_language", language)
        if key:
            user.http_client.cookies.set(COOKIE, sessions.begin(client(key)))
        yield user


async def read(user, path):
    answer = await user.http_client.get(path)
    return answer, html.unescape(answer.text)


@pytest.fixture(scope="module")
def shown():
    """(Page, how much there is) -> what the server sends: an empty store in each language, a large one in one, a service that is away (None)."""

    async def run():
        found, service = {}, answers.Answers(0)
        async with console(service) as user:
            for many, language in ((0, "en"), (0, "zh"), (LARGE, "en"), (None, "en")):
                service.many, service.away = many or 0, many is None
                user.http_client.cookies.set("banyan_language", language)
                for name in ORDER:
                    answer, text = await read(user, address(name) + ASKED.get(name, ""))
                    found[name, many, language] = answer.status_code, text
        return found

    return asyncio.run(run())


def test_every_file_of_the_folder_is_a_page_of_the_navigation():
    assert sorted(each.name for each in pkgutil.iter_modules(pages.__path__)) == sorted(ORDER)


@pytest.mark.parametrize("name", ORDER)
@pytest.mark.parametrize("many", [0, LARGE])
def test_a_page_stands_for_an_empty_store_and_for_a_large_one(shown, name, many):
    status, text = shown[name, many, "en"]
    assert status == 200
    assert len(re.findall(r'"tag":"h1"', text)) == 1
    assert console_words("en")(f"lead.{name}") in text
    assert '"aria-current":"page"' in text
    assert len(text) < 400_000


@pytest.mark.parametrize("name", ORDER)
def test_a_page_speaks_both_languages(shown, name):
    for language, other in (("en", "zh"), ("zh", "en")):
        text = shown[name, 0, language][1]
        assert console_words(language)(f"lead.{name}") in text
        assert console_words(other)(f"lead.{name}") not in text


@pytest.mark.parametrize("name", ORDER)
def test_a_page_says_so_when_the_service_is_away(shown, name):
    status, text = shown[name, None, "en"]
    assert status == 200
    assert console_words("en")("away") in text


def test_an_admins_key_comes_in_and_no_other_and_stays_on_the_server(caplog):
    words = console_words("en")

    async def run():
        async with console(answers.Answers(3), key="") as user:
            own = {"origin": "http://test"}
            for name in ORDER:
                answer = await user.http_client.get(address(name))
                assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/console/sign-in")
            for key, why in ((answers.OTHER, "role"), ("banyan_nobody", "unknown"), ("x" * 500, "unknown"), ("", "unknown"), ("schlüssel", "unknown")):
                refused = await user.http_client.post("/console/session", data={"key": key}, headers=own)
                assert f"why={why}&" in refused.headers["location"]
                assert COOKIE not in refused.headers.get("set-cookie", "")
                assert not key or key not in refused.headers["location"]
                assert words(f"sign.{why}") in (await read(user, refused.headers["location"]))[1]
            elsewhere = await user.http_client.post("/console/session", data={"key": answers.KEY}, headers={"origin": "http://elsewhere"})
            assert elsewhere.status_code == 403
            begun = await user.http_client.post("/console/session", data={"key": answers.KEY, "to": "/console/versions?a=b"}, headers=own)
            cookie = next(each for each in begun.headers.get_list("set-cookie") if each.startswith(COOKIE))
            assert {"HttpOnly", "Path=/console", "SameSite=lax"} <= set(cookie.split("; "))
            page, text = await read(user, begun.headers["location"])
            assert (begun.headers["location"], page.status_code) == ("/console/versions?a=b", 200)
            assert answers.KEY not in text + cookie + caplog.text
            await user.http_client.post("/console/sign-out", headers=own)
            assert (await user.http_client.get("/console")).status_code == 303

    asyncio.run(run())


def used(service, act):
    async def run():
        async with console(service) as user:

            async def see(text):
                await user.should_see(text, retries=PATIENT)

            await act(user, see)

    asyncio.run(run())


def test_a_version_is_rolled_back_after_a_question():
    service = answers.Answers(3)

    async def act(user, see):
        await user.open("/console/versions")
        user.find(content="Roll back to 0001-a", marker="button").click()
        await see("Let 0001-a answer again in place of 0002-b?")
        assert ("POST", "/v1/models/roll_back", None) not in service.asked
        user.find(marker="yes").click()
        await see("0001-a answers again.")

    used(service, act)
    assert ("POST", "/v1/models/roll_back", None) in service.asked


def test_a_value_model_is_read_while_it_is_typed_and_who_was_overtaken_hears_by_whom():
    service = answers.Answers(3)

    async def act(user, see):
        await user.open("/console/value")
        user.find(marker="field-textarea").trigger("input", "task0.p + tusk1.p")
        await see("character 11")
        user.find(marker="field-textarea").trigger("input", "task0.p + 2*task1.p")
        await see("Reads well.")
        user.find(content="Preview", marker="button").click()
        await see("Items that stay")
        service.overtaking = 1
        user.find(content="Save", marker="button").click()
        await see("Order items by this expression from now on?")
        user.find(marker="yes").click()
        await see(f"ann {answers.NASTY} changed it at 2026-01-02 03:04:05.")
        user.find(content="Save mine over it", marker="button").click()
        await see("Saved; it is in force.")

    used(service, act)
    assert [body for method, _, body in service.asked if method == "PUT"] == [{"expression": "task0.p + 2*task1.p", "expected": version} for version in (7, 8)]
    assert service.values[""] == "task0.p + 2*task1.p"
