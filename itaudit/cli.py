"""The `itaudit` command: every verb works without the workbench."""

import io
import os
import sys

import click

from itaudit import __version__
from itaudit.cli_lazy import LazyGroup
from itaudit.errors import UserError
from itaudit.sanitize import visible_line


@click.group(
    cls=LazyGroup,
    lazy={
        "cancel": "cli_jobs:cancel_command",
        "causes": "cli_causes:causes_command",
        "data": "cli_data:data_group",
        "demo": "cli_jobs:demo_command",
        "detect": "cli_detect:detect_command",
        "doctor": "cli_doctor:doctor_command",
        "evaluate": "cli_evaluate:evaluate_command",
        "logs": "cli_jobs:logs_command",
        "ls": "cli_jobs:ls_command",
        "marks": "cli_marks:marks_group",
        "open": "cli_open:open_command",
        "prompts": "cli_show:prompts_command",
        "prove": "cli_prove:prove_command",
        "rate": "cli_rate:rate_command",
        "ratings": "cli_rate:ratings_command",
        "report": "cli_report:report_command",
        "resume": "cli_jobs:resume_command",
        "retune": "cli_retune:retune_command",
        "run": "cli_jobs:run_command",
        "show": "cli_show:show_command",
        "simplify": "cli_simplify:simplify_command",
        "style": "cli_style:style_command",
        "tokens": "cli_show:tokens_command",
        "trace": "cli_trace:trace_command",
    },
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__)
@click.pass_context
def cli(context: click.Context) -> None:
    """Shows what instruction tuning did to a language model, and which instances taught it.

    Without a verb, opens the workbench.
    """
    if context.invoked_subcommand is None:
        from itaudit.cli_open import open_workbench

        open_workbench(None)


def main() -> None:
    """The entry point: errors that a user can cause are one line, and never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal or a locale without UTF-8 gets ? for what it can't show.
            stream.reconfigure(errors="replace")
    try:
        cli.main(standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except UserError as error:
        _fail(str(error), error.code)
    except click.exceptions.NoArgsIsHelpError as error:
        # A group without a verb: its help, in the lines that it has.
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        _fail(visible_line(error.format_message()), 2)
    except click.exceptions.Abort:
        _fail("interrupted", 1)
    except BrokenPipeError:
        # The reader of a pipe went away; there is nobody left to tell.
        _drop_output()
        sys.exit(1)
    except OSError as error:
        # A full disk, or a file or folder that this user may not read.
        _drop_output()
        name = "the output" if error.filename is None else str(error.filename)
        _fail(f"{visible_line(name)}: {error.strerror or error}", 1)


def _drop_output() -> None:
    """Leaves what is still to be written to nobody, or leaving would fail on it once more."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(code)
