"""Figures of the process and its host, and the memory limits of control groups."""

import os
from pathlib import Path

import psutil
import pytest

from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import Gauge
from watchkeeper.runtime.cgroup import cpu_set, cpu_use, memory_share
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.resources import Resources

MIB = 1024 * 1024
TOTAL = 1024 * MIB
NOW = 1_700_000_000.0


def taken(recorder: Recorder) -> dict[str, float]:
    """Return the last value of each gauge, by name."""
    values = {}
    for series, value in recorder.take().items():
        assert isinstance(value, Gauge)
        values[series.metric] = value.last
    return values


def make(root: Path = Path("/"), *, cores: int | None = None) -> tuple[Recorder, Resources]:
    recorder = Recorder(Scope(service="shop", environment="test"))
    resources = Resources(recorder, host="web-1", worker=lambda: "3", root=root, cores=cores)
    return recorder, resources


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def member(root: Path, lines: str) -> None:
    group(root / "proc/self", cgroup=lines)


def test_every_figure_is_of_this_process_and_host():
    """What is recorded agrees with what the system says."""
    recorder, resources = make()
    resources.sample(NOW)
    first = taken(recorder)
    _ = sum(number * number for number in range(300_000))
    resources.sample(NOW + 10)
    second = taken(recorder)

    process = psutil.Process()
    assert "process_cpu_utilization_ratio" not in first
    assert "host_cpu_utilization_ratio" not in first
    assert 0 < second["process_cpu_utilization_ratio"] < 64
    assert 0 <= second["host_cpu_utilization_ratio"] <= 1
    assert 0 < second["host_memory_utilization_ratio"] <= 1
    rss = process.memory_info().rss
    assert rss == pytest.approx(second["process_memory_usage_bytes"], rel=0.5)
    assert process.num_threads() == pytest.approx(second["process_threads"], abs=5)
    assert 0 < second["process_open_file_descriptors"] < 10_000


def test_figures_carry_host_and_worker():
    """Figures of a process say which one it is, those of a host only the host."""
    recorder, resources = make()
    resources.sample(NOW)

    labels = {series.metric: series for series in recorder.take()}

    process, host = labels["process_threads"], labels["host_memory_utilization_ratio"]
    assert ("web-1", "3") == (process.label("host"), process.label("worker"))
    assert ("web-1", "") == (host.label("host"), host.label("worker"))


def test_what_a_platform_does_not_tell_has_no_series(monkeypatch: pytest.MonkeyPatch):
    """A missing figure is missing, never zero, and the others are there."""

    def refused(self: psutil.Process) -> int:
        raise psutil.AccessDenied

    monkeypatch.delattr(psutil.Process, "num_fds")
    monkeypatch.setattr(psutil.Process, "memory_info", refused)
    recorder, resources = make()
    resources.sample(NOW)

    values = taken(recorder)

    assert "process_open_file_descriptors" not in values
    assert "process_memory_usage_bytes" not in values
    assert "process_threads" in values


def test_a_clock_set_back_gives_no_figure_of_cpu():
    """No negative and no endless share after the clock was moved."""
    recorder, resources = make()
    resources.sample(NOW)
    resources.sample(NOW - 3_600)
    moved = taken(recorder)
    resources.sample(NOW - 3_590)

    assert "process_cpu_utilization_ratio" not in moved
    assert "process_cpu_utilization_ratio" in taken(recorder)


def test_after_a_fork_the_child_looks_at_itself():
    """The child's figures are the child's."""
    recorder, resources = make()
    resources.sample(NOW)
    recorder.take()

    resources._process = psutil.Process(os.getppid())  # as a child finds it
    resources.sample(NOW + 1)

    assert os.getpid() == resources._process.pid
    assert "process_cpu_utilization_ratio" not in taken(recorder)


def test_a_worker_without_a_number_has_no_figures_yet():
    """Workers that are not registered yet are not taken for one; the host has figures already."""
    recorder = Recorder(Scope(service="shop", environment="test"))
    Resources(recorder, host="web-1", worker=lambda: "").sample(NOW)

    assert {"host_memory_utilization_ratio"} == set(taken(recorder))


def test_memory_is_measured_against_the_limit_of_the_group(tmp_path: Path):
    """In a container the share is that of the container, not of the machine."""
    member(tmp_path, "0::/")
    group(
        tmp_path / "sys/fs/cgroup",
        memory__max=str(200 * MIB),
        memory__current=str(150 * MIB),
        memory__stat=f"anon {90 * MIB}\ninactive_file {50 * MIB}\nactive_file 1",
    )
    recorder, resources = make(tmp_path)

    resources.sample(NOW)

    assert 0.5 == taken(recorder)["host_memory_utilization_ratio"]


