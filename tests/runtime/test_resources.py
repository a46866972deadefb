"""Figures of the process and its host, and the memory limits of control groups."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from watchkeeper.core.metrics import Scope
from watchkeeper.core.slot import Gauge
from watchkeeper.runtime.cgroup import cpu_set, cpu_use, memory_use
from watchkeeper.runtime.recorder import Recorder
from watchkeeper.runtime.reporter import Reporter
from watchkeeper.runtime.resources import Resources

MIB = 1024 * 1024
TOTAL = 1024 * MIB
NOW = 1_700_000_000.0


def taken(recorder: Recorder) -> dict[str, float]:
    """Return the last value of each gauge, by name."""
    values = {}
    for series, value in recorder.take().items():
        if isinstance(value, Gauge):
            values[series.metric] = value.last
    return values


Make = Callable[..., tuple[Recorder, Resources]]


class Watched:
    """The figures of this process, as a deployment of its own that shares nothing with others."""

    def __init__(self, folder: Path, root: Path, **more: Any) -> None:
        self.recorder = Recorder(Scope(service="shop", environment="test"))
        more = {"host": "web-1", "worker": lambda: "3", "root": root, **more}
        reporter = Reporter(folder / "hosts.lock")
        self.resources = Resources(self.recorder, reporter=reporter, **more)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make what watches this process, and leave it as it was in the end."""
    made: list[Watched] = []

    def watched(root: Path = Path("/"), **more: Any) -> tuple[Recorder, Resources]:
        made.append(Watched(tmp_path, root, **more))
        return made[-1].recorder, made[-1].resources

    yield watched
    for one in made:
        one.resources.close()


def share(root: Path) -> float | None:
    """Return how full the memory of the fullest group is."""
    use = memory_use(root, total_bytes=TOTAL)
    return use.share if use is not None else None


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def member(root: Path, lines: str) -> None:
    group(root / "proc/self", cgroup=lines)


def test_every_figure_is_of_this_process_and_host(make: Make):
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


def test_figures_carry_host_and_worker(make: Make):
    """Figures of a process say which one it is, those of a host only the host."""
    recorder, resources = make()
    resources.sample(NOW)

    labels = {series.metric: series for series in recorder.take()}

    process, host = labels["process_threads"], labels["host_memory_utilization_ratio"]
    assert ("web-1", "3") == (process.label("host"), process.label("worker"))
    assert ("web-1", "") == (host.label("host"), host.label("worker"))


def test_what_a_platform_does_not_tell_has_no_series(monkeypatch: pytest.MonkeyPatch, make: Make):
    """A missing figure is missing, never zero, and the others are there."""

    def refused(self: psutil.Process) -> int:
        raise psutil.AccessDenied

    monkeypatch.setattr("watchkeeper.runtime.process_figures.OWN_DESCRIPTORS", "/nowhere")
    monkeypatch.delattr(psutil.Process, "num_fds")
    monkeypatch.setattr(psutil.Process, "memory_info", refused)
    recorder, resources = make()
    resources.sample(NOW)

    values = taken(recorder)

    assert "process_open_file_descriptors" not in values
    assert "process_memory_usage_bytes" not in values
    assert "process_threads" in values


def test_a_clock_set_back_gives_no_figure_of_cpu(make: Make):
    """No negative and no endless share after the clock was moved."""
    recorder, resources = make()
    resources.sample(NOW)
    resources.sample(NOW - 3_600)
    moved = taken(recorder)
    resources.sample(NOW - 3_590)

    assert "process_cpu_utilization_ratio" not in moved
    assert "process_cpu_utilization_ratio" in taken(recorder)


