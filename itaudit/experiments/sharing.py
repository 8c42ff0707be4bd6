"""What runs of one experiment take over from each other: prompts, and what the base model said to them.

None of it depends on what the models are tuned on, so that it is computed once.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from itaudit.errors import UserError
from itaudit.experiments.experiment import Experiment
from itaudit.recipe import Recipe
from itaudit.runs.lineage import Shared
from itaudit.runs.retune import base_tables, computed_with, prompt_files
from itaudit.runs.run import BASE, Run
from itaudit.runs.tables import PROMPTS, map_table


def take_over(experiment: Experiment, run: Run, here: Shared) -> str:
    """Gives a run the dataset, prompts and base answers that another run of the experiment has and it lacks.

    `here` is the device and the base model's directory that the run would compute with. Says what was taken from
    where, or nothing. May be called again after it was cut off anywhere.
    """
    donors = list(_others(experiment, run))
    for donor in donors:
        rows = (donor.recipe.data, donor.recipe.prompts) == (run.recipe.data, run.recipe.prompts)
        if rows and donor.dataset_path.exists() and not run.dataset_path.exists():
            _link(donor.transforms_path, run.transforms_path)
            _link(donor.dataset_path, run.dataset_path)
    for donor in donors:
        if _base_agrees(donor.recipe, run.recipe) and computed_with(donor) == here and _take_base(donor, run):
            return f"prompts and the base model's answers are those of {donor.name}"
    return ""


def _others(experiment: Experiment, run: Run) -> Iterator[Run]:
    for planned in experiment.spec.runs:
        other = experiment.run_of(planned)
        try:
            if other is not None and other.path != run.path and other.recipe:
                yield other
        except UserError:
            # Its own worker says what is wrong with it.
            continue


def _base_agrees(one: Recipe, other: Recipe) -> bool:
    """Whether the base model would read and answer the same for both."""
    keys = ("base", "device", "prompts", "context", "generate", "score")
    drawn = one.generate.sample and one.seed != other.seed
    return not drawn and all(getattr(one, key) == getattr(other, key) for key in keys)


def _take_base(donor: Run, run: Run) -> bool:
    """Whether anything was taken over."""
    if not donor.prompts_path.exists() or not _base_done(donor) or _base_done(run):
        return False
    if not run.prompts_path.exists():
        for path in prompt_files(donor):
            _link(path, run.path / path.name)
    elif not map_table(run.prompts_path, PROMPTS).equals(map_table(donor.prompts_path, PROMPTS)):
        return False
    for path in base_tables(donor):
        _link(path, run.path / path.relative_to(donor.path))
    for kind in ("responses", "scores"):
        # What the run itself had begun.
        shutil.rmtree(run.table(kind, BASE).parts, ignore_errors=True)
    return True


def _base_done(run: Run) -> bool:
    kinds = ("responses", "scores") if run.recipe.score.base_responses else ("responses",)
    return run.vocabulary_path.exists() and all(run.table(kind, BASE).closed for kind in kinds)


def _link(source: Path, target: Path) -> None:
    """The same file under another name, or a copy; tables are replaced and never rewritten, so that both stay whole."""
    if not source.exists() or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.taken")
    scratch.unlink(missing_ok=True)
    try:
        os.link(source, scratch)
    except OSError:
        # No links on this file system, or to other users' files. The time stays: weights newer than it don't count.
        shutil.copy2(source, scratch)
    scratch.replace(target)
