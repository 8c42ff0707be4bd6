"""Up to four models side by side at a prompt: their answers in step, shift by position, figures, and recipes."""

from collections.abc import Callable
from typing import ClassVar, Literal

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from itaudit.analysis.table import Table
from itaudit.errors import UserError
from itaudit.report.told import request_of
from itaudit.runs.cells import Cell
from itaudit.runs.side_by_side import MOST, recipe_differences
from itaudit.sanitize import visible_line
from itaudit.tui import beside_export, clipboard
from itaudit.tui.beside import Beside, cells_near, told_apart
from itaudit.tui.beside_text import LEGEND, active_line, column_title, differences_table, parting_words, position_text
from itaudit.tui.layout import shortened
from itaudit.tui.navigation import navigator
from itaudit.tui.pace import repaint_seconds
from itaudit.tui.pages_text import pages_text
from itaudit.tui.table_text import left_out_text, table_text
from itaudit.tui.tables_told import TablesTold
from itaudit.tui.telling import say, told
from itaudit.tui.widgets.key_bar import KeyBar
from itaudit.tui.widgets.position_plots import PositionPlots
from itaudit.tui.widgets.response_view import ResponseView
from itaudit.tui.widgets.tables_text import TablesText

Page = Literal["answers", "by position", "figures", "recipes"]
PAGES: tuple[Page, ...] = ("answers", "by position", "figures", "recipes")
WIDE = 100
"""Columns from which all models stand beside each other."""
SHORT = 16
"""Rows below which the answers have the screen almost for themselves."""
_WIDEST = 10_000
"""Cells of a line of tables that are copied."""


