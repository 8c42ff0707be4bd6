"""`itaudit causes`: where flagged words come from, beside what chance would give."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from itaudit.cli_detect import tuned_labels
from itaudit.cli_json import JSON_OPTION, print_json
from itaudit.cli_runs import find_run

if TYPE_CHECKING:
    from itaudit.detect.flagged_causes import CauseFlags
    from itaudit.runs.run import Run
    from itaudit.trace.cause_report import Beside, CauseReport


@click.command("causes")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--model", "models", multiple=True, help="Label of a tuned model; repeatable (default: all).")
@click.option(
    "--flags",
    "flags",
    multiple=True,
    type=click.Choice(["shifted", "marks", "any", "reference", "consistency", "signal", "judge", "import"]),
    help="Which words count as flagged; repeatable (default: shifted, and any where something is flagged).",
)
@click.option("--rank", type=click.IntRange(1), help="Lowest base rank that asks for an explanation.")
@click.option("--strict", is_flag=True, help="Trace phrases whose words stand in one turn, instead of single words.")
@JSON_OPTION
def causes_command(
    run: Path, models: Sequence[str], flags: Sequence["CauseFlags"], rank: int | None, strict: bool, as_json: bool
) -> None:
    """Tells which flagged words stand in the answers of instances similar to the prompt, and what chance would give.

    Words that the base model ranks below --rank are pretrained; others are borrowed where an answer of a similar
    instance holds them, and unexplained elsewhere.
    """
    found = find_run(run)
    reports = {label: _reports(found, label, flags, rank) for label in tuned_labels(found, models)}
    if as_json:
        print_json(_document(found, reports))
        return
    from rich.console import Console

    console = Console(markup=False, highlight=False, soft_wrap=True)
    for number, report in enumerate(report for by_flags in reports.values() for report in by_flags):
        if number:
            console.print()
        _print(console, report, strict)


def _reports(run: "Run", label: str, flags: Sequence["CauseFlags"], rank: int | None) -> list["CauseReport"]:
    from itaudit.detect.flagged_causes import flags_there, run_cause_report

    wanted = tuple(dict.fromkeys(flags)) or tuple(
        name for name in flags_there(run, label) if name in ("shifted", "marks", "any")
    )
    return [run_cause_report(run, label, name, rank=rank) for name in wanted]


def _document(run: "Run", reports: dict[str, list["CauseReport"]]) -> dict[str, Any]:
    models = {label: {report.flags: report.to_json() for report in found} for label, found in reports.items()}
    return {"run": str(run.path), "models": models}


def _print(console: Any, report: "CauseReport", strict: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from itaudit.analysis.shift import CLASSES
    from itaudit.sanitize import visible_line
    from itaudit.trace.cause_report import KINDS

    flags = f"base rank {report.rank} or above" if report.flags == "shifted" else report.flags
    console.print(
        Text.assemble(
            (visible_line(report.model), "bold"),
            f" · {flags}: {report.flagged} of {report.words} content words flagged, in {report.flagged_responses} of "
            f"{report.responses} responses; {report.in_prompt} of them stand in the prompt",
        )
    )
    cross = Table(box=None, pad_edge=False, header_style="dim")
    cross.add_column("  words", no_wrap=True)
    for column in CLASSES:
        cross.add_column(column, justify="right")
    for kind in KINDS:
        cells = [report.cross[kind][name] for name in CLASSES]
        cross.add_row(f"  {kind}", *(f"{cell.words}  {_percent(cell.share)}" for cell in cells))
    console.print(cross)
    outcomes = " · ".join(f"{outcome} {count}" for outcome, count in report.outcomes.items())
    console.print(f"  {outcomes}")
    rate, unit = (report.strict, "phrase") if strict else (report.trace, "word")
    if rate is None or not rate.count:
        console.print(f"  no flagged {unit} has base rank {report.rank} or above: there is nothing to trace")
        return
    what = "with all words in one answer of" if strict else "found in an answer of"
    console.print(
        f"  {rate.traced} of {rate.count} {unit}s that ask for an explanation = {_percent(rate.rate)} {what} the "
        f"{report.k} most similar of {report.instances} instances; {report.absent} words stand in no answer at all"
    )
    chance = Table(box=None, pad_edge=False, header_style="dim")
    chance.add_column("  by chance", no_wrap=True)
    for heading in ("expected", "lift", "95 %", "p"):
        chance.add_column(heading, justify="right")
    sides = {"random instances of like length": rate.by_instances, "other words of like frequency": rate.by_words}
    for side, told in sides.items():
        chance.add_row(f"  {side}", *_beside(told))
    console.print(chance)
    for reason in dict.fromkeys(told.reason for told in sides.values() if told.reason):
        console.print(f"  – is not told: {reason}")


def _beside(told: "Beside") -> tuple[str, ...]:
    interval = "" if told.low is None or told.high is None else f"{told.low:.2f}–{told.high:.2f}"
    return (
        _percent(told.expected),
        "–" if told.lift is None else f"{told.lift:.2f}",
        interval or "–",
        "–" if told.p is None else f"{told.p:.3f}",
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
