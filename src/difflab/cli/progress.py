"""How much of a run is done and how long the rest takes."""

import time
from collections.abc import Callable, Iterable, Mapping
from graphlib import TopologicalSorter

_PRIOR = 60.0  # seconds as expected, beside what was seen: the first short stages alone say little of this machine


class Progress:
    """How much is done and how long the rest takes: one line at the beginning, one when each stage ends.

    Args:
        needs: which stages each waits for.
        seconds: how long each is expected to take; what the stages done so far took corrects the rest.
        took: how long a stage's last run took, by its address.
    """

    def __init__(
        self,
        needs: Mapping[str, list[str]],
        seconds: Mapping[str, float],
        jobs: int,
        took: Callable[[str], float | None] = lambda stage: None,
    ) -> None:
        self.started: dict[str, float] = {}
        self._needs, self._seconds, self._jobs, self._left, self._took = needs, seconds, jobs, set(needs), took
        self._expected = self._seen = _PRIOR
        print(f"{count_stages(len(needs))} to run, {jobs} at once, {self._remaining()}", flush=True)

    def ended(self, stage: str, outcome: str) -> None:
        self._left.discard(stage)
        if (seen := self._took(stage)) is not None:
            self._expected, self._seen = self._expected + self._seconds[stage], self._seen + seen
        count = f"{len(self._needs) - len(self._left)} of {count_stages(len(self._needs))}"
        print(f"{count}: {stage} {outcome}, {self._remaining()}", flush=True)

    def _remaining(self) -> str:
        now, slower = time.monotonic(), self._seen / self._expected
        own = {s: max(0.0, slower * self._seconds[s] - (now - self.started.get(s, now))) for s in self._left}
        needs = {stage: [n for n in self._needs[stage] if n in own] for stage in own}
        seconds = max(*remaining_seconds(needs, own).values(), sum(own.values()) / self._jobs, 0.0)
        return f"about {seconds / 60:.0f} minutes left" if seconds >= 90 else f"about {seconds:.0f} seconds left"


def count_stages(count: int) -> str:
    return f"{count} stage" if count == 1 else f"{count} stages"


def remaining_seconds(needs: Mapping[str, Iterable[str]], seconds: Mapping[str, float]) -> dict[str, float]:
    """For each stage the time from its start to the end of the study, if nothing had to wait."""
    remaining: dict[str, float] = {}
    for stage in reversed(list(TopologicalSorter(needs).static_order())):
        after = [remaining[later] for later, before in needs.items() if stage in before]
        remaining[stage] = seconds[stage] + max(after, default=0)
    return remaining
