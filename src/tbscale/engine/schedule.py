"""The seam between the science and where it runs: how tasks that do not need each other are run.

Here are the two ways that one machine needs. A cluster is one more function with the signature of
`in_order`: tasks say what they read and leave, are plain values, and may run anywhere that sees
the scratch folder.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tbscale.engine.blocks import Region
from tbscale.engine.progress import progress
from tbscale.engine.scratch import FlowStore
from tbscale.engine.strips import Rows
from tbscale.engine.tasks.task import Task
from tbscale.errors import BudgetError
from tbscale.steps import StepClock

logger = logging.getLogger(__name__)

Scheduler = Callable[[Sequence[Task], str, StepClock], None]


def in_order(tasks: Sequence[Task], title: str, clock: StepClock) -> None:
    """Run the tasks that are not done, one after the other: each uses every core by itself."""
    for task in progress(tasks, title, "block", len(tasks)):
        if not task.is_done():
            task.run(clock)


class StoppedError(Exception):
    """Rows are waited for that will not come, or nobody wants the work any more."""


@dataclass
class ArrivingFlows:
    """Flows that are read while they are written: who asks for rows that are not there waits.

    What has arrived lies on disk, so the reader may fall behind as far as it likes: memory holds
    one region, whoever is faster.
    """

    store: FlowStore
    _arrived: threading.Condition = field(default_factory=threading.Condition)
    _stopped: bool = False
    _reader: Future[None] | None = None

    @property
    def rows_done(self) -> int:
        """See `FlowStore`."""
        return self.store.rows_done

    def append(self, rows: Rows, threshold: float) -> None:
        """Store rows and wake who waits. A reader that has failed ends the network's work too."""
        if self._reader is not None and self._reader.done():
            self._reader.result()
        self.store.append(rows, threshold)
        with self._arrived:
            self._arrived.notify_all()

    def read(self, region: Region) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """See `FlowStore`; waits for the last row of the region.

        Raises
        ------
        StoppedError : the reading was ended by `stop`
        """
        with self._arrived:
            self._arrived.wait_for(lambda: self._stopped or self.rows_done >= region[0].stop)
            if self._stopped:
                raise StoppedError
        return self.store.read(region)

    def watch(self, reader: Future[None]) -> None:
        """Let `append` raise what stops this reader."""
        self._reader = reader

    def stop(self) -> None:
        """End the reading: no more rows will come, or nobody wants it any more."""
        with self._arrived:
            self._stopped = True
            self._arrived.notify_all()


def beside(
    produce: Callable[[], None],
    flows: ArrivingFlows,
    tasks: Sequence[Task],
    clock: StepClock,
) -> None:
    """Run `produce`, which fills `flows`, and in a second thread the tasks that read them.

    For a network on an accelerator, which would wait while the processor follows flows. A task
    that needs a larger region than there is room for is left undone: it runs when the network has
    ended. An error or an interruption of either ends both, within one task. The steps of the two
    overlap, so their seconds add up to more than the wall.
    """
    own_clock = StepClock()
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as pool:
        reader = pool.submit(_run_what_fits, tasks, own_clock)
        flows.watch(reader)
        try:
            produce()
            reader.result()
        except BaseException:
            flows.stop()
            raise
    clock.take(own_clock)


def _run_what_fits(tasks: Sequence[Task], clock: StepClock) -> None:
    """The tasks in order, without a bar: that of the producer is on the screen."""
    for task in tasks:
        if not task.is_done():
            try:
                task.run(clock)
            except BudgetError as error:
                logger.info("a block waits until the network has ended: %s", error)
