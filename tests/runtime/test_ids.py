"""Ids of requests: none twice, in no two processes."""

import multiprocessing

from watchkeeper.runtime.ids import new_id

IDS = 1_000


def ids() -> list[str]:
    """Make ids in this process."""
    return [new_id() for _ in range(IDS)]


def test_ids_are_unique_over_forked_workers():
    """A worker forked from another makes other ids than that one."""
    new_id()
    with multiprocessing.get_context("fork").Pool(2) as workers:
        made = [*ids(), *(one for each in workers.starmap(ids, [(), ()]) for one in each)]

    assert 3 * IDS == len(set(made))
    assert {32} == {len(one) for one in made}
