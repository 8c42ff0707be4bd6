"""The client of OpenAI-compatible servers, against a real server that behaves badly in every way."""

import asyncio
import time

import pytest

from itaudit.engine.endpoint import Completion, Endpoint, EndpointError
from itaudit.errors import UserError
from itaudit.simplify.settings import EndpointSettings
from tests.simplify import server as servers
from tests.simplify.server import Server, dribbles, half_a_body, hangs, says, sends, serving, together

KEY = "sk-very-secret-123"


def ask(server: Server, **settings: object) -> Completion:
    async def asked() -> Completion:
        chosen = {"timeout": 60.0, "retries": 0, "model": "tiny"} | settings
        async with Endpoint(EndpointSettings(base_url=server.base_url, **chosen), "simplify.endpoint") as endpoint:
            return await endpoint.complete([{"role": "user", "content": "Simplify."}])

    return asyncio.run(asked())


def test_a_completion_brings_text_finish_and_tokens() -> None:
    with serving(says("Shorter.", "length")) as server:
        assert ask(server, temperature=0.0, max_tokens=7) == Completion("Shorter.", "length", 11, 5)
        request = server.requests[0]
    assert (request["model"], request["max_tokens"], request["temperature"]) == ("tiny", 7, 0.0)
    assert request["messages"] == [{"role": "user", "content": "Simplify."}]


def test_further_fields_go_along_with_each_request() -> None:
    with serving(says("x")) as server:
        ask(server, extra={"chat_template_kwargs": {"enable_thinking": False}, "max_completion_tokens": 9})
        request = server.requests[0]
    assert request["chat_template_kwargs"] == {"enable_thinking": False}
    assert request["max_completion_tokens"] == 9 and "max_tokens" not in request


def test_the_only_model_of_a_server_is_found_and_several_are_asked_about() -> None:
    with serving(says("x")) as server:
        server.models = ["only"]
        ask(server, model="")
        assert server.requests[0]["model"] == "only"
        server.models = ["a", "b"]
        with pytest.raises(EndpointError, match=r"simplify\.endpoint\.model: one of a, b"):
            ask(server, model="")


def test_a_server_that_cannot_list_its_models_is_asked_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers.Handler, "do_GET", lambda handler: handler.send("Internal Server Error", 500))
    with serving(says("x")) as server:
        with pytest.raises(EndpointError, match=r"answered 500.*give simplify\.endpoint\.model"):
            ask(server, model="")
        assert ask(server).text == "x"


def test_the_key_goes_to_the_server_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-openai")
    with serving(sends(f'{{"error": {{"message": "wrong key {KEY}"}}}}', 401)) as server:
        with pytest.raises(EndpointError) as refused:
            ask(server, api_key_env="MY_KEY")
        assert server.headers[0]["authorization"] == f"Bearer {KEY}"
        assert KEY not in str(refused.value) and "MY_KEY" in str(refused.value) and refused.value.kind == "fatal"
        server.usual = sends(f"<p>{KEY}</p>", 500)
        with pytest.raises(EndpointError) as broken:
            ask(server, api_key_env="MY_KEY")
        assert KEY not in str(broken.value)
        server.usual = says("x")
        ask(server)
    # Without a name of a variable no key goes anywhere, whatever the environment holds.
    assert "authorization" not in server.headers[-1]
    assert not any("openai" in value for headers in server.headers for value in headers.values() if "sk-" in value)
    assert not any(name == "openai-organization" for headers in server.headers for name in headers)


def test_a_key_that_the_environment_lacks_is_asked_for() -> None:
    with pytest.raises(UserError, match="the environment has no ITAUDIT_TEST_NO_KEY"):
        Endpoint(
            EndpointSettings(base_url="http://localhost:1/v1", api_key_env="ITAUDIT_TEST_NO_KEY"), "simplify.endpoint"
        )


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (sends('{"choices": []}'), "answer", "sent no choices"),
        (sends('{"error": {"message": "out of order"}}'), "answer", "sent no choices: out of order"),
        (sends('{"choices": [7]}'), "answer", "sent no choices"),
        (sends('{"choices": [{"message": null}]}'), "answer", "sent no text"),
        (says(None, "content_filter"), "answer", r"sent no text \(finish content_filter\)"),
        (sends("<html>It works!</html>", type="text/html"), "answer", "no JSON but '<html>It works"),
        (sends('{"choices": [{"mess'), "answer", "no JSON"),
        (sends("[1]"), "answer", "no object"),
        (sends(""), "answer", "no JSON"),
        (sends('{"error": {"message": "too long"}}', 400), "answer", "answered 400.*too long"),
        (sends("nothing here", 404, "text/plain"), "fatal", "404.*base_url"),
        (sends("no", 403, "text/plain"), "fatal", "refuses access"),
        (sends("busy", 503, "text/plain"), "server", "answered 503"),
        (sends("slow down", 429, "text/plain"), "server", "limits the rate"),
        (half_a_body, "server", "can't be reached"),
    ],
)
def test_nonsense_becomes_one_line_that_names_the_server(reply: servers.Reply, kind: str, message: str) -> None:
    with serving(reply) as server, pytest.raises(EndpointError, match=message) as found:
        ask(server)
    assert found.value.kind == kind
    assert server.base_url in str(found.value) and "tiny" in str(found.value) and "\n" not in str(found.value)


def test_a_server_that_hangs_is_given_up() -> None:
    with serving(hangs) as server:
        with pytest.raises(EndpointError, match=r"no answer within 0\.3 s, 2 times|no whole answer in time") as found:
            ask(server, timeout=0.3, retries=1)
        assert 1 <= len(server.requests) <= 2
    assert found.value.kind == "server"


def test_a_server_that_dribbles_is_given_up() -> None:
    with serving(dribbles) as server, pytest.raises(EndpointError, match=r"no whole answer|no answer within"):
        ask(server, timeout=0.4)


def test_a_server_that_refuses_connections_is_named() -> None:
    async def asked(settings: EndpointSettings) -> None:
        async with Endpoint(settings, "simplify.endpoint") as endpoint:
            await endpoint.complete([])

    with servers.refusing_port() as port:
        settings = EndpointSettings(base_url=f"http://127.0.0.1:{port}/v1", model="tiny", retries=0)
        with pytest.raises(EndpointError, match="can't be reached") as found:
            asyncio.run(asked(settings))
    assert settings.base_url in str(found.value)


def test_retry_after_is_waited_for_and_the_retries_are_bounded() -> None:
    limited = sends("later", 429, "text/plain", Retry_After="1")
    with serving(says("Done.")) as server:
        server.replies = [limited]
        began = time.monotonic()
        assert ask(server, retries=1).text == "Done."
        assert time.monotonic() - began > 0.9
        server.replies = [limited, sends("later", 429, "text/plain")]
        with pytest.raises(EndpointError, match="limits the rate"):
            ask(server, retries=1)
    assert len(server.requests) == 4


def test_half_a_body_and_an_error_are_tried_again() -> None:
    with serving(says("Done.")) as server:
        server.replies = [half_a_body, sends("oops", 500)]
        assert ask(server, retries=2).text == "Done."
    assert len(server.requests) == 3


def test_no_more_requests_at_once_than_allowed() -> None:
    async def many(server: Server) -> None:
        async with Endpoint(
            EndpointSettings(base_url=server.base_url, model="tiny", concurrency=3), "simplify.endpoint"
        ) as endpoint:
            await asyncio.gather(*(endpoint.complete([]) for _ in range(12)))

    with serving(together(says("x"), 3)) as server:
        asyncio.run(many(server))
    assert len(server.requests) == 12 and server.most_at_once == 3
