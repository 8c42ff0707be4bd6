"""Settings and prompts of the simplification, with errors that name the file and the key."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itaudit.data.instance import Instance, Message
from itaudit.errors import UserError
from itaudit.simplify.prompts import editable_prompt, filled, prompt_path, read_prompt
from itaudit.simplify.settings import Settings, read_settings, with_changes


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ITAUDIT_CONFIG_DIR", str(tmp_path))
    return tmp_path / "config.toml"


def test_without_a_file_the_usual_settings_hold() -> None:
    assert read_settings() == Settings() and Settings().engine_label == "extractive"


def test_settings_are_read_beside_those_of_the_screens(config: Path) -> None:
    config.write_text(
        'theme = "dark"\n[simplify]\nengine = "endpoint"\nkept = 0.4\n[simplify.endpoint]\n'
        'base_url = "http://localhost:8000/v1"\nmodel = "m"\napi_key_env = "MY_KEY"\ntimeout = 5\nprice_input = 1\n'
    )
    settings = read_settings()
    assert settings.engine_label == "endpoint:m" and settings.kept == 0.4 and settings.endpoint.timeout == 5
    settings.require_engine("x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[simplify]\nengine = 'gpt'", r"simplify\.engine: .*not 'gpt'"),
        ("[simplify]\nengin = 'local'", r"simplify\.engin: no such key; see docs/simplify\.md"),
        ("[simplify]\nkept = 2", r"simplify\.kept: .*less than or equal to 1, not 2"),
        ("[simplify.endpoint]\ntimeout = 0", r"simplify\.endpoint\.timeout: .*greater than 0, not 0"),
        ("[simplify.endpoint]\nbase_url = 'localhost:8000'", r"base_url: expected http://HOST:PORT/v1"),
        ("[simplify.endpoint]\napi_key_env = 'sk-123-abc'", "the name of an environment variable"),
        ("[simplify.local]\ndevice = 'gpu'", r"simplify\.local\.device"),
        ("simplify = 3", "simplify: expected a table, not 3"),
        ("[simplify", "not a TOML file"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(config: Path, text: str, message: str) -> None:
    config.write_text(text)
    with pytest.raises(UserError, match=message) as found:
        read_settings()
    assert str(config) in str(found.value)


@pytest.mark.parametrize("url", ["http://me:secret@host/v1", "http://host/v1?key=secret"])
def test_secrets_in_an_address_are_refused_and_not_repeated(config: Path, url: str) -> None:
    config.write_text(f'[simplify.endpoint]\nbase_url = "{url}"')
    with pytest.raises(UserError, match="secrets belong in the environment") as found:
        read_settings()
    assert "secret@" not in str(found.value) and "key=secret" not in str(found.value)


def test_changes_on_top_are_checked_too() -> None:
    changed = with_changes(Settings(), {"engine": "local", "local.model": "dir", "local.device": None}, "there")
    assert changed.engine_label == "local:dir" and changed.local.device == "auto"
    with pytest.raises(UserError, match=r"there: simplify\.local\.max_new_tokens"):
        with_changes(Settings(), {"local.max_new_tokens": 0}, "there")
    with pytest.raises(UserError, match="base_url: required"):
        with_changes(Settings(), {"engine": "endpoint"}, "there").require_engine("there")


def test_the_users_prompt_wins_and_a_copy_can_be_edited(config: Path) -> None:
    ours = read_prompt("simplify")
    assert "{response}" in ours and prompt_path("simplify").parent.name == "prompts"
    own = editable_prompt("simplify")
    assert own == config.parent / "prompts" / "simplify.txt" and own.read_text() == ours
    own.write_text("Shorter: {response}")
    assert editable_prompt("simplify") == own
    assert read_prompt("simplify") == "Shorter: {response}"
    own.write_text("Shorter!")
    with pytest.raises(UserError, match=r"simplify\.txt: has no \{response\}"):
        read_prompt("simplify")
    with pytest.raises(UserError, match="there is no prompt 'other'"):
        read_prompt("other")


def test_a_prompt_is_filled_once_whatever_the_data_holds() -> None:
    hostile = Instance(
        0,
        "0",
        "{response} {0} {instruction!r}",
        input="{input} %s \\1",
        response="{history} {x.__class__}",
        history=(Message("user", "{response}"), Message("assistant", "}{")),
    )
    assert filled("{instruction}|{input}|{response}|{history}|{other}", hostile) == (
        "{response} {0} {instruction!r}|{input} %s \\1|{history} {x.__class__}|user: {response}\nassistant: }{|{other}"
    )


def test_places_that_stay_empty_leave_no_gap() -> None:
    bare = Instance(0, "0", "Ask.", response="Say.")
    assert filled("Q:\n{instruction}\n\n{input}\n\nA:\n{response}\n", bare) == "Q:\nAsk.\n\nA:\nSay."


@given(st.text(), st.text(), st.text())
def test_every_text_stands_in_the_prompt_as_it_is(instruction: str, input: str, response: str) -> None:
    text = filled("<{instruction}>", Instance(0, "0", instruction or "x", input=input, response=response))
    assert text == f"<{instruction or 'x'}>"
