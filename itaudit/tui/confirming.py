"""What a proposal needs before it is accepted: each new fact, and each other doubt, is confirmed with a key."""

from collections.abc import Callable
from typing import Any

from textual.screen import Screen

from itaudit.simplify.proposal import Proposal
from itaudit.tui.screens.choice import ChoiceScreen
from itaudit.tui.widgets.proposal_view import ProposalView

Confirmed = Callable[[list[str]], None]
"""Takes what was confirmed, in the words in which it was asked."""


class Confirming:
    """Asks about one doubt after the other; what passes the checks is not asked about at all.

    `otherwise` takes the key of what the user wants in place of accepting: `e` to edit, `r` to reject.
    """

    def __init__(
        self,
        screen: Screen[Any],
        view: ProposalView,
        proposal: Proposal,
        confirmed: Confirmed,
        otherwise: Callable[[str], None],
    ) -> None:
        assert proposal.checks is not None
        self.screen = screen
        self.view = view
        self.done = confirmed
        self.otherwise = otherwise
        facts = proposal.checks.new_facts
        # One question for each text, however often the proposal says it.
        self._facts = [(n, each) for n, each in enumerate(facts) if each.text not in [f.text for f in facts[:n]]]
        self._doubts = [reason for reason in proposal.checks.reasons if not reason.startswith("new ")]
        self._confirmed: list[str] = []

    def start(self) -> None:
        """Asks the first question, or accepts where there is none."""
        self._next()

    def _next(self) -> None:
        if self._facts:
            number, fact = self._facts[0]
            self.view.ask_about(number, self._confirmed)
            count = len(self._facts)
            left = f" ({count} to confirm)" if count > 1 else ""
            self._ask(f"The original does not hold the {fact.kind} “{fact.text}”{left}. Is it right?", "right")
        elif self._doubts:
            self.view.ask_about(-1, self._confirmed)
            self._ask(f"This proposal: {self._doubts[0]}. Accept it all the same?", "yes")
        else:
            self.done(self._confirmed)

    def _ask(self, question: str, yes: str) -> None:
        choices = [("y", yes)]
        if len(self._facts) + len(self._doubts) > 1:
            choices.append(("a", "accept all"))
        choices += [("e", "edit"), ("r", "reject")]
        self.screen.app.push_screen(ChoiceScreen(question, choices), self._answered)

    def _answered(self, key: str | None) -> None:
        if key == "y":
            if self._facts:
                self._confirmed.append(self._facts.pop(0)[1].text)
            else:
                self._confirmed.append(self._doubts.pop(0))
            self._next()
        elif key == "a":
            self._confirmed += [fact.text for _, fact in self._facts] + self._doubts
            self.view.ask_about(-1, self._confirmed)
            self.done(self._confirmed)
        else:
            self.view.ask_about(-1, [])
            if key:
                self.otherwise(key)
