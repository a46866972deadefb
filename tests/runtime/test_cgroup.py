"""The limits of control groups, read from made trees: every layout that systems mount."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.runtime.cgroup import MemoryUse, cpu_set, cpu_use, membership, memory_use

MIB = 1024 * 1024
TOTAL = 8 * 1024 * MIB
CORES = 8
MEMBERSHIP = "proc/self/cgroup"


def make(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Make a tree: text by path, below `sys/fs/cgroup` where it does not begin with `proc`."""
    for name, content in files.items():
        path = root / name if name.startswith("proc") else root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else f"{content}\n".encode())


def found(root: Path) -> tuple[float | None, list[tuple[float, float]], set[int]]:
    """Read a tree: share of memory, (seconds, cores) of each quota, the cores."""
    memory = memory_use(root, total_bytes=TOTAL)
    quotas = [(use.used_s, use.cores) for use in cpu_use(root, cores=CORES).values()]
    return memory.share if memory else None, quotas, set(cpu_set(root, cores=CORES) or ())


DOCKER_V1 = "".join(
    f"{number}:{names}:/docker/0a1b\n"
    for number, names in ((11, "cpuset"), (7, "cpu,cpuacct"), (4, "memory"), (1, "name=systemd"))
)
TREES = {
    "version 2, at the root of a namespace": {
        MEMBERSHIP: "0::/",
        "cgroup.controllers": "cpuset cpu io memory pids",
        "memory.max": str(100 * MIB),
        "memory.current": str(60 * MIB),
        "memory.stat": f"anon 1\ninactive_file {10 * MIB}",
        "cpu.max": "200000 100000",
        "cpu.stat": "usage_usec 3000000\nuser_usec 1",
        "cpuset.cpus.effective": "0-1",
    },
    "version 2, a systemd service in a slice": {
        MEMBERSHIP: "0::/system.slice/shop.service",
        "cgroup.controllers": "cpuset cpu io memory pids",
        "cpuset.cpus.effective": "0-7",
        "system.slice/memory.max": "max",
        "system.slice/memory.current": str(4_000 * MIB),
        "system.slice/cpu.max": "max 100000",
        "system.slice/shop.service/memory.max": str(100 * MIB),
        "system.slice/shop.service/memory.current": str(60 * MIB),
        "system.slice/shop.service/memory.stat": f"inactive_file {10 * MIB}",
        "system.slice/shop.service/cpu.max": "200000 100000",
        "system.slice/shop.service/cpu.stat": "usage_usec 3000000",
        "system.slice/shop.service/cpuset.cpus.effective": "0-1",
    },
    "version 2, a pod whose limits are two levels up": {
        MEMBERSHIP: "0::/kubepods.slice/kubepods-pod1.slice/cri-1.scope",
        "kubepods.slice/kubepods-pod1.slice/memory.max": str(100 * MIB),
        "kubepods.slice/kubepods-pod1.slice/memory.current": str(50 * MIB),
        "kubepods.slice/kubepods-pod1.slice/cpu.max": "200000 100000",
        "kubepods.slice/kubepods-pod1.slice/cpu.stat": "usage_usec 3000000",
        "kubepods.slice/kubepods-pod1.slice/cri-1.scope/memory.max": "max",
        "kubepods.slice/kubepods-pod1.slice/cri-1.scope/memory.current": str(50 * MIB),
        "kubepods.slice/kubepods-pod1.slice/cri-1.scope/cpuset.cpus.effective": "0,1",
    },
    "version 1, as docker shows it to its host": {
        MEMBERSHIP: DOCKER_V1,
        "memory/docker/0a1b/memory.limit_in_bytes": str(100 * MIB),
        "memory/docker/0a1b/memory.usage_in_bytes": str(60 * MIB),
        "memory/docker/0a1b/memory.stat": f"inactive_file 1\ntotal_inactive_file {10 * MIB}",
        "cpu/docker/0a1b/cpu.cfs_quota_us": "200000",
        "cpu/docker/0a1b/cpu.cfs_period_us": "100000",
        "cpu/docker/0a1b/cpuacct.usage": "3000000000",
        "cpuset/docker/0a1b/cpuset.effective_cpus": "0-1",
    },
    "version 1, as docker shows it to the container": {
        MEMBERSHIP: DOCKER_V1,
        "memory/memory.limit_in_bytes": str(100 * MIB),
        "memory/memory.usage_in_bytes": str(60 * MIB),
        "memory/memory.stat": f"total_inactive_file {10 * MIB}",
        "cpu,cpuacct/cpu.cfs_quota_us": "200000",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/cpuacct.usage": "3000000000",
        "cpuset/cpuset.effective_cpus": "0-1",
    },
    "version 1, with the CPU counted elsewhere": {
        MEMBERSHIP: "5:memory:/a\n3:cpuset:/a\n2:cpuacct:/a\n1:cpu:/a\n",
        "memory/a/memory.limit_in_bytes": str(100 * MIB),
        "memory/a/memory.usage_in_bytes": str(50 * MIB),
        "cpu/a/cpu.cfs_quota_us": "200000",
        "cpu/a/cpu.cfs_period_us": "100000",
        "cpuacct/a/cpuacct.usage": "3000000000",
        "cpuset/a/cpuset.effective_cpus": "0-1",
    },
    "hybrid, controllers in version 1": {
        MEMBERSHIP: f"{DOCKER_V1}0::/docker/0a1b",
        "unified/cgroup.controllers": "",
        "unified/docker/0a1b/cgroup.procs": "1",
        "memory/docker/0a1b/memory.limit_in_bytes": str(100 * MIB),
        "memory/docker/0a1b/memory.usage_in_bytes": str(50 * MIB),
        "cpu,cpuacct/docker/0a1b/cpu.cfs_quota_us": "200000",
        "cpu,cpuacct/docker/0a1b/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/docker/0a1b/cpuacct.usage": "3000000000",
        "cpuset/docker/0a1b/cpuset.effective_cpus": "0-1",
    },
    "hybrid, one controller in version 2": {
        MEMBERSHIP: "7:cpu,cpuacct:/a\n6:cpuset:/\n0::/a",
        "unified/cgroup.controllers": "memory",
        "unified/a/memory.max": str(100 * MIB),
        "unified/a/memory.current": str(50 * MIB),
        "cpu,cpuacct/a/cpu.cfs_quota_us": "200000",
        "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/a/cpuacct.usage": "3000000000",
        "cpuset/cpuset.effective_cpus": "0-1",
    },
}