def in_a_child(act: Callable[[], Any]) -> Any:
    """Return what a function returns in a forked child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(act()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        told = answer.read()
    os.waitpid(child, 0)
    return json.loads(told)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_after_a_fork_the_child_looks_at_itself(make: Make):
    """The child's figures are the child's, at once, and the host's are still the parent's."""
    recorder, resources = make(every_s=10.0)
    resources.sample(NOW)
    recorder.take()
    held = [bytes(1_000) for _ in range(1_000)]  # so that the child has a memory of its own

    def look() -> dict[str, float]:
        resources.sample(NOW + 1)
        return {**taken(recorder), "pid": os.getpid()}

    found = in_a_child(look)

    assert held
    assert os.getpid() != found["pid"]
    assert "process_cpu_utilization_ratio" not in found
    assert 0 < found["process_memory_usage_bytes"]
    assert not [name for name in found if name.startswith("host_")]


def test_a_worker_without_a_number_has_no_figures_yet(make: Make):
    """Workers that are not registered yet are not taken for one; the host has figures already."""
    recorder, resources = make(worker=lambda: "")
    resources.sample(NOW)

    found = {series.metric: series for series in recorder.take()}
    assert "host_memory_utilization_ratio" in found
    assert not [name for name in found if name.startswith(("process_", "cpython_"))]


def test_memory_is_measured_against_the_limit_of_the_group(tmp_path: Path, make: Make):
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

    assert 0.6 == share(tmp_path)


def test_a_path_of_outside_the_container_leads_to_the_mount(tmp_path: Path):
    """A container that sees only its own part of the tree still finds its limit."""
    member(tmp_path, "4:memory:/docker/abc")
    group(
        tmp_path / "sys/fs/cgroup/memory",
        memory__limit_in_bytes=str(100 * MIB),
        memory__usage_in_bytes=str(25 * MIB),
    )

    assert 0.25 == share(tmp_path)


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

    assert 0.75 == share(tmp_path)


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

    assert memory_use(tmp_path, total_bytes=TOTAL) is None


def test_a_machine_without_control_groups_has_no_share(tmp_path: Path):
    """Where there is nothing to read, nothing is made up."""
    assert memory_use(tmp_path, total_bytes=TOTAL) is None


def test_a_path_that_climbs_is_not_followed(tmp_path: Path):
    """A path with .. leads no further than the mount."""
    member(tmp_path, "0::/../../outside")
    group(tmp_path / "sys/outside", memory__max="100", memory__current="90")

    assert memory_use(tmp_path, total_bytes=TOTAL) is None


def cpu_group_2(root: Path, *, used_us: int, quota: str = "200000 100000") -> None:
    group(root / "sys/fs/cgroup", cpu__max=quota, cpu__stat=f"usage_usec {used_us}\nuser_usec 1")


def test_cpu_is_measured_against_the_quota_of_the_group(tmp_path: Path, make: Make):
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
def test_cpu_is_measured_on_the_cores_of_the_group(tmp_path: Path, make: Make):
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


def test_the_tightest_quota_of_nested_groups_counts(tmp_path: Path, make: Make):
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
def test_a_group_that_began_anew_gives_no_figure(tmp_path: Path, used_us: int, make: Make):
    """No share from a counter that went back, nor from a clock that did."""
    member(tmp_path, "0::/")
    recorder, resources = make(tmp_path, cores=64)
    cpu_group_2(tmp_path, used_us=2_000_000)
    resources.sample(NOW)
    cpu_group_2(tmp_path, used_us=used_us)

    resources.sample(NOW + (10 if used_us < 2_000_000 else -10))

    assert "host_cpu_utilization_ratio" not in taken(recorder)


def test_descriptors_are_measured_against_their_limit(make: Make):
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


def test_disks_carry_host_and_mount(tmp_path: Path, make: Make):
    """The file system of each folder is told, and when it is full once that is known."""
    recorder, resources = make(folders=lambda: [tmp_path])
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


def every_figure(recorder: Recorder) -> dict[tuple[str, str], Any]:
    """Return each value by its metric and what tells it from others of that metric."""
    return {
        (
            series.metric,
            "".join(series.label(name) for name in ("type", "direction", "generation")),
        ): value
        for series, value in recorder.take().items()
    }


def test_what_the_kernel_counts_for_the_process(make: Make):
    """Context switches and page faults between two looks, and how long the process runs."""
    recorder, resources = make()
    now = time.time()
    resources.sample(now)
    first = every_figure(recorder)
    for _ in range(5):
        time.sleep(0.001)
    touched = bytearray(40 * MIB)

    resources.sample(now + 10)

    found = every_figure(recorder)
    assert ("process_context_switches_total", "voluntary") not in first
    assert found["process_context_switches_total", "voluntary"] >= 5
    assert found["process_context_switches_total", "involuntary"] >= 0
    assert found["process_paging_faults_total", "minor"] > 0
    assert found["process_paging_faults_total", "major"] >= 0
    uptime = now + 10 - psutil.Process().create_time()
    assert uptime == pytest.approx(found["process_uptime_seconds", ""].last, abs=2)
    assert len(touched)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="no such figure here")
def test_memory_of_the_process_alone_is_read_once_a_minute(make: Make):
    """What is the process' own is less than what is resident; it is not read at every look."""
    recorder, resources = make()
    resources.sample(NOW)
    first = taken(recorder)
    resources.sample(NOW + 30)
    second = taken(recorder)
    resources.sample(NOW + 61 + 600)

    assert 0 < first["process_memory_unique_bytes"] <= first["process_memory_usage_bytes"]
    assert "process_memory_unique_bytes" not in second
    assert "process_memory_unique_bytes" in taken(recorder)


