"""The stepper's keys for proofs: starting one from the span under the cursor, and the list of them."""

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from itaudit.errors import UserError
from itaudit.tui.mending_run import MendingRun
from itaudit.tui.telling import say, told

if TYPE_CHECKING:
    from itaudit.proof.spec import ProofSpec, Target


class Proving(MendingRun):
    """`p` and `P`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "prove", "prove", id="stepper.prove", tooltip="Prove what made the model say this span"),
        Binding("P", "proofs", "proofs", id="stepper.proofs", tooltip="Proofs of this run, and their verdicts"),
    ]

    def action_prove(self) -> None:
        stepping = self.stepping
        with told(self.app):
            label = self.tuned_label()
            place = self.place_here()
            if place is None:
                raise UserError("no span here to prove; n goes to the next flagged one, v selects, t finds its sources")
            from itaudit.tui.prove_form import candidate
            from itaudit.tui.screens.prove import ProveScreen

            rows = tuple(dict.fromkeys(source.index for _, _, source in stepping.sources))
            here = candidate(stepping.run, place, rows)
            if not here.rows:
                raise UserError("this span has no sources to test; t looks some up")
            self.app.push_screen(ProveScreen(stepping.run, label, here), self.start_proof)

    def tuned_label(self) -> str:
        """The model that is looked at; raises UserError where it can't be tuned again."""
        stepping = self.stepping
        if stepping.is_base:
            raise UserError("the base model was not tuned: there is nothing to prove of it")
        if stepping.label not in stepping.run.recipe.tuned_here():
            method = stepping.run.recipe.models[stepping.label].method
            raise UserError(f"{stepping.label} is {method}: only a model that this run tuned can be tuned again")
        return stepping.label

    def start_proof(self, spec: "ProofSpec | None") -> None:
        """Starts the worker of a proof and says where it is watched."""
        if spec is None:
            return
        from itaudit.proof.jobs import create
        from itaudit.tui.job_watch import watch_proof

        with told(self.app):
            proof = create(self.stepping.run, spec)
            proof.start()
            watch_proof(self.app, proof)
            say(self.app, f"proof {proof.name} is at work; P shows how far it is")

    def action_proofs(self) -> None:
        from itaudit.tui.screens.proofs import ProofsScreen

        with told(self.app):
            model = self.stepping.label if not self.stepping.is_base else ""
            screen = ProofsScreen(self.stepping.run, model, self.start_proof)
            self.app.push_screen(screen, self._go_to)

    def _go_to(self, chosen: "tuple[str, Target] | None") -> None:
        """Stands on the span of a proof."""
        if chosen is None:
            return
        model, target = chosen
        stepping = self.stepping
        with told(self.app):
            stepping.choose_model(model)
            if stepping.query or stepping.filter != "all":
                stepping.search("")
                while stepping.filter != "all":
                    stepping.next_filter()
            place = next((n for n, row in enumerate(stepping.rows) if row.prompt.id == target.prompt_id), None)
            if place is None:
                raise UserError(f"prompt {target.prompt_id} is not in this run any more")
            stepping.move_prompt(place)
            answer = stepping.answer
            position = answer.position_at(target.start) if answer is not None else None
            if position is not None:
                stepping.move_cursor(position)
        self.draw()
