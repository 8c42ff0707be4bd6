"""Responses that were generated elsewhere, brought into a run as if they had been generated here."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from itaudit.engine.context import ContextBuilder
from itaudit.engine.generate import Query
from itaudit.engine.models import LoadedModel
from itaudit.engine.offsets import token_offsets
from itaudit.engine.reporter import Reporter
from itaudit.errors import UserError
from itaudit.runs.run import Run


def import_responses(
    label: str, path: Path, base: LoadedModel, queries: Sequence[Query], run: Run, reporter: Reporter
) -> None:
    """Fills the responses table of a model from a file of JSON lines with `response` and `id` or `prompt`.

    A response is tokenised by the base model's tokenizer and ends with EOS. Prompts without a response, and
    responses that the tokenizer does not give back character by character, are left out and named. Raises UserError
    where a line can't be read, or no response belongs to a prompt of the run.
    """
    table = run.table("responses", label)
    if table.closed:
        return
    done = table.prompt_ids()
    reporter.stage_started("generate", label, total=len(queries), unit="responses")
    by_id, by_prompt = read_responses(path)
    context = run.recipe.context
    builder = ContextBuilder(base.tokenizer, base.kind, template=context.template, system=context.system)
    rows: list[dict[str, Any]] = []
    changed: list[str] = []
    for query, prompt in zip(queries, run.prompts(), strict=True):
        response = by_id.get(query.prompt_id, by_prompt.get(prompt.prompt))
        if response is None:
            continue
        ids = [*builder.response_ids(response), base.tokenizer.eos_token_id]
        if token_offsets(base.tokenizer, ids).text != response:
            changed.append(query.prompt_id)
            continue
        rows.append(
            {
                "order": query.order,
                "prompt_id": query.prompt_id,
                "response": response,
                "finish": "imported",
                "ids": ids,
                "context_ids": query.context_ids,
                "context": query.context,
            }
        )
    if not rows:
        raise UserError(f"{path}: no response belongs to a prompt of this run; give `id` or `prompt` as the run has it")
    if changed:
        reporter.note(
            f"{label}: {len(changed)} responses do not survive the tokenizer and were left out: {changed[0]} …"
        )
    if missing := len(queries) - len(rows) - len(changed):
        reporter.note(f"{label}: {missing} of {len(queries)} prompts have no response in {path}")
    # A worker that was killed before it could close the table left all of its rows there.
    table.append([row for row in rows if row["prompt_id"] not in done])
    table.close()
    reporter.stage_done("generate", label, imported=len(rows))


def read_responses(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The responses of a JSON lines file, by id and by prompt; raises UserError that names the line."""
    by_id: dict[str, str] = {}
    by_prompt: dict[str, str] = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UserError(f"{path}: can't be read: {error.strerror}") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise UserError(f"{path}:{number}: not a JSON object: {error}") from None
        response = row.get("response") if isinstance(row, dict) else None
        if not isinstance(response, str):
            raise UserError(f"{path}:{number}: expected an object with a text under `response`, and `id` or `prompt`")
        if (identifier := row.get("id", row.get("prompt_id"))) is not None:
            by_id[str(identifier)] = response
        elif isinstance(row.get("prompt"), str):
            by_prompt[row["prompt"]] = response
        else:
            raise UserError(f"{path}:{number}: neither `id` nor `prompt` says which prompt it answers")
    return by_id, by_prompt
