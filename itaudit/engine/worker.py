"""The worker: one process that carries out the stages of one run, in order, each from where it stopped.

`python -m itaudit.engine.worker RUN_DIR`. Exit code 0 done, 1 failed, 3 cancelled.
"""

import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import orjson
import pyarrow as pa
import torch

from itaudit import atomic
from itaudit.detect.judge_task import judge_settings
from itaudit.engine import device as devices
from itaudit.engine.causes_stage import cause_responses
from itaudit.engine.checks import check_models, other_base
from itaudit.engine.context import ContextBuilder
from itaudit.engine.detect_stage import Fill, detect_responses, detected
from itaudit.engine.device_lock import held_device
from itaudit.engine.evaluate_stage import evaluate_responses, evaluated
from itaudit.engine.generate import Query, build_queries, generate_responses
from itaudit.engine.heart import Cancelled
from itaudit.engine.imported import import_responses
from itaudit.engine.model_detectors import Calls, fill
from itaudit.engine.models import LoadedModel, ModelFiles, find_model, load_model, tuned_beside
from itaudit.engine.offsets import vocabulary_texts
from itaudit.engine.prepare import prepare_run
from itaudit.engine.reporter import Reporter
from itaudit.engine.score import score_responses
from itaudit.engine.trace_stage import trace_responses
from itaudit.engine.tracking import check_login
from itaudit.engine.tune import tune_in_processes, tune_model
from itaudit.errors import UserError
from itaudit.evaluation.judge_task import evaluation_judge
from itaudit.recipe import Recipe
from itaudit.runs.detections import Detector
from itaudit.runs.lineage import lineage_of
from itaudit.runs.retune import drop_unless_same
from itaudit.runs.run import BASE, Run
from itaudit.runs.tables import VOCABULARY, write_table
from itaudit.tuning_settings import Existing, Imported, Lft, Sft


def plan(recipe: Recipe) -> list[tuple[str, str]]:
    """The stages of a recipe as (stage, model), in the order in which they are worked on.

    Each model goes all the way before the next is tuned, so that its answers can be read while the rest works.
    """
    stages = [("prepare", ""), ("generate", BASE)]
    if recipe.score.base_responses:
        stages.append(("score", BASE))
    for label, model in recipe.models.items():
        if isinstance(model, Lft | Sft):
            stages.append(("tune", label))
        stages += [("generate", label), ("score", label)]
        if recipe.detect.detectors:
            stages.append(("detect", label))
        stages += [("trace", label), ("causes", label)]
    if recipe.evaluate.judge is not None:
        # Last, since it compares models.
        stages.append(("evaluate", ""))
    return stages


def finished(run: Run, stage: str, model: str) -> bool:
    """Whether the files of a stage are whole."""
    if stage == "prepare":
        return run.dataset_path.exists() and run.prompts_path.exists()
    if stage == "tune":
        return run.model_dir(model).is_dir()
    if stage == "detect":
        return detected(model, run)
    if stage == "evaluate":
        return evaluated(run)
    return run.table(_TABLES[stage], model).closed


_TABLES = {"generate": "responses", "score": "scores", "trace": "traces", "causes": "causes"}