class SideBySideScreen(Screen[None]):
    """Shows where the user of a Beside is."""

    CSS = """
    SideBySideScreen { layout: vertical; background: $background; }
    SideBySideScreen #title, SideBySideScreen #pages, SideBySideScreen #prompt { height: 1; padding: 0 1; }
    SideBySideScreen #title { background: $panel; }
    SideBySideScreen #prompt { text-style: bold; }
    SideBySideScreen #body { height: 1fr; }
    SideBySideScreen #answers { layout: vertical; height: 1fr; }
    SideBySideScreen #columns { layout: horizontal; height: 1fr; min-height: 2; }
    SideBySideScreen ResponseView { width: 1fr; min-width: 8; height: 1fr; padding: 0 0 0 1; }
    SideBySideScreen #position {
        height: auto; max-height: 50%; padding: 0 1; border-top: solid $foreground 30%;
        border-title-color: $foreground 70%;
    }
    SideBySideScreen.-narrow ResponseView { display: none; }
    SideBySideScreen.-narrow ResponseView.-active { display: block; }
    SideBySideScreen.-short #position { border-top: none; max-height: 1; }
    SideBySideScreen.-short #pages { display: none; }
    SideBySideScreen #text { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    SideBySideScreen #body > * { display: none; }
    SideBySideScreen #body > .-shown { display: block; }
    """
    AUTO_FOCUS = ""
    MARKS = LEGEND
    SHOWS_TOKENS = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "prompt(1)", "prompt", id="beside.down", tooltip="Next prompt"),
        Binding("k,up", "prompt(-1)", "prompt", id="beside.up", tooltip="Previous prompt"),
        Binding("j,down", "scroll(1)", "scroll", id="beside.text_down", tooltip="Down in the tables"),
        Binding("k,up", "scroll(-1)", "scroll", id="beside.text_up", tooltip="Up in the tables"),
        Binding("h,left", "step(-1)", "token", id="beside.previous", tooltip="Previous token"),
        Binding("l,right", "step(1)", "token", id="beside.next", tooltip="Next token"),
        Binding("h,left", "figure(-1)", "figure", id="beside.previous_figure", tooltip="Previous figure"),
        Binding("l,right", "figure(1)", "figure", id="beside.next_figure", tooltip="Next figure"),
        Binding("d", "part", "where they part", id="beside.part", tooltip="Where they part, one after the other"),
        *(
            Binding(str(n), f"model({n - 1})", "model", id=f"beside.model-{n}", tooltip=f"Look at model {n}")
            for n in range(1, MOST + 1)
        ),
        Binding("tab", "page(1)", "page", id="beside.page_next", tooltip="Answers, by position, figures, recipes"),
        Binding("shift+tab", "page(-1)", "page", id="beside.page_previous", show=False, tooltip="Previous page"),
        Binding("a", "choose", "models", id="beside.choose", tooltip="Choose the models that stand side by side"),
        Binding("n", "shift(1)", "shift", id="beside.shift_next", tooltip="Next token that a model was tuned to say"),
        Binding("N", "shift(-1)", "shift", id="beside.shift_previous", tooltip="Previous token of that kind"),
        Binding("enter", "open", "stepper", id="beside.open", tooltip="Open the model's run at this prompt"),
        Binding("o", "order", "order", id="beside.order", tooltip="Order: file, KL, first to part"),
        Binding("g,home", "edge(-1)", "first", id="beside.first", show=False, tooltip="First token"),
        Binding("G,end", "edge(1)", "last", id="beside.last", show=False, tooltip="Last token"),
        Binding("J,pagedown,space", "leaf(1)", "scroll", id="beside.scroll_down", show=False, tooltip="Scroll down"),
        Binding("K,pageup", "leaf(-1)", "scroll", id="beside.scroll_up", show=False, tooltip="Scroll up"),
        Binding("y", "copy", "copy", id="beside.copy", show=False, tooltip="Copy what the page shows"),
        Binding("x", "export", "export", id="beside.export", tooltip="Export the answers as Markdown"),
        Binding("escape", "app.back", "back", id="beside.back"),
    ]

    def __init__(self, beside: Beside, *, reference: str = "") -> None:
        """`reference` is the label that figures are compared with; the first tuned one where it is empty."""
        super().__init__()
        self.beside = beside
        self.reference = reference
        self.page: Page = PAGES[0]
        self._problem = ""
        self._told = TablesTold(self, self._draw_text)
        self._recipes: tuple[Beside, Table] | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield Static(id="pages", markup=False)
        yield Static(id="prompt", markup=False)
        with Container(id="body"):
            with Container(id="answers"):
                with Container(id="columns"):
                    for number in range(MOST):
                        yield ResponseView(id=f"model-{number}")
                yield Static(id="position", markup=False)
            yield PositionPlots(id="plots")
            with VerticalScroll(id="text", can_focus=False):
                yield Static(id="left-out", markup=False)
                yield TablesText(id="lines")
        yield KeyBar()

    def on_mount(self) -> None:
        self._arrange()
        self.draw()
        self.set_interval(max(0.5, repaint_seconds()), self.look)

    def on_unmount(self) -> None:
        self._told.close()

    def on_resize(self, _: events.Resize) -> None:
        self._arrange()
        # Widths stand only after the layout.
        self.call_after_refresh(self.draw)

    def look(self) -> None:
        """Takes in what workers have written, without moving the user."""
        problem = ""
        try:
            changed = self.beside.poll()
        except UserError as error:
            changed, problem = False, str(error)
        if problem and problem != self._problem:
            # Once: a file that is broken now is broken at the next look, too.
            self.app.notify(visible_line(problem), severity="error", markup=False)
        self._problem = problem
        if changed:
            self.draw()

    def _arrange(self) -> None:
        """Which page is shown, and in it the models that have room."""
        self.set_class(self.app.size.width < WIDE, "-narrow")
        self.set_class(self.app.size.height < SHORT, "-short")
        shown = {"answers": "answers", "by position": "plots"}.get(self.page, "text")
        for name in ("answers", "plots", "text"):
            self.query_one(f"#{name}").set_class(name == shown, "-shown")
        for number in range(MOST):
            column = self.query_one(f"#model-{number}", ResponseView)
            column.set_class(number == self.beside.active, "-active")
            if number >= len(self.beside.cells):
                column.display = False
            else:
                # What the style sheet says of narrow screens holds again.
                column.styles.clear_rule("display")

    def draw(self) -> None:
        """Brings the page up to date with where the user is."""
        if not self.is_mounted:
            return
        self._draw_head()
        match self.page:
            case "answers":
                self._draw_answers()
            case "by position":
                self.query_one(PositionPlots).show(self.beside)
            case _:
                self._ask()
                self._draw_text()

    def _draw_head(self) -> None:
        beside, width = self.beside, max(10, self.app.size.width - 2)
        names = [
            (f"[{visible_line(name)}]" if number == beside.active else visible_line(name))
            for number, name in enumerate(beside.names)
        ]
        title = Content.assemble((f"{visible_line(beside.where)} ▸ side by side", "bold"), f"   {'  '.join(names)}")
        self.query_one("#title", Static).update(title.truncate(width, ellipsis=True))
        self.query_one("#pages", Static).update(pages_text(PAGES, self.page, width))
        prompt = beside.prompt
        if self.page != "answers":
            text = ""
        elif prompt is None:
            text = "no prompt was asked of all of these models"
        else:
            text = (
                f"{beside.place + 1}/{len(beside.prompts)} by {beside.order} · {prompt.id} {beside.starts[prompt.id]}"
            )
        line = self.query_one("#prompt", Static)
        line.display = bool(text)
        line.update(Content(shortened(visible_line(text), width)))

    def _draw_answers(self) -> None:
        beside = self.beside
        for number in range(len(beside.cells)):
            column = self.query_one(f"#model-{number}", ResponseView)
            answer = beside.answers[number] if beside.answers else None
            last = len(answer.positions) - 1 if answer else 0
            cursor = max(0, min(beside.position, last))
            column.title((column_title(beside, number, max(column.size.width - 2, 8)), ""))
            column.show(None, answer, cursor, (cursor, cursor))
        position = self.query_one("#position", Static)
        width = max(20, self.app.size.width - 2)
        position.border_title = Content(f" token {beside.position + 1} of {beside.longest} ")
        position.update(active_line(beside, width) if self.has_class("-short") else position_text(beside, width))

    def _ask(self) -> None:
        if self.page == "figures":
            cells = told_apart(self.beside.cells)
            reference = self.reference or next((cell.label for cell in cells if not cell.is_base), "")
            stamp = tuple(side.version() for side in self.beside.compared.sides)
            self._told.ask(request_of(cells, reference), stamp)

    def _draw_text(self) -> None:
        if self.is_mounted and self.page in ("figures", "recipes"):
            lines, width = self.query_one(TablesText), max(20, self.app.size.width - 3)
            left_out = self._told.left_out if self.page == "figures" else ()
            gone = self.query_one("#left-out", Static)
            gone.display = bool(left_out)
            gone.update(left_out_text(left_out, width))
            try:
                tables = self._tables()
            except UserError as error:
                lines.say(str(error), width, "$error")
                return
            if tables:
                lines.show(tables, width)
            else:
                nothing = "" if left_out else "No tuned model of these is scored to its end yet."
                lines.say("counting …" if self._told.busy else nothing, width)

    def _tables(self) -> list[Table]:
        """The tables of the page; raises UserError where there is a problem with them."""
        if self.page == "figures":
            if self._told.problem:
                raise UserError(self._told.problem)
            return list(self._told.tables.values())
        if self._recipes is None or self._recipes[0] is not self.beside:
            differences = recipe_differences(self.beside.cells)
            self._recipes = self.beside, differences_table(differences, self.beside.names)
        return [self._recipes[1]]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Numbers beyond the models there are do nothing, and neither does what belongs to another page."""
        if action == "model":
            return int(str(parameters[0])) < len(self.beside.cells)
        if action in ("prompt", "step", "part", "shift", "order", "edge"):
            return self.page == "answers"
        if action == "figure":
            return self.page == "by position"
        return self.page in ("figures", "recipes") if action == "scroll" else True

    def action_prompt(self, by: int) -> None:
        self.beside.move_prompt(by)
        self.draw()

    def action_scroll(self, by: int) -> None:
        self.query_one("#text").scroll_relative(y=by, animate=False)

    def action_step(self, by: int) -> None:
        self.beside.move_position(self.beside.position + by)
        self.draw()

    def action_figure(self, by: int) -> None:
        self.query_one(PositionPlots).turn(by)

    def action_edge(self, direction: int) -> None:
        self.beside.move_position(self.beside.longest - 1 if direction > 0 else 0)
        self.draw()

    def action_part(self) -> None:
        if not self.beside.to_parting():
            say(self.app, parting_words(self.beside.partings, self.beside.names))
        self.draw()

    def action_shift(self, direction: int) -> None:
        if not self.beside.next_shift(direction):
            say(self.app, f"nothing marginal or shifted {'after' if direction > 0 else 'before'} this position")
        self.draw()

    def action_order(self) -> None:
        self.beside.next_order()
        self.draw()

    def action_model(self, number: int) -> None:
        self.beside.choose(number)
        self._arrange()
        # A column that was not shown has a width only after the layout.
        self.call_after_refresh(self.draw)

    def action_page(self, by: int) -> None:
        self.page = PAGES[(PAGES.index(self.page) + by) % len(PAGES)]
        self._arrange()
        self.query_one("#text").scroll_home(animate=False)
        self.refresh_bindings()
        self.call_after_refresh(self.draw)

    def action_leaf(self, direction: int) -> None:
        if self.page == "answers":
            for column in self.query(ResponseView):
                column.scroll_relative(y=direction * max(column.size.height - 1, 1), animate=False)
        else:
            page = self.query_one("#text")
            page.scroll_relative(y=direction * max(1, page.size.height - 2), animate=False)

    def action_choose(self) -> None:
        from itaudit.tui.screens.pick_models import PickModelsScreen

        with told(self.app):
            cells = cells_near(self.beside.cells[0].run)
            self.app.push_screen(PickModelsScreen(cells, self.beside.cells), self._chosen)

    def _chosen(self, cells: tuple[Cell, ...] | None) -> None:
        if not cells:
            return
        with told(self.app):
            self.beside = Beside(cells, self.beside.prompt_id, self.beside.position)
        self._arrange()
        self.call_after_refresh(self.draw)

    def action_open(self) -> None:
        cell = self.beside.cells[self.beside.active]
        navigator(self).open_run(cell.run.path, cell.label, self.beside.prompt_id)

    def action_copy(self) -> None:
        with told(self.app):
            path = clipboard.copy(self.app, self._page_plain())
            say(self.app, f"copied what the page shows, also to {path}")

    def _page_plain(self) -> str:
        if self.page == "answers":
            return beside_export.markdown(self.beside)
        if self.page == "by position":
            return self.query_one(PositionPlots).as_json()
        return "\n\n".join(table_text(table, _WIDEST).plain for table in self._tables())

    def action_export(self) -> None:
        with told(self.app):
            path = beside_export.write(self.beside)
            say(self.app, f"exported to {path}")


def show_beside(screen: Screen[None], make: Callable[[], Beside], *, reference: str = "") -> None:
    """Opens models side by side; says why where they can't stand there."""
    with told(screen.app):
        screen.app.push_screen(SideBySideScreen(make(), reference=reference))
