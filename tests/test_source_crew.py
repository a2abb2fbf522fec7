"""Threads that fetch while the main one decodes, and that nobody waits for when they hang."""

from __future__ import annotations

import threading
import time
import weakref
from functools import partial

from gwdoctor.source.crew import Crew
from gwdoctor.source.deadline import Deadline


def test_every_job_has_an_outcome_and_what_it_raises_is_one() -> None:
    def divide(number: int) -> float:
        return 6 / number

    with Crew[int, float](3, Deadline()) as crew:
        for number in range(4):
            crew.submit(number, partial(divide, number))
        outcomes = dict(crew.outcomes())

    assert {number: outcomes[number] for number in (1, 2, 3)} == {1: 6, 2: 3, 3: 2}
    assert isinstance(outcomes[0], ZeroDivisionError)


def test_a_job_may_submit_another() -> None:
    with Crew[int, int](2, Deadline()) as crew:

        def count_down(number: int) -> int:
            if number:
                crew.submit(number - 1, lambda: count_down(number - 1))
            return number

        crew.submit(5, lambda: count_down(5))
        assert sorted(number for number, _ in crew.outcomes()) == [0, 1, 2, 3, 4, 5]


def test_no_more_run_at_a_time_than_there_are_hands() -> None:
    running: list[int] = []
    most = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal most
        with lock:
            running.append(1)
            most = max(most, len(running))
        time.sleep(0.01)
        with lock:
            running.pop()

    with Crew[int, None](3, Deadline()) as crew:
        for number in range(20):
            crew.submit(number, work)
        assert len(list(crew.outcomes())) == 20

    assert most == 3


def test_a_job_that_hangs_is_left_behind_at_the_deadline() -> None:
    never = threading.Event()
    started = time.monotonic()

    with Crew[str, bool](2, Deadline(0.2)) as crew:
        crew.submit("hangs", lambda: never.wait(60))
        crew.submit("works", lambda: True)
        outcomes = list(crew.outcomes())

    assert outcomes == [("works", True)]
    assert time.monotonic() - started < 5
    never.set()


def test_a_thread_that_waits_holds_nothing_of_what_it_brought() -> None:
    class Brought:
        pass

    with Crew[str, Brought](1, Deadline(10)) as crew:
        crew.submit("it", Brought)
        ((_, brought),) = crew.outcomes()
        left = weakref.ref(brought)
        del brought
        until = time.monotonic() + 5
        while left() is not None and time.monotonic() < until:
            time.sleep(0.01)

        assert left() is None


def test_the_capped_deadline_comes_first() -> None:
    assert Deadline(100).capped(1).left <= 1
    assert Deadline(1).capped(100).left <= 1
    assert Deadline().capped(None).left == float("inf")
    assert Deadline(0).left == float("inf")
    assert not Deadline(5).passed
