"""Every call of the store × every fault: whatever happens, the run ends as if nothing had.

The matrix is generated from the calls of an undisturbed run. On SQLite it is whole, but for pairs; on a store with a
server, whose cases are slower and more, it is sampled. `CRASH_MATRIX=full` runs all single faults on all stores.
"""

import os
from collections.abc import Callable

import pytest

from tests.crash.controller import Lane
from tests.crash.matrix import Tally, run_matrix
from tests.crash.stores import STORES
from tests.crash.subject import names, subject

FULL = os.environ.get("CRASH_MATRIX") == "full"
# (single faults, pairs) of each job; None: all.
SIZES: dict[str, tuple[int | None, int]] = {"sqlite": (None, 20)}
SAMPLED: tuple[int | None, int] = (8, 2)

CASES = [(store, name) for store in STORES for name in names() if store == "sqlite" or not subject(name).by_hand]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("store", "name"), CASES)
def test_no_crash_point_loses_or_repeats_anything(
    store: str, name: str, lanes_of: Callable[[str], list[Lane]], report: Callable[[Tally], None]
) -> None:
    singles, pairs = SIZES.get(store, SAMPLED)
    tally = run_matrix(store, name, lanes_of(store), singles=None if FULL else singles, pairs=pairs)
    report(tally)
    print(f"{tally.calls} calls, {tally.singles} single faults, {tally.pairs} pairs")
    worst = "\n".join(map(str, tally.faulty[:3]))
    assert not tally.faulty, f"{len(tally.faulty)} of {tally.cases} cases went wrong:\n{worst}"
