"""Who judges, and by which prompt: kept beside what is found, so that a resume asks the same.

A judge is told from others by its model. Where the settings name none it is the only one that the server lists, and is
written down before the first question, so that no answer is ever taken for another model's.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from itaudit import atomic
from itaudit.detect.judge import PROMPTS
from itaudit.detect_settings import Judge, JudgeModel
from itaudit.errors import UserError
from itaudit.runs.run import Run
from itaudit.section import changed, config_section, section_of
from itaudit.simplify.prompts import read_prompt

_VERSION = 2
_DOCS = "docs/hallucination.md"


@dataclass(frozen=True, slots=True)
class JudgeTask:
    """Settings of a judge, the key of their table for messages, the prompt, and the secret of its fences.

    `found` is the model that the server has, where the settings name none; empty before it was asked.
    """

    path: Path
    settings: JudgeModel
    where: str
    prompt: str
    secret: bytes
    found: str = ""

    @property
    def model(self) -> str:
        """The model that judges; empty as long as nobody knows it."""
        chosen = self.settings
        return chosen.local.model if chosen.engine == "local" else chosen.endpoint.model or self.found

    @property
    def judge(self) -> str:
        """What judgements name as their judge: `local:MODEL` or `endpoint:MODEL`."""
        return f"{self.settings.engine}:{self.model}"

    @property
    def identity(self) -> dict[str, object]:
        """What settles what a judge is asked and may answer, by the key that a user would change."""
        chosen = self.settings
        made: dict[str, object] = {"engine": chosen.engine, "references": chosen.references, "prompt": self.prompt}
        if chosen.engine == "local":
            names = {"model", "revision", "dtype", "template", "max_new_tokens"}
            made |= {f"local.{key}": value for key, value in chosen.local.model_dump(include=names).items()}
        else:
            names = {"model", "max_tokens", "temperature", "extra"}
            made |= {f"endpoint.{key}": value for key, value in chosen.endpoint.model_dump(include=names).items()}
            made["endpoint.model"] = self.model
        return made


def judge_settings(run: Run, changes: Mapping[str, Any], *, check: bool = True) -> tuple[Judge, str]:
    """The judge of the recipe, or without one that of `config.toml`, with changes by dotted names on top.

    Also the key of the table, for messages. Raises UserError that names the key that is wrong, and, unless `check` is
    off, where the judge can't be asked as it is set.
    """
    chosen = run.recipe.detect.judge
    where = "judge" if chosen is None else "detect.judge"
    settings = config_section(Judge, "judge", _DOCS) if chosen is None else chosen
    settings = changed(settings, changes, "the command line", where, _DOCS)
    if check:
        settings.require_engine(where)
    return settings, where


def judge_task(run: Run, label: str, changes: Mapping[str, Any] | None = None) -> JudgeTask:
    """The task by which a model's responses are judged: the one that was begun, or a new one, which is written down.

    Raises UserError where it would be another judge's, since a table is the work of one; see `begin_task`.
    """
    settings, where = judge_settings(run, changes or {})
    prompt = read_prompt(settings.prompt, PROMPTS)
    return begin_task(task_path(run, label), settings, where, prompt, f"the responses of {label}")


def check_judge(run: Run, changes: Mapping[str, Any]) -> None:
    """Raises UserError where a judge can't be asked as it is set, or its prompt lacks a place."""
    settings, _ = judge_settings(run, changes)
    read_prompt(settings.prompt, PROMPTS)


def begin_task(path: Path, settings: JudgeModel, where: str, prompt: str, judged: str) -> JudgeTask:
    """The task in a file, or a new one, which is written there; `judged` is what is judged by it, in words.

    Other settings that change nothing about the answers (the server's address, what runs at once) are taken over.
    Settings that name no model go on with the one that began, if the server has it; `with_model` sees to that.
    Raises UserError where they would be those of another judge.
    """
    task = planned_task(path, settings, where, prompt, judged)
    if task != read_task(path, type(settings)):
        _write(task)
    return task


def planned_task(path: Path, settings: JudgeModel, where: str, prompt: str, judged: str) -> JudgeTask:
    """The task that `begin_task` would write down. Raises UserError as it does."""
    begun = read_task(path, type(settings))
    task = JudgeTask(path, settings, where, prompt, begun.secret if begun else secrets.token_bytes(16))
    if begun is not None and settings.engine == "endpoint" and not settings.endpoint.model:
        task = replace(task, found=begun.model)
    # A server whose model nobody knows yet was asked nothing yet.
    if begun is not None and begun.model:
        theirs = begun.identity
        for key, value in task.identity.items():
            # Only one of the two engines' settings are compared, and the engine comes first.
            if theirs[key] != value:
                raise UserError(f"{path}: {judged} were judged with another {key}; --again judges them anew", code=2)
    return task


def with_model(task: JudgeTask, model: str) -> JudgeTask:
    """The task with the model that its server is asked for, which is written down.

    Raises UserError where another one has begun.
    """
    if task.model == model:
        return task
    if task.model:
        raise UserError(
            f"{task.path}: {task.model} has begun to judge, and {task.settings.endpoint.base_url} has {model}; "
            "--again judges anew"
        )
    named = replace(task, found=model)
    _write(named)
    return named


def _write(task: JudgeTask) -> None:
    told = {"v": _VERSION, "where": task.where, "settings": task.settings.model_dump(), "found": task.found}
    told |= {"prompt": task.prompt, "secret": task.secret.hex()}
    try:
        task.path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(task.path, orjson.dumps(told, option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise UserError(f"{task.path}: can't write what the judge is asked: {error.strerror}") from None


def begun_task(run: Run, label: str) -> JudgeTask | None:
    """The task that was begun, or chosen on the command line; None where there is none."""
    return read_task(task_path(run, label), Judge)


def read_task(path: Path, kind: type[JudgeModel]) -> JudgeTask | None:
    """The task in a file, with its kind of settings; None where there is none. Raises UserError for a broken one."""
    try:
        told = orjson.loads(path.read_bytes())
        if told["v"] != _VERSION:
            raise UserError(f"{path}: was made by another version of itaudit; --again judges anew")
        settings = section_of(kind, told["settings"], str(path), told["where"], _DOCS)
        secret = bytes.fromhex(told["secret"])
        return JudgeTask(path, settings, told["where"], told["prompt"], secret, told["found"])
    except FileNotFoundError:
        return None
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise UserError(f"{path}: can't be read as a judge's task; --again judges anew") from None


def task_path(run: Run, label: str) -> Path:
    return run.detections("judge", label).whole.with_suffix(".json")


def answers_path(run: Run, label: str) -> Path:
    """Where the judge's answers stand as they came, a JSON object a line."""
    return run.detections("judge", label).whole.with_suffix(".jsonl")


def clear_judge(run: Run, label: str) -> None:
    """Takes away what a judge was asked, answered and found about a model's responses."""
    run.detections("judge", label).clear()
    task_path(run, label).unlink(missing_ok=True)
    answers_path(run, label).unlink(missing_ok=True)
