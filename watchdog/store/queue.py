"""What waits for the writer: bounded, readings dropped first. Not safe by itself: the writer holds its lock.

What is being written (`take`n) stays counted and can't lose readings, until it is done or given back.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import chain
from typing import Self

from watchdog.store.items import Item
from watchdog.vocabulary.errors import StoreError
from watchdog.vocabulary.samples import Row

MOST_ROWS = 20_000
"""About five minutes of sixty subjects at 1 Hz, and 30 MB."""
MOST_ITEMS = 100_000
"""Items other than readings: a burst of kernel lines, or hours of steps and events."""
BATCH_ITEMS = 10_000
"""In one transaction, so that it takes well under a second. As many waiting are written without delay."""


@dataclass(slots=True, eq=False)
class Submission:
    """What is committed together."""

    rows: list[Item]
    others: list[Item]
    deadline: float | None
    """On the monotonic clock."""
    future: "Future[None]" = field(default_factory=Future)

    @classmethod
    def of(cls, items: Sequence[Item], deadline: float | None) -> Self:
        """`items`, readings apart from the others."""
        rows: list[Item] = [item for item in items if isinstance(item, Row)]
        others: list[Item] = [item for item in items if not isinstance(item, Row)]
        submission = cls(rows, others, deadline)
        # from here on it can't be cancelled, which would take the thread by surprise when it sets the result
        submission.future.set_running_or_notify_cancel()
        return submission

    @property
    def size(self) -> int:
        """How many items."""
        return len(self.rows) + len(self.others)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.size

    def items(self) -> Iterable[Item]:
        """All of it."""
        return chain(self.rows, self.others)

    def fail(self, why: str) -> None:
        """Tell whoever submitted it that it is not kept."""
        items = "1 item is" if self.size == 1 else f"{self.size} items are"
        self.future.set_exception(StoreError(f"{items} not kept: {why}"))


@dataclass(slots=True)
class Queue:
    """Submissions in their order."""

    most_rows: int = MOST_ROWS
    most_items: int = MOST_ITEMS
    batch_items: int = BATCH_ITEMS
    rows_waiting: int = 0
    items_waiting: int = 0
    """Other than readings."""
    rows_dropped_total: int = 0
    items_refused_total: int = 0
    """Items other than readings that were not kept, as was told to whoever submitted them."""
    _taken: deque[Submission] = field(default_factory=deque)
    _waiting: deque[Submission] = field(default_factory=deque)
    _with_rows: deque[Submission] = field(default_factory=deque)
    """Those of `_waiting` that have readings, in the same order."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    @property
    def is_due(self) -> bool:
        """Whether a batch is full."""
        return self.rows_waiting + self.items_waiting >= self.batch_items

    def futures(self) -> list["Future[None]"]:
        """Those of all that waits or is being written."""
        return [submission.future for submission in chain(self._taken, self._waiting)]

    def put(self, submission: Submission) -> None:
        """Append `submission`, refuse it, or take it and drop the readings that wait for longest."""
        if submission.others and self.items_waiting + len(submission.others) > self.most_items:
            self.items_refused_total += len(submission.others)
            self.rows_dropped_total += len(submission.rows)
            submission.fail(f"{self.items_waiting} others wait for the disk, and the store takes {self.most_items}")
            return
        self._count(submission, 1)
        self._waiting.append(submission)
        if submission.rows:
            self._with_rows.append(submission)
        self._drop_rows()

    def take(self, most: int | None = None) -> int:
        """Begin to write the next batch, of `most` submissions where that is given; how many it has."""
        size = 0
        while self._waiting and (most is None or len(self._taken) < most):
            if self._taken and size + self._waiting[0].size > self.batch_items:
                break
            submission = self._waiting.popleft()
            if submission.rows:
                self._with_rows.popleft()
            size += submission.size
            self._taken.append(submission)
        return len(self._taken)

    def taken(self) -> list[Item]:
        """The items that are being written."""
        return [item for submission in self._taken for item in submission.items()]

    def done(self) -> None:
        """What was taken is on the disk."""
        while self._taken:
            submission = self._taken.popleft()
            self._count(submission, -1)
            submission.future.set_result(None)

    def give_back(self) -> None:
        """What was taken is not on the disk: it is next again."""
        self._waiting.extendleft(reversed(self._taken))
        self._with_rows.extendleft(each for each in reversed(self._taken) if each.rows)
        self._taken.clear()
        self._drop_rows()

    def reject(self, why: str) -> None:
        """What was taken can never be written."""
        while self._taken:
            self._reject(self._taken.popleft(), why)

    def withdraw(self, now: float) -> float:
        """Reject what has waited for longer than its patience; seconds until the next one will have."""
        impatient = [each for each in self._waiting if each.deadline is not None]
        late = {each for each in impatient if each.deadline is not None and each.deadline <= now}
        if late:
            self._waiting = deque(each for each in self._waiting if each not in late)
            self._with_rows = deque(each for each in self._with_rows if each not in late)
            for submission in late:
                self._reject(submission, "the disk did not take them in time")
        return min((each.deadline - now for each in impatient if each.deadline and each not in late), default=math.inf)

    def fail_all(self, why: str) -> int:
        """Reject all that waits and is not being written; how many submissions that were."""
        left = list(self._waiting)
        self._waiting.clear()
        self._with_rows.clear()
        for submission in left:
            self._reject(submission, why)
        return len(left)

    def _drop_rows(self) -> None:
        """Drop the readings that wait for longest, until no more wait than may."""
        while self.rows_waiting > self.most_rows and self._with_rows:
            submission = self._with_rows.popleft()
            self.rows_waiting -= len(submission.rows)
            self.rows_dropped_total += len(submission.rows)
            if submission.others:
                submission.rows = []
            else:
                self._waiting.remove(submission)
                submission.fail(f"{self.most_rows} readings wait for the disk, and the store takes no more")

    def _reject(self, submission: Submission, why: str) -> None:
        self._count(submission, -1)
        self.items_refused_total += len(submission.others)
        self.rows_dropped_total += len(submission.rows)
        submission.fail(why)

    def _count(self, submission: Submission, sign: int) -> None:
        self.rows_waiting += sign * len(submission.rows)
        self.items_waiting += sign * len(submission.others)
