"""Who hears that a worker is to stop: it, and the job that it works for, but nobody who is done."""

import os
import signal

from itaudit.engine.heart import Heart


def test_a_job_inside_another_s_stops_both() -> None:
    with Heart(None, 1) as outer:
        with Heart(None, 1) as inner:
            os.kill(os.getpid(), signal.SIGTERM)
            assert inner.cancelled and outer.cancelled
        with Heart(None, 1) as next_one:
            assert next_one.cancelled


def test_after_the_inner_job_the_outer_one_still_listens() -> None:
    with Heart(None, 1) as outer:
        with Heart(None, 1) as inner:
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        assert outer.cancelled and not inner.cancelled


def test_a_job_that_is_over_stops_no_later_one() -> None:
    with Heart(None, 1):
        os.kill(os.getpid(), signal.SIGTERM)
    with Heart(None, 1) as later:
        assert not later.cancelled
