"""What answers score that need no model: guesses among the labels, the most frequent label, copies.

Each baseline is a set of equally likely answers to a question, so that its expected score is their mean; the random
guess is also drawn, to see that expectation and draws agree.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from itaudit.analysis.intervals import CONFIDENCE, Estimate
from itaudit.data.dataset import Dataset
from itaudit.evaluation.questions import Question
from itaudit.evaluation.task_metrics import exact_match, normalised_answer, score

ROUNDS = 2_000
"""How often every question is guessed at."""

Baseline = Callable[[Question], Sequence[str]]
"""The equally likely answers of a baseline; none where it has nothing to say to a question."""


def random_guess(question: Question) -> Sequence[str]:
    """Any label of the task."""
    return question.labels


def copied_example(question: Question) -> Sequence[str]:
    """The output of the task's first positive example, as Tk-Instruct's heuristic copies it."""
    return () if question.demo is None else (question.demo,)


def copied_input(question: Question) -> Sequence[str]:
    """The input."""
    return (question.input,)


class MostFrequent:
    """The label of the task that the models were tuned on most often.

    In tasks that they were tuned on, among the responses of the task; in others, among all responses. Where several
    labels are as frequent, each of them is as likely, so that labels which were never trained on are a random guess.
    """

    def __init__(self, tuned_on: Dataset) -> None:
        self._of_task: dict[str, Counter[str]] = {}
        self._of_all: Counter[str] = Counter()
        names = {record: task["name"] for record, task in tuned_on.tasks.items()}
        columns = (tuned_on.table.column(name).to_pylist() for name in ("record", "response"))
        for record, response in zip(*columns, strict=True):
            if response is not None:
                answer = normalised_answer(response)
                self._of_all[answer] += 1
                self._of_task.setdefault(names.get(record, ""), Counter())[answer] += 1

    def __call__(self, question: Question) -> Sequence[str]:
        counts = self._of_task.get(question.task, self._of_all)
        often = {label: counts[normalised_answer(label)] for label in question.labels}
        most = max(often.values(), default=0)
        return tuple(label for label, count in often.items() if count == most)


def expected_scores(questions: Iterable[Question], baseline: Baseline) -> dict[str, float]:
    """The expected score of a baseline at each question that it answers, by prompt id."""
    found = {}
    for question in questions:
        answers = baseline(question)
        if answers:
            total = sum(score(question.metric, answer, question.references) for answer in answers)
            found[question.prompt_id] = total / len(answers)
    return found


def expected_guess(questions: Sequence[Question]) -> float:
    """The mean chance that a label of its task, drawn with equal chances, is right."""
    chances = [
        sum(exact_match(label, question.references) for label in question.labels) / len(question.labels)
        for question in questions
    ]
    return sum(chances) / len(chances)


def sampled_guess(questions: Sequence[Question], *, seed: int = 0, comparisons: int = 1) -> Estimate:
    """The mean exact match of labels that are really drawn, ROUNDS times at every question.

    The interval is of that mean over the draws, so that the expectation lies in it at 95 %; in all of `comparisons`
    tasks together (Bonferroni), where so many are looked at.
    """
    rounds = guessed_rounds(questions, seed=seed)
    if not len(rounds):
        return Estimate(None)
    from scipy.special import ndtri

    mean = float(rounds.mean())
    width = float(ndtri(1 - (1 - CONFIDENCE) / 2 / comparisons) * rounds.std(ddof=1) / np.sqrt(len(rounds)))
    return Estimate(mean, mean - width, mean + width, len(questions))


def guesser_range(questions: Sequence[Question], *, seed: int = 0) -> Estimate:
    """What a random guesser scores who answers every question once: the mean, and where 95 % of guessers lie."""
    rounds = guessed_rounds(questions, seed=seed)
    if not len(rounds):
        return Estimate(None)
    low, high = np.quantile(rounds, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(float(rounds.mean()), float(low), float(high), len(questions))


def guessed_rounds(questions: Sequence[Question], *, seed: int = 0) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """[ROUNDS] the mean exact match of each round of guesses; none where a question has no labels.

    Guesses depend on the seed and the prompt alone: not on the order of questions, nor on which others are asked.
    """
    if not questions or not all(question.labels for question in questions):
        return np.empty(0)
    total = np.zeros(ROUNDS)
    for question in questions:
        rights = np.array([exact_match(label, question.references) for label in question.labels])
        name = f"{seed}\0{question.task}\0{question.prompt_id}".encode("utf-8", "surrogatepass")
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(name).digest()[:8], "big"))
        total += rights[rng.integers(len(rights), size=ROUNDS)]
    return total / len(questions)