def test_what_is_dear_to_read_is_read_seldom(tmp_path: Path, make: Make):
    """Of a large process the unique memory is not looked at each minute, nor between."""
    rollup = tmp_path / "proc/self/smaps_rollup"
    rollup.parent.mkdir(parents=True)
    rollup.write_text("Private_Dirty: 1 kB\n" + "Rss: 1 kB\n" * 1_000_000)
    recorder, resources = make(tmp_path)

    read = []
    for later_s in (0, 10, 61, 70, 130, 100_000):
        resources.sample(NOW + later_s)
        read.append("process_memory_unique_bytes" in taken(recorder))

    assert [True, False, False, False, False, True] == read


def test_use_is_told_as_a_share_of_the_limits(tmp_path: Path, make: Make):
    """A process' memory as a share of the group's limit, its CPU of the group's quota."""
    member(tmp_path, "0::/")
    limit = 2 * psutil.Process().memory_info().rss
    group(tmp_path / "sys/fs/cgroup", memory__max=str(limit), memory__current="1")
    group(tmp_path / "sys/fs/cgroup", cpu__max="50000 100000", cpu__stat="usage_usec 0")
    recorder, resources = make(tmp_path, cores=64)
    resources.sample(NOW)
    recorder.take()
    _ = sum(number * number for number in range(300_000))

    resources.sample(NOW + 10)

    found = taken(recorder)
    cores = found["process_cpu_utilization_ratio"]
    assert 0.5 == pytest.approx(found["process_memory_limit_utilization_ratio"], rel=0.2)
    assert min(1.0, 2 * cores) == pytest.approx(found["process_cpu_limit_utilization_ratio"])
    assert limit == found["host_memory_limit_bytes"]
    assert 1 == found["host_memory_usage_bytes"]


def test_without_a_limit_there_is_no_share_of_one(tmp_path: Path, make: Make):
    """The machine's memory is no limit of the process; its cores are what it may use."""
    recorder, resources = make(tmp_path, cores=64)
    resources.sample(NOW)
    resources.sample(NOW + 10)

    found = taken(recorder)
    assert "process_memory_limit_utilization_ratio" not in found
    assert "process_cpu_limit_utilization_ratio" in found
    assert psutil.virtual_memory().total == found["host_memory_limit_bytes"]


def test_the_machine_is_told_by_load_and_network(make: Make):
    """Load at once, what was sent and received once there are two looks."""
    recorder, resources = make()
    resources.sample(NOW)
    first = every_figure(recorder)
    resources.sample(NOW + 10)

    found = every_figure(recorder)
    assert first["host_load_average_1m", ""].last >= 0
    assert ("host_network_io_bytes_total", "in") not in first
    if any(not name.startswith("lo") for name in psutil.net_io_counters(pernic=True)):
        assert found["host_network_io_bytes_total", "in"] >= 0
        assert found["host_network_errors_total", "out"] >= 0


def test_a_machine_without_swap_has_no_share_of_it(make: Make):
    """No swap is no figure; with some, it is a share."""
    recorder, resources = make()
    resources.sample(NOW)

    assert bool(psutil.swap_memory().total) is ("host_swap_utilization_ratio" in taken(recorder))


def test_the_trend_of_memory_is_known_after_an_hour(make: Make):
    """Until then nothing is predicted."""
    recorder, resources = make()
    resources.sample(NOW)
    first = taken(recorder)
    resources.sample(NOW + 3_600)

    assert "host_memory_full_in_seconds" not in first
    assert 0 <= taken(recorder)["host_memory_full_in_seconds"] <= 30 * 86_400


def test_a_sample_is_good_for_a_while(make: Make):
    """Flushes that come quickly, while there is trouble, look at nothing again."""
    recorder, resources = make(every_s=10.0)
    resources.sample(NOW)
    recorder.take()
    resources.sample(NOW + 1)
    quick = recorder.take()
    resources.sample(NOW + 9)

    assert {} == quick
    assert "process_threads" in taken(recorder)


def test_the_oldest_request_has_an_age(make: Make):
    """It is that of the one which began first, whichever ended meanwhile; 0 without any."""
    recorder, resources = make()
    resources.sample(NOW)
    none = taken(recorder)["http_server_oldest_request_age_seconds"]
    begun = time.perf_counter()
    recorder.active |= {begun - 5, begun - 60, begun}
    recorder.active.discard(begun - 60)
    resources.sample(NOW + 1)

    assert 0 == none
    assert 5 == pytest.approx(taken(recorder)["http_server_oldest_request_age_seconds"], abs=2)


def test_descriptors_are_counted(make: Make):
    """However the platform tells their number: ten more that are open are ten more."""
    recorder, resources = make()
    resources.sample(NOW)
    before = taken(recorder)["process_open_file_descriptors"]

    with ExitStack() as opened:
        for _ in range(10):
            opened.enter_context(open(os.devnull))
        resources.sample(NOW + 10)
        after = taken(recorder)["process_open_file_descriptors"]

    assert 10 <= after - before < 20  # the first look may open a file of its own
