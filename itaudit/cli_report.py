"""`itaudit report`: one self-contained page and Markdown of experiments and runs, with their tables as files."""

from pathlib import Path

import click

from itaudit.cli_json import JSON_OPTION, print_json


@click.command("report")
@click.argument("subjects", nargs=-1, required=True, metavar="RUN|EXPERIMENT…", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder that the report is written to (default: report/ in the run or experiment; here, for several).",
)
@JSON_OPTION
def report_command(subjects: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """Writes what was found as one HTML file, as Markdown, and every table as CSV and Parquet.

    Several runs are told beside each other; each experiment is told by itself. No model is asked, and a report of a
    half-done experiment tells of what is done.
    """
    from itaudit.report.document import report_of
    from itaudit.report.exports import HTML, write_report
    from itaudit.sanitize import visible_line

    report = report_of(subjects)
    folder = out or _folder(report.parts[0].subject.paths if len(report.parts) == 1 else ())
    document = write_report(report, folder)
    if as_json:
        print_json({"folder": str(folder.resolve()), **document})
        return
    for part in report.parts:
        click.echo(visible_line(part.subject.name))
        for sentence in part.summary:
            click.echo(f"  {visible_line(sentence)}")
    click.echo(f"\n{visible_line(str(folder / HTML))} and {len(document['files']) - 1} files beside it")


def _folder(places: tuple[Path, ...]) -> Path:
    """Inside the one thing that is told of; several have no place in common but this one."""
    return places[0] / "report" if len(places) == 1 else Path("report")