def test_a_group_of_version_1(tmp_path: Path):
    """The older version of control groups is read as well."""
    member(tmp_path, "9:name=systemd:/\n4:cpu,memory:/docker/abc\n0::/")
    group(
        tmp_path / "sys/fs/cgroup/memory/docker/abc",
        memory__limit_in_bytes=str(100 * MIB),
        memory__usage_in_bytes=str(80 * MIB),
        memory__stat=f"inactive_file 5\ntotal_inactive_file {20 * MIB}",
    )

    assert 0.6 == memory_share(tmp_path, total_bytes=TOTAL)


def test_a_path_of_outside_the_container_leads_to_the_mount(tmp_path: Path):
    """A container that sees only its own part of the tree still finds its limit."""
    member(tmp_path, "4:memory:/docker/abc")
    group(
        tmp_path / "sys/fs/cgroup/memory",
        memory__limit_in_bytes=str(100 * MIB),
        memory__usage_in_bytes=str(25 * MIB),
    )

    assert 0.25 == memory_share(tmp_path, total_bytes=TOTAL)


def test_the_tightest_of_nested_groups_counts(tmp_path: Path):
    """A limit further up kills as surely as one's own."""
    member(tmp_path, "0::/pods/web/app")
    base = tmp_path / "sys/fs/cgroup"
    group(
        base / "pods/web/app",
        memory__max=str(400 * MIB),
        memory__current=str(100 * MIB),
    )
    group(base / "pods/web", memory__max=str(200 * MIB), memory__current=str(150 * MIB))
    group(base / "pods", memory__max="max", memory__current=str(900 * MIB))

    assert 0.75 == memory_share(tmp_path, total_bytes=TOTAL)


@pytest.mark.parametrize(
    ("limit", "used"),
    [
        ("max", "1"),
        ("9223372036854771712", "1"),
        (str(TOTAL), "1"),
        ("0", "0"),
        ("nonsense", "1"),
        ("100", "nonsense"),
        ("", ""),
    ],
)
def test_no_limit_is_no_share(tmp_path: Path, limit: str, used: str):
    """Without a limit below the machine's memory, the machine's memory is what counts."""
    member(tmp_path, "0::/")
    group(tmp_path / "sys/fs/cgroup", memory__max=limit, memory__current=used)

    assert memory_share(tmp_path, total_bytes=TOTAL) is None


def test_a_machine_without_control_groups_has_no_share(tmp_path: Path):
    """Where there is nothing to read, nothing is made up."""
    assert memory_share(tmp_path, total_bytes=TOTAL) is None


def test_a_path_that_climbs_is_not_followed(tmp_path: Path):
    """A path with .. leads no further than the mount."""
    member(tmp_path, "0::/../../outside")
    group(tmp_path / "sys/outside", memory__max="100", memory__current="90")

    assert memory_share(tmp_path, total_bytes=TOTAL) is None


def cpu_group_2(root: Path, *, used_us: int, quota: str = "200000 100000") -> None:
    group(root / "sys/fs/cgroup", cpu__max=quota, cpu__stat=f"usage_usec {used_us}\nuser_usec 1")


def test_cpu_is_measured_against_the_quota_of_the_group(tmp_path: Path):
    """15 s of CPU in 10 s are 75 % of a quota of two cores; the first look has no share."""
    member(tmp_path, "0::/")
    recorder, resources = make(tmp_path, cores=64)
    cpu_group_2(tmp_path, used_us=5_000_000)
    resources.sample(NOW)
    first = taken(recorder)
    cpu_group_2(tmp_path, used_us=20_000_000)

    resources.sample(NOW + 10)

    assert "host_cpu_utilization_ratio" not in first
    assert 0.75 == taken(recorder)["host_cpu_utilization_ratio"]


@pytest.mark.parametrize(
    ("lines", "folder", "name", "text", "expected"),
    [
        ("0::/shop", "", "cpuset__cpus__effective", "0-1,5", {0, 1, 5}),
        ("0::/shop", "shop", "cpuset__cpus__effective", "3", {3}),
        ("4:cpuset:/shop", "cpuset", "cpuset__effective_cpus", "2-3", {2, 3}),
        ("0::/shop", "", "cpuset__cpus__effective", "0-7", None),
        ("0::/shop", "", "cpuset__cpus__effective", "0-9", None),
        ("0::/shop", "", "cpuset__cpus__effective", "0,x", None),
        ("0::/shop", "", "other", "0", None),
    ],
)
def test_the_cores_of_a_group_are_known(
    tmp_path: Path, lines: str, folder: str, name: str, text: str, expected: set[int] | None
):
    """The smallest set around this process, in either version; all cores are no limit."""
    member(tmp_path, lines)
    group(tmp_path / "sys/fs/cgroup" / folder, **{name: text})

    assert expected == cpu_set(tmp_path, cores=8)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core")
