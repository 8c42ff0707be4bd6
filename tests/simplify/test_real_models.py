"""The embedded model as an engine: in a worker of its own, and behind a real `transformers serve` on loopback."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from itaudit.data.edited import EditedDataset
from itaudit.data.load import load
from itaudit.data.overlay import Overlay
from itaudit.simplify.batch import Batch, BatchStatus
from itaudit.simplify.settings import EndpointSettings, LocalSettings, Settings
from tests.transformers_serve import transformers_serve

pytestmark = pytest.mark.slow

RESPONSES = [
    "Sure! Water is a liquid that falls as rain. It fills rivers, lakes and seas all over the world.",
    "Bread is made of flour, water, salt and yeast. Bakers mix them, let the dough rise and bake it.",
    "A bicycle has two wheels. Riders push its pedals with their feet, and the chain turns the rear wheel.",
]


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EditedDataset:
    monkeypatch.setenv("ITAUDIT_STATE_DIR", str(tmp_path / "state"))
    path = tmp_path / "three.json"
    path.write_text(json.dumps([{"instruction": "Explain it.", "input": "", "output": text} for text in RESPONSES]))
    source = load(str(path))
    return EditedDataset(source, Overlay.of(source.path))


def finished(batch: Batch, seconds: float) -> BatchStatus:
    until = time.monotonic() + seconds
    while (status := batch.status()).at_work:
        assert time.monotonic() < until, (status, batch.log_tail())
        time.sleep(0.2)
    return status


def check_proposals(batch: Batch, engine: str) -> None:
    proposals = list(batch.proposals())
    assert sorted(proposal.index for proposal in proposals) == [0, 1, 2]
    for proposal in proposals:
        assert proposal.engine == engine and proposal.before == RESPONSES[proposal.index] and proposal.after.strip()
        assert proposal.checks is not None and 0 < proposal.completion_tokens <= 24 and proposal.prompt_tokens > 50
        assert proposal.finish in ("stop", "length") and proposal.checks.cut_off >= (proposal.finish == "length")


def test_the_local_engine_works_through_a_batch_and_a_resume_makes_the_rest(edited: EditedDataset) -> None:
    settings = Settings(engine="local", local=LocalSettings(device="cpu", max_new_tokens=24, batch_size=2))
    batch = Batch.create(edited, range(3), settings)
    pid = batch.start()
    while batch.status().done < 2:
        assert batch.status().at_work, batch.log_tail()
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    assert finished(batch, 120).state == "failed"
    made = batch.proposals_path.read_bytes()
    batch.start()
    status = finished(batch, 900)
    assert (status.state, status.done, status.error) == ("done", 3, "")
    assert batch.proposals_path.read_bytes().startswith(made)
    check_proposals(batch, "local:embedded")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, str]]:
    with transformers_serve() as told:
        yield told


def test_the_endpoint_engine_works_with_transformers_serve(edited: EditedDataset, server: tuple[str, str]) -> None:
    base_url, model = server
    endpoint = EndpointSettings(
        base_url=base_url, model=model, max_tokens=24, concurrency=2, timeout=120, retries=8
    )  # while the server loads its model, connections are refused, and the client tries again
    batch = Batch.create(edited, range(3), Settings(engine="endpoint", endpoint=endpoint))
    batch.start()
    status = finished(batch, 900)
    assert (status.state, status.done, status.error) == ("done", 3, "")
    check_proposals(batch, f"endpoint:{model}")