@pytest.mark.parametrize("name", TREES)
def test_the_same_limits_are_found_however_they_are_mounted(tmp_path: Path, name: str):
    """Half of the memory in use, 3 s of CPU used under a quota of two cores, which are 0 and 1."""
    make(tmp_path, TREES[name])

    assert (0.5, [(3.0, 2.0)], {0, 1}) == found(tmp_path)


def test_the_fullest_group_tells_its_own_bytes(tmp_path: Path):
    """Used and limit are of one group, not the largest of each."""
    make(
        tmp_path,
        {
            MEMBERSHIP: "0::/a",
            "memory.max": str(1_000 * MIB),
            "memory.current": str(400 * MIB),
            "a/memory.max": str(100 * MIB),
            "a/memory.current": str(90 * MIB),
        },
    )

    assert MemoryUse(used=90 * MIB, limit=100 * MIB) == memory_use(tmp_path, total_bytes=TOTAL)


def test_more_than_the_limit_is_full(tmp_path: Path):
    """A limit that was lowered below what is in use is a share of 1."""
    make(tmp_path, {MEMBERSHIP: "0::/", "memory.max": "100", "memory.current": "900"})

    assert 1.0 == found(tmp_path)[0]


NOTHING: dict[str, dict[str, str | bytes]] = {
    "no /proc": {"memory.max": "100", "memory.current": "90"},
    "no /sys/fs/cgroup": {MEMBERSHIP: "0::/shop"},
    "unlimited": {
        MEMBERSHIP: "0::/",
        "memory.max": "max",
        "memory.current": "5",
        "cpu.max": "max 100000",
        "cpu.stat": "usage_usec 5",
        "cpuset.cpus.effective": "0-7",
    },
    "unlimited in version 1": {
        MEMBERSHIP: "3:cpu:/\n2:cpuset:/\n1:memory:/",
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/memory.usage_in_bytes": "5",
        "cpu/cpu.cfs_quota_us": "-1",
        "cpu/cpu.cfs_period_us": "100000",
        "cpu/cpuacct.usage": "5",
        "cpuset/cpuset.effective_cpus": "0-7",
    },
    "a limit without its use": {
        MEMBERSHIP: "0::/",
        "memory.max": "100",
        "cpu.max": "100000 100000",
        "cpuset.cpus.effective": "",
    },
    "bytes that are no text": {
        MEMBERSHIP: "0::/",
        "memory.max": b"\xff\xfe\x00",
        "memory.current": b"\x80",
        "cpu.max": b"\xc3\x28 100000",
        "cpuset.cpus.effective": b"\x00\x01",
    },
    "a membership that is no text": {MEMBERSHIP: b"\xff\xff:memory:\xff", "memory.max": "100"},
    "a path with a NUL in it": {MEMBERSHIP: b"0::/a\x00b\n", "other": ""},
    "a path that climbs": {MEMBERSHIP: "0::/../../../etc", "other": ""},
    "a path longer than any can be": {MEMBERSHIP: f"0::/{'a' * 5_000}/b", "other": ""},
    "numbers longer than any can be": {
        MEMBERSHIP: "0::/",
        "memory.max": "9" * 5_000,
        "memory.current": "1",
        "cpu.max": f"{'9' * 400} {'9' * 5_000}",
        "cpu.stat": f"usage_usec {'9' * 5_000}",
        "cpuset.cpus.effective": f"0-{'9' * 5_000}",
    },
    "digits of other scripts": {
        MEMBERSHIP: "0::/",
        "memory.max": "١٠٠",
        "memory.current": "1",
        "cpuset.cpus.effective": "²",
    },
    "cores that the machine has not": {MEMBERSHIP: "0::/", "cpuset.cpus.effective": "4-9"},
    "cores backwards": {MEMBERSHIP: "0::/", "cpuset.cpus.effective": "5-2"},
    "half a line": {MEMBERSHIP: "0", "memory.max": "100", "memory.current": "90"},
    "colons alone": {MEMBERSHIP: ":::::\n::\n0:\n", "memory.max": "x"},
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_is_missing_or_nonsense_is_no_figure(tmp_path: Path, name: str):
    """Nothing raises, and nothing is made up."""
    make(tmp_path, NOTHING[name])

    assert (None, [], set()) == found(tmp_path)


def test_a_folder_or_a_pipe_in_the_place_of_a_file_is_no_figure(tmp_path: Path):
    """Neither raises, and the second holds nobody up."""
    make(tmp_path, {MEMBERSHIP: "0::/", "cpu.max/x": ""})
    os.mkfifo(tmp_path / "sys/fs/cgroup/memory.max")

    assert (None, [], set()) == found(tmp_path)


def test_a_file_without_an_end_is_not_read_to_it(tmp_path: Path):
    """What is read of one file is bounded."""
    make(tmp_path, {MEMBERSHIP: "0::/" + "\n" * 1_000_000 + "4:memory:/late"})
    make(tmp_path, {"memory/late/memory.limit_in_bytes": "100"})
    make(tmp_path, {"memory/late/memory.usage_in_bytes": "90"})

    assert len(membership(tmp_path)) <= 65_536
    assert (None, [], set()) == found(tmp_path)


@settings(deadline=None)
@given(lines=st.binary(max_size=200), limit=st.binary(max_size=40), used=st.binary(max_size=40))
def test_whatever_is_in_the_files_nothing_raises(
    tmp_path_factory: pytest.TempPathFactory, lines: bytes, limit: bytes, used: bytes
):
    """A share is between 0 and 1, or there is none."""
    root = tmp_path_factory.mktemp("tree")
    make(root, {MEMBERSHIP: lines + b"\n0::/\n", "memory.max": limit, "memory.current": used})
    make(root, {"cpu.max": limit, "cpu.stat": used, "cpuset.cpus.effective": limit})

    share, quotas, cores = found(root)
    assert share is None or 0 <= share <= 1
    assert all(0 < allowed < CORES for _, allowed in quotas)
    assert cores <= set(range(CORES))


def test_this_machine_is_read_without_a_complaint():
    """Whatever the machine is that this runs on."""
    share, quotas, cores = found(Path("/"))

    assert share is None or 0 <= share <= 1
    assert all(allowed > 0 for _, allowed in quotas)
    assert cores <= set(range(CORES))