def test_cpu_is_measured_on_the_cores_of_the_group(tmp_path: Path):
    """A group that keeps its only core busy is at its end, however many others are idle."""
    member(tmp_path, "0::/")
    group(tmp_path / "sys/fs/cgroup", cpuset__cpus__effective="1")
    recorder, resources = make(tmp_path, cores=os.cpu_count())
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {1})
    try:
        resources.sample(NOW)
        recorder.take()
        until = os.times().user + 0.6
        while os.times().user < until:
            pass
        resources.sample(NOW + 1)
    finally:
        os.sched_setaffinity(0, before)

    assert taken(recorder)["host_cpu_utilization_ratio"] > 0.85


def test_a_quota_of_version_1(tmp_path: Path):
    """The older version keeps quota and use in two places."""
    member(tmp_path, "4:cpu,cpuacct:/docker/abc")
    group(
        tmp_path / "sys/fs/cgroup/cpu/docker/abc",
        cpu__cfs_quota_us="50000",
        cpu__cfs_period_us="100000",
    )
    group(tmp_path / "sys/fs/cgroup/cpuacct/docker/abc", cpuacct__usage="3000000000")

    (use,) = cpu_use(tmp_path, cores=4).values()

    assert (3.0, 0.5) == (use.used_s, use.cores)


def test_the_tightest_quota_of_nested_groups_counts(tmp_path: Path):
    """What is throttled further up is throttled here."""
    member(tmp_path, "0::/web")
    recorder, resources = make(tmp_path, cores=64)
    for used_us in (0, 9_000_000):
        group(tmp_path / "sys/fs/cgroup/web", cpu__max="400000 100000")
        group(tmp_path / "sys/fs/cgroup/web", cpu__stat=f"usage_usec {used_us // 9}")
        cpu_group_2(tmp_path, used_us=used_us, quota="100000 100000")
        resources.sample(NOW + used_us / 900_000)

    assert 0.9 == taken(recorder)["host_cpu_utilization_ratio"]


@pytest.mark.parametrize(
    "quota", ["max 100000", "6400000 100000", "0 100000", "1 0", "nonsense", "", "100000"]
)
def test_no_quota_leaves_the_cores_of_the_machine(tmp_path: Path, quota: str):
    """Without a quota below all cores, all cores are what counts."""
    member(tmp_path, "0::/")
    cpu_group_2(tmp_path, used_us=1, quota=quota)

    assert {} == cpu_use(tmp_path, cores=64)


def test_a_quota_without_a_figure_of_use_is_left_out(tmp_path: Path):
    """Half of a figure is none."""
    member(tmp_path, "0::/")
    group(tmp_path / "sys/fs/cgroup", cpu__max="100000 100000", cpu__stat="nr_periods 7")

    assert {} == cpu_use(tmp_path, cores=64)


@pytest.mark.parametrize("used_us", [1_000, 5_000_000])
def test_a_group_that_began_anew_gives_no_figure(tmp_path: Path, used_us: int):
    """No share from a counter that went back, nor from a clock that did."""
    member(tmp_path, "0::/")
    recorder, resources = make(tmp_path, cores=64)
    cpu_group_2(tmp_path, used_us=2_000_000)
    resources.sample(NOW)
    cpu_group_2(tmp_path, used_us=used_us)

    resources.sample(NOW + (10 if used_us < 2_000_000 else -10))

    assert "host_cpu_utilization_ratio" not in taken(recorder)


def test_descriptors_are_measured_against_their_limit():
    """The share is of the soft limit, which is where opening fails."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    recorder, resources = make()
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
    try:
        resources.sample(NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    values = taken(recorder)
    share = values["process_file_descriptor_utilization_ratio"]
    assert values["process_open_file_descriptors"] / 400 == pytest.approx(share)


def test_disks_carry_host_and_mount(tmp_path: Path):
    """The file system of each folder is told, and when it is full once that is known."""
    recorder = Recorder(Scope(service="shop", environment="test"))
    resources = Resources(recorder, host="web-1", worker=lambda: "3", folders=lambda: [tmp_path])
    resources.sample(NOW)
    first = {series.metric for series in recorder.take()}
    resources.sample(NOW + 3_600)

    values = {series.metric: (series, value) for series, value in recorder.take().items()}

    assert "host_disk_utilization_ratio" in first
    assert "host_disk_full_in_seconds" not in first
    series, share = values["host_disk_utilization_ratio"]
    assert "web-1" == series.label("host")
    assert os.path.ismount(series.label("mount"))
    assert 0 < share.last <= 1
    assert 0 <= values["host_disk_full_in_seconds"][1].last <= 30 * 86_400