class Worker:
    """Carries out the plan of one run on one device."""

    def __init__(self, run: Run, reporter: Reporter) -> None:
        self.run = run
        self.recipe = run.recipe
        self.reporter = reporter
        self.device = devices.choose_device(self.recipe.device)
        self.dtype = devices.choose_dtype(self.recipe.base.dtype, self.device)
        self.code = self.recipe.base.trust_remote_code
        self._base: LoadedModel | None = None
        self._found: dict[str, ModelFiles] = {}

    def work(self) -> None:
        """All stages that are not done yet."""
        stages = plan(self.recipe)
        self.reporter.started(devices.device_name(self.device), stages)
        self._check_what_was_taken_over()
        # A worker that was killed between a stage's last file and its event left the telling to us.
        for stage, model in stages:
            if finished(self.run, stage, model) and not self.reporter.told_done(stage, model):
                self.reporter.stage_done(stage, model)
        self.reporter.watch_memory(lambda: devices.memory_in_use(self.device))
        self.reporter.check()
        prepare_run(self.run, self.reporter)
        self.reporter.check()
        files = self._find_base()
        waiting = [label for label in self.recipe.models if not finished(self.run, "score", label)]
        if "judge" in self.recipe.detect.detectors:
            # It is asked last, after hours perhaps.
            judge_settings(self.run, {})
        if self.recipe.evaluate.judge is not None:
            evaluation_judge(self.recipe.evaluate, {})
        self._found = check_models(self.recipe, files, self.device, waiting)
        tuned = self.recipe.tuned_here()
        check_login({label: tuned[label] for label in tuned if not finished(self.run, "tune", label)})
        for label, found in self._found.items():
            if told := other_base(found, files):
                self.reporter.note(f"{label}: the adapter was tuned over {told}, and is read over {files.name}")
        self._answer_as_base()
        for label, settings in self.recipe.models.items():
            self.reporter.check()
            if isinstance(settings, Lft | Sft):
                self._tune(label, settings, files)
            self._answer(label, settings)
        if self.recipe.evaluate.judge is not None and not evaluated(self.run):
            self.reporter.check()
            # A local judge wants the memory.
            self._release_base()
            evaluate_responses(self.run, self.reporter, held=str(self.device))

    def _check_what_was_taken_over(self) -> None:
        """Answers of the base model that another run computed count only where they would come out the same here."""
        lineage = lineage_of(self.run)
        if lineage is not None and lineage.shared is not None:
            base = str(self._find_base().path)
            if told := drop_unless_same(self.run, devices.device_name(self.device), base):
                self.reporter.note(told)

    def _find_base(self) -> ModelFiles:
        base = self.recipe.base
        files = find_model(base.model, revision=base.revision, code=self.code)
        atomic.write_bytes(self.run.base_path, orjson.dumps({"name": files.name, "path": str(files.path)}))
        return files

    def base(self) -> LoadedModel:
        """The base model, loaded on first use and after tuning has taken the device for itself."""
        if self._base is None:
            told = self.run.base()
            files = ModelFiles(told["name"], Path(told["path"]))
            self._base = load_model(files, device=self.device, dtype=self.dtype, code=self.code)
        return self._base

    def _release_base(self) -> None:
        self._base = None
        devices.release_memory(self.device)

    def _queries(self, base: LoadedModel) -> list[Query]:
        context = self.recipe.context
        builder = ContextBuilder(base.tokenizer, base.kind, template=context.template, system=context.system)
        return build_queries(self.run.prompts(), builder)

    def _answer_as_base(self) -> None:
        responses, scores = self.run.table("responses", BASE), self.run.table("scores", BASE)
        wanted = self.recipe.score.base_responses
        if responses.closed and self.run.vocabulary_path.exists() and (scores.closed or not wanted):
            return
        base = self.base()
        if not self.run.vocabulary_path.exists():
            texts = vocabulary_texts(base.tokenizer, base.vocabulary_size)
            write_table(pa.table({"text": texts}, schema=VOCABULARY), self.run.vocabulary_path)
        queries = self._queries(base)
        generate_responses(BASE, base, queries, self.recipe.generate, responses, self.reporter, seed=self.recipe.seed)
        if wanted:
            rows = responses.read().to_pylist()
            score_responses(BASE, base, None, rows, self.recipe.score, scores, self.reporter, own=True)

    def _tune(self, label: str, settings: Lft | Sft, files: ModelFiles) -> None:
        if self.run.model_dir(label).is_dir():
            # A worker that was killed between the two left optimiser states, which are larger than the model.
            shutil.rmtree(self.run.path / "checkpoints" / label, ignore_errors=True)
            return
        self._release_base()
        if settings.processes > 1:
            tune_in_processes(self.run, label, settings, self.reporter)
        else:
            tune_model(self.run, label, files, self.reporter)
        devices.release_memory(self.device)

    def _answer(self, label: str, settings: Lft | Sft | Existing | Imported) -> None:
        responses, scores = self.run.table("responses", label), self.run.table("scores", label)
        if not (responses.closed and scores.closed):
            base = self.base()
            with ExitStack() as stack:
                files = self._tuned_files(label, settings)
                tuned = (
                    stack.enter_context(tuned_beside(base, files, dtype=self.dtype, code=self.code)) if files else None
                )
                if isinstance(settings, Imported):
                    import_responses(
                        label, Path(settings.responses), base, self._queries(base), self.run, self.reporter
                    )
                elif tuned is not None:
                    generate_responses(
                        label,
                        tuned,
                        self._queries(base),
                        self.recipe.generate,
                        responses,
                        self.reporter,
                        seed=self.recipe.seed,
                    )
                rows = responses.read().to_pylist()
                score_responses(label, base, tuned, rows, self.recipe.score, scores, self.reporter)
            devices.release_memory(self.device)
        if not finished(self.run, "detect", label):
            detect_responses(label, self.run, self.reporter, self._asking(label))
        trace_responses(label, self.run, self.reporter)
        cause_responses(label, self.run, self.reporter)

    def _asking(self, label: str) -> dict[Detector, Fill]:
        """How the detectors that ask a model do so here, where the base model may be in memory already."""
        held, check = str(self.device), self.reporter.check

        def calls(progress: Callable[[int], None]) -> Calls:
            return Calls(check, progress, lambda _: None)

        def consistency(progress: Callable[[int], None]) -> None:
            fill("consistency", self.run, label, calls(progress), held=held, base=lambda _: self.base())

        def judge(progress: Callable[[int], None]) -> None:
            # A local judge wants the memory.
            self._release_base()
            fill("judge", self.run, label, calls(progress), held=held)

        return {"consistency": consistency, "judge": judge}

    def _tuned_files(self, label: str, settings: Lft | Sft | Existing | Imported) -> ModelFiles | None:
        if isinstance(settings, Lft | Sft):
            return ModelFiles(label, self.run.model_dir(label))
        return self._found.get(label)


def work_on(run: Run) -> int:
    """Carries out a run and says in its events how it ended; returns the exit code."""
    with Reporter(run) as reporter:
        try:
            device = devices.choose_device(run.recipe.device)
            with held_device(device, waiting=reporter.queued, check=reporter.check):
                Worker(run, reporter).work()
        except Cancelled:
            reporter.ended("job_cancelled")
            return 3
        except UserError as error:
            # Whoever follows the log stops at the end of the job.
            print(f"error: {error}", file=sys.stderr)
            reporter.ended("job_failed", str(error))
            return 1
        except torch.OutOfMemoryError as error:
            reporter.ended("job_failed", _out_of_memory(error))
            return 1
        except Exception as error:  # noqa: BLE001  # whatever broke, the run must say so instead of looking at work
            traceback.print_exc()
            reporter.ended("job_failed", f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
            return 1
        reporter.ended("job_done")
        return 0


def _out_of_memory(error: torch.OutOfMemoryError) -> str:
    return (
        "out of device memory: lower generate.batch_size, score.batch_size or the model's micro_batch_size, or set "
        f"gradient_checkpointing = true ({str(error).splitlines()[0]})"
    )


def main(arguments: Sequence[str] = sys.argv[1:]) -> int:
    if len(arguments) != 1:
        print("usage: python -m itaudit.engine.worker RUN_DIR", file=sys.stderr)
        return 2
    try:
        return work_on(Run(Path(arguments[0])))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
