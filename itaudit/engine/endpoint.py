"""Any OpenAI-compatible server: chat completions with a timeout, bounded retries and a limit on what runs at once.

Answers are read defensively: whatever a server sends, a caller gets a completion or one line that says what is wrong
with it. The key of the server stands in no message and no file.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import openai
import orjson

from itaudit.errors import UserError
from itaudit.model_settings import ServerSettings

_NO_KEY = "none"
_LONGEST_ANSWER = 20_000_000
_SHOWN = 120
_SLACK = 1.0
"""Seconds that connecting and this process's own work may add to a try."""
_PATIENCE = 125.0
"""Seconds that the client waits at most between two tries, because a server asked it to (Retry-After)."""


ErrorKind = Literal["fatal", "server", "answer"]


class EndpointError(Exception):
    """One line on why there is no completion.

    `fatal`: no request will fare better (access, model, address). `server`: the server did not get to answer (busy,
    broken, out of reach), and may later. `answer`: it answered this very request with nothing that can be used.
    """

    def __init__(self, message: str, kind: ErrorKind) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered. `finish` is its reason to stop; tokens are the server's count, 0 where it gives none.

    `model` is what the server says that answered, which may say more than the name that was asked; empty where it does
    not say.
    """

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    model: str = ""


class Endpoint:
    """A server and one of its models. Use it as an async context manager: `async with Endpoint(settings) as …`."""

    def __init__(self, settings: ServerSettings, where: str) -> None:
        """`where` is the key of the settings' table, for messages: `simplify.endpoint`.

        Raises UserError where the address is missing, or the environment lacks the key that the settings name.
        """
        if not settings.base_url:
            raise UserError(f"{where}.base_url: required, and missing", code=2)
        key = os.environ.get(settings.api_key_env, "") if settings.api_key_env else ""
        if settings.api_key_env and not key:
            raise UserError(
                f"{where}.api_key_env: the environment has no {settings.api_key_env}; export the server's key in it",
                code=2,
            )
        self.settings = settings
        self._keys = where
        self.model = settings.model
        self._key = key
        self._slots = asyncio.Semaphore(settings.concurrency)
        # What the environment says for OpenAI itself is nobody else's business.
        self._headers: dict[str, Any] = {"OpenAI-Organization": openai.Omit(), "OpenAI-Project": openai.Omit()}
        if not key:
            self._headers["Authorization"] = openai.Omit()
        self._client = openai.AsyncOpenAI(
            api_key=key or _NO_KEY,
            base_url=settings.base_url,
            timeout=settings.timeout,
            max_retries=settings.retries,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def find_model(self) -> str:
        """The model to ask: the one of the settings, else the only one that the server has.

        Raises EndpointError where it has none, or several to choose from.
        """
        if not self.model:
            try:
                request = self._client.models.with_raw_response.list(extra_headers=self._headers)
                told = await self._asked("models", request)
            except EndpointError as error:
                # Some servers can't list their models, and answer for the one that is named all the same.
                hint = f"; if it is there, give {self._keys}.model (--model)"
                raise EndpointError(f"{error}{hint if error.kind != 'fatal' else ''}", error.kind) from None
            listed = told.get("data")
            names = [m["id"] for m in listed or () if isinstance(m, dict) and isinstance(m.get("id"), str)]
            if len(names) != 1:
                which = f"one of {', '.join(names[:5])}{' …' if len(names) > 5 else ''}" if names else "its name"
                raise EndpointError(f"{self._where}: give {self._keys}.model: {which}", "fatal")
            self.model = names[0]
        return self.model

    async def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        seed: int | None = None,
    ) -> Completion:
        """The model's answer to a conversation of {role, content}; settings hold where nothing else is given.

        Raises EndpointError once the retries are used up, or where what comes back is no answer.
        """
        model = await self.find_model()
        sent: dict[str, Any] = {
            "model": model,
            "messages": [dict(message) for message in messages],
            "temperature": self.settings.temperature if temperature is None else temperature,
            "extra_body": self.settings.extra,
            "extra_headers": self._headers,
        }
        if "max_completion_tokens" not in self.settings.extra:
            sent["max_tokens"] = max_tokens or self.settings.max_tokens
        if seed is not None:
            sent["seed"] = seed
        async with self._slots:
            told = await self._asked("chat/completions", self._client.chat.completions.with_raw_response.create(**sent))
        return self._completion(told)

    async def _asked(self, path: str, request: Any) -> dict[str, Any]:
        """The JSON object that a request brings back. The client retries; this only bounds the whole."""
        tries = self.settings.retries + 1
        try:
            # A server that sends a byte now and then never runs into the client's own timeout.
            async with asyncio.timeout(tries * (self.settings.timeout + _SLACK) + (tries - 1) * _PATIENCE):
                answer = await request
                content = answer.content
        except TimeoutError:
            raise EndpointError(f"{self._where}: sent no whole answer in time", "server") from None
        except openai.APITimeoutError:
            raise EndpointError(
                f"{self._where}: no answer within {self.settings.timeout:g} s, {tries} times; "
                f"see whether the server is busy, or raise {self._keys}.timeout",
                "server",
            ) from None
        except openai.APIConnectionError as error:
            cause = self._one_line(error.__cause__ or error)
            raise EndpointError(f"{self._where}: can't be reached: {cause}", "server") from None
        except openai.APIStatusError as error:
            raise self._refused(error) from None
        except openai.OpenAIError as error:
            raise EndpointError(f"{self._where}: {self._one_line(error)}", "answer") from None
        if len(content) > _LONGEST_ANSWER:
            raise EndpointError(f"{self._where}: sent {len(content):,} bytes, which is no answer", "answer")
        try:
            told = orjson.loads(content)
        except orjson.JSONDecodeError:
            start = self._one_line(content[:_SHOWN].decode("utf-8", "replace"))
            raise EndpointError(
                f"{self._where}: /{path} sent no JSON but {start!r}; is base_url right?", "answer"
            ) from None
        if not isinstance(told, dict):
            raise EndpointError(f"{self._where}: /{path} sent JSON that is no object; is base_url right?", "answer")
        return told

    @property
    def _where(self) -> str:
        return f"{self.settings.base_url} (model {self.model})" if self.model else self.settings.base_url

    def _refused(self, error: openai.APIStatusError) -> EndpointError:
        """What a status other than 2xx means to the user."""
        body = error.body
        told = body.get("message") if isinstance(body, dict) else None
        detail = self._one_line(told if isinstance(told, str) else error.message)
        status = error.status_code
        if status in (401, 403):
            named = self.settings.api_key_env
            hint = f"see the key in {named}" if named else f"name its environment variable in {self._keys}.api_key_env"
            return EndpointError(f"{self._where}: refuses access ({status}); {hint}", "fatal")
        if status == 404:
            return EndpointError(f"{self._where}: no such model or path (404: {detail}); is base_url right?", "fatal")
        if status == 429:
            return EndpointError(f"{self._where}: limits the rate (429: {detail}); lower concurrency", "server")
        kind: ErrorKind = "server" if status >= 500 or status in (408, 409, 425) else "answer"
        return EndpointError(f"{self._where}: answered {status}: {detail}", kind)

    def _completion(self, told: Mapping[str, Any]) -> Completion:
        choices = told.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None
        if choice is None:
            error = told.get("error")
            detail = error.get("message") if isinstance(error, dict) else error
            said = f": {self._one_line(str(detail))}" if detail else ""
            raise EndpointError(f"{self._where}: sent no choices{said}", "answer")
        message = choice.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        finish = choice.get("finish_reason")
        if not isinstance(content, str):
            refusal = message.get("refusal") if isinstance(message, dict) else None
            said = f": {self._one_line(refusal)}" if isinstance(refusal, str) and refusal else f" (finish {finish})"
            raise EndpointError(f"{self._where}: sent no text{said}", "answer")
        usage = told.get("usage")
        counts = usage if isinstance(usage, dict) else {}
        model = told.get("model")
        return Completion(
            content,
            finish if isinstance(finish, str) else "",
            _count(counts.get("prompt_tokens")),
            _count(counts.get("completion_tokens")),
            model if isinstance(model, str) else "",
        )

    def _one_line(self, told: object) -> str:
        """The beginning of what a server or library said, without the key where it repeats that."""
        text = str(told) or type(told).__name__
        if self._key:
            text = text.replace(self._key, "…")
        line = " ".join(text.split())
        return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


def _count(value: object) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
