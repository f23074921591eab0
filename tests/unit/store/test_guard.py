"""One holder at a time: among threads, among processes, and when holders are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

import envforge
from envforge.errors import StoreError
from envforge.events import (
    DownloadFinished,
    DownloadProgressed,
    DownloadStarted,
    Event,
    FetchPlanned,
    SilentReporter,
    WaitingFinished,
    WaitingForOwner,
)
from envforge.store.guard import Guard, Hold, sweep_guards
from envforge.store.owner import Owner, is_dead, parse_owner, this_process
from envforge.store.progress import ProgressTeller

from .conftest import AsNobody

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(envforge.__file__).parents[1])}
ME = this_process()
SILENT = SilentReporter()


class Notes:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def report(self, event: Event) -> None:
        self.events.append(event)


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command, env=ENVIRONMENT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


HOLDER = """
import sys, time
from pathlib import Path
from envforge.store.guard import Guard
from envforge.events import SilentReporter
with Guard(Path(sys.argv[1])).hold(SilentReporter(), "x"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def held_by_process(path: Path) -> subprocess.Popen[str]:
    holder = python(HOLDER, path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def finish(holder: subprocess.Popen[str]) -> None:
    holder.communicate("\n", timeout=20)


def write_guard(path: Path, owner: object, token: str = "aa", age_s: float = 0.0) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{token} {owner}\n")
    then = time.time() - age_s
    os.utime(path, (then, then))


def dead_process() -> Owner:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return Owner(ME.host, process.pid, "1")


def taken(guard: Guard) -> bool:
    with guard.try_hold() as mine:
        return mine is not None


def test_holding_and_releasing(tmp_path: Path) -> None:
    path = tmp_path / "guards" / "a"
    with Guard(path).hold(SILENT, "a"):
        token, owner = path.read_text().split()
        assert parse_owner(owner) == ME
        assert len(token) == 16
        assert not taken(Guard(path))
    assert list(path.parent.iterdir()) == []
    assert taken(Guard(path))


def test_an_error_inside_releases(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Guard(tmp_path / "a").hold(SILENT, "a"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_threads_exclude_each_other(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(5):
            with Guard(tmp_path / "a").hold(SILENT, "a"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 30


def test_the_one_who_waits_is_told_whom_for(tmp_path: Path) -> None:
    notes = Notes()
    holder = held_by_process(tmp_path / "a")
    threading.Timer(0.2, finish, [holder]).start()
    with Guard(tmp_path / "a").hold(notes, "torch"):
        assert holder.poll() is not None or not (tmp_path / "a").read_text().split()[1].count(
            f".{holder.pid}."
        )
    event, end = notes.events
    assert isinstance(event, WaitingForOwner)
    assert event.what == "torch"
    assert f"process {holder.pid} on " in event.owner
    assert end == WaitingFinished(what="torch")
    holder.wait()


TELLER = """
import sys
from pathlib import Path
from envforge.store.guard import Guard
from envforge.events import SilentReporter
with Guard(Path(sys.argv[1])).hold(SilentReporter(), "x") as hold:
    for line in sys.stdin:
        hold.progress = line.strip()
        print("told", flush=True)
"""


def test_the_one_who_waits_sees_how_far_the_owner_is(tmp_path: Path) -> None:
    class Waiter(Notes):
        def report(self, event: Event) -> None:
            super().report(event)
            if isinstance(event, WaitingForOwner) and steps:
                assert teller.stdin is not None
                teller.stdin.write(f"{steps.pop(0)}\n")
                teller.stdin.flush()
            elif isinstance(event, WaitingForOwner):
                teller.stdin.close()

    steps = ["1.2 of 3.1 GB", "unpacking, then " + "ö" * 100]
    teller = python(TELLER, tmp_path / "a")
    end = time.monotonic() + 10
    while not (tmp_path / "a").exists() and time.monotonic() < end:
        time.sleep(0.01)
    notes = Waiter()
    with Guard(tmp_path / "a").hold(notes, "torch"):
        pass
    heard = [event.progress for event in notes.events if isinstance(event, WaitingForOwner)]
    assert heard[:2] == ["", "1.2 of 3.1 GB"]
    assert heard[2].startswith("unpacking, then öööö")
    assert isinstance(notes.events[-1], WaitingFinished)
    teller.wait()
    assert teller.stdout is not None
    teller.stdout.close()


def test_progress_is_summed_up() -> None:
    hold = Hold()
    notes = Notes()
    teller = ProgressTeller(notes, hold, None)
    events = [
        DownloadStarted("a.whl", 3_100_000_000),
        DownloadProgressed("a.whl", 1_000_000_000),
        DownloadProgressed("a.whl", 200_000_000),
    ]
    for event in events:
        teller.report(event)
    assert (notes.events, hold.progress) == (events, "1.2 of 3.1 GB")
    teller.report(DownloadFinished("a.whl"))
    assert hold.progress == "unpacking"
    teller.report(DownloadStarted("b.whl", None))
    teller.report(DownloadProgressed("b.whl", 2_500_000))
    assert hold.progress == "2.5 MB"
    teller = ProgressTeller(notes, hold)
    for event in (FetchPlanned(2, 8_000_000), DownloadStarted("a", 4_000_000), DownloadFinished("a")):
        teller.report(event)
    teller.report(DownloadStarted("b", 4_000_000))
    teller.report(DownloadProgressed("b", 4_000_000))
    assert hold.progress == "4.0 of 8.0 MB"


def test_waiting_can_be_stopped(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) > 3:
            raise StopError

    with Guard(tmp_path / "a").hold(SILENT, "a"):
        with pytest.raises(StopError), Guard(tmp_path / "a").hold(SILENT, "a", check):
            pass
        assert (tmp_path / "a").exists()


def test_a_killed_owner_is_taken_over_at_once(tmp_path: Path) -> None:
    holder = held_by_process(tmp_path / "a")
    assert not taken(Guard(tmp_path / "a"))
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    before = time.monotonic()
    with Guard(tmp_path / "a").hold(SILENT, "a"):
        assert time.monotonic() - before < 2
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_owner_on_this_host_is_not_dead(tmp_path: Path) -> None:
    holder = held_by_process(tmp_path / "a")
    holder.send_signal(signal.SIGSTOP)
    os.utime(tmp_path / "a", (0, 0))
    assert not taken(Guard(tmp_path / "a"))
    holder.send_signal(signal.SIGCONT)
    finish(holder)
    assert taken(Guard(tmp_path / "a"))


@pytest.mark.parametrize(
    ("owner", "age_s", "free"),
    [
        (Owner(ME.host, ME.pid, ME.start), 1000, False),  # we are alive, however silent
        (Owner(ME.host, ME.pid, "1"), 0, True),  # the id was used again
        (Owner("far-00000000", 1, "1"), 50, False),  # another host, heard of lately
        (Owner("far-00000000", 1, "1"), 70, True),  # another host, silent
        ("", 3, False),  # being written
        ("", 10, True),  # killed before it could write
        ("rubbish", 10, True),
    ],
)
def test_who_counts_as_dead(tmp_path: Path, owner: object, age_s: float, free: bool) -> None:
    write_guard(tmp_path / "a", owner, age_s=age_s)
    assert taken(Guard(tmp_path / "a")) is free


def test_a_guard_that_a_member_of_the_group_is_about_to_open(tmp_path: Path, as_nobody: AsNobody) -> None:
    """Between making it and letting the group read it; or killed there."""
    if os.getuid() != 0:
        pytest.skip("needs root, whom others cannot read")
    code = """if 1:
        import sys
        from pathlib import Path
        from envforge.errors import StoreError
        from envforge.store.guard import Guard
        try:
            with Guard(Path(sys.argv[1]) / "a").try_hold() as mine:
                print(mine is not None)
        except StoreError as error:
            print(error.message)
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for bits, age_s, said in (
            (0o2777, 0, "False"),
            (0o2777, 10, "True"),
            (0o777, 10, "cannot take a guard: permission denied"),
        ):
            folder.chmod(bits)
            write_guard(folder / "a", ME, age_s=age_s)
            (folder / "a").chmod(0o600)
            assert as_nobody(code, folder).stdout.strip() == said


def test_the_clock_of_the_file_system_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node whose own clock is an hour ahead does not think everybody dead."""
    write_guard(tmp_path / "a", "far-00000000.1.1", age_s=5)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600)
    assert not taken(Guard(tmp_path / "a"))


def test_the_heartbeat(tmp_path: Path) -> None:
    with Guard(tmp_path / "a", heartbeat_s=0.02).hold(SILENT, "a"):
        os.utime(tmp_path / "a", (0, 0))
        end = time.monotonic() + 5
        while (tmp_path / "a").stat().st_mtime == 0 and time.monotonic() < end:
            time.sleep(0.01)
        assert (tmp_path / "a").stat().st_mtime > 0


def test_who_was_taken_over_leaves_the_new_guard_alone(tmp_path: Path) -> None:
    path = tmp_path / "a"
    # one who was heard of lately, and one who was silent for long enough to be thought dead
    for heartbeat_s, stale_s, held_s in ((0.01, 60.0, 0.05), (10.0, 0.2, 0.15)):
        with Guard(path, heartbeat_s=heartbeat_s, stale_s=stale_s).hold(SILENT, "a"):
            write_guard(path, "far-00000000.1.1", token="bb", age_s=1000)
            time.sleep(held_s)
        assert path.read_text() == "bb far-00000000.1.1\n"
        assert path.stat().st_mtime < time.time() - 900
        path.unlink()


def test_a_taker_that_was_killed_on_the_way_is_taken_over_too(tmp_path: Path) -> None:
    write_guard(tmp_path / "a", dead_process(), token="aa")
    write_guard(tmp_path / "a.aa", dead_process(), token="bb")
    write_guard(tmp_path / "a.aa.bb", dead_process(), token="cc")
    assert taken(Guard(tmp_path / "a"))
    assert list(tmp_path.iterdir()) == []


def test_a_living_taker_is_let_be(tmp_path: Path) -> None:
    write_guard(tmp_path / "a", dead_process(), token="aa")
    with Guard(tmp_path / "a.aa").hold(SILENT, "taking over"):
        assert not taken(Guard(tmp_path / "a"))
    assert taken(Guard(tmp_path / "a"))


CONTENDER = """
import os, sys, time
from pathlib import Path
from envforge.store.guard import Guard
from envforge.events import SilentReporter
folder = Path(sys.argv[1])
with Guard(folder / "guards" / "a").hold(SilentReporter(), "x"):
    handle = os.open(folder / "inside", os.O_CREAT | os.O_EXCL | os.O_WRONLY)  # fails if two are in
    os.close(handle)
    time.sleep(0.002)
    if sys.argv[2] == "die":
        os.unlink(folder / "inside")
        os.kill(os.getpid(), 9)
    with open(folder / "log", "a") as log:
        log.write(f"{os.getpid()}\\n")
    os.unlink(folder / "inside")
"""


def test_thirty_processes_some_of_which_die_inside(tmp_path: Path) -> None:
    """All wait for a guard whose owner is killed; a third of them are killed while they hold it."""
    holder = held_by_process(tmp_path / "guards" / "a")
    contenders = [python(CONTENDER, tmp_path, "die" if number % 3 == 0 else "live") for number in range(30)]
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    codes = sorted(contender.wait(60) for contender in contenders)
    for contender in contenders:
        contender.communicate()
    assert codes == [-9] * 10 + [0] * 20
    assert len((tmp_path / "log").read_text().split()) == 20
    assert sweep_guards(tmp_path / "guards") <= 1  # of the last to be killed
    assert list((tmp_path / "guards").iterdir()) == []


def test_two_takers_cannot_both_win(tmp_path: Path) -> None:
    """Many threads see the same dead owner at the same moment, again and again."""
    for round_number in range(20):
        path = tmp_path / str(round_number)
        write_guard(path, "far-00000000.1.1", age_s=1000)
        barrier = threading.Barrier(8)
        inside: list[int] = []
        seen: list[int] = []

        def take(path: Path, barrier: threading.Barrier, inside: list[int], seen: list[int]) -> None:
            barrier.wait()
            with Guard(path).try_hold() as mine:
                if mine:
                    inside.append(1)
                    time.sleep(0.02)
                    seen.append(len(inside))
                    inside.pop()

        threads = [threading.Thread(target=take, args=(path, barrier, inside, seen)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(seen) == {1}


def test_sweep_removes_the_guards_of_the_dead_only(tmp_path: Path) -> None:
    write_guard(tmp_path / "dead", dead_process())
    write_guard(tmp_path / "far", "far-00000000.1.1", age_s=5)
    (tmp_path / "old.new").write_text("")
    os.utime(tmp_path / "old.new", (0, 0))
    with Guard(tmp_path / "mine").hold(SILENT, "mine"):
        assert sweep_guards(tmp_path) == 1
        assert sorted(path.name for path in tmp_path.iterdir()) == ["far", "mine"]
    assert sweep_guards(tmp_path / "nothing") == 0


def test_what_killed_takers_left_beside_guards_is_swept(tmp_path: Path) -> None:
    dead = Owner(ME.host, ME.pid, "1")
    elsewhere = Owner("another-host", 1, "1")
    left = {f"{owner}.{what}" for owner in (dead, ME, elsewhere) for what in ("tree.guard.aa.new", "7.clock")}
    for name in left:
        (tmp_path / name).touch()  # empty: the taker was killed before it wrote
    sweep_guards(tmp_path)
    assert {place.name for place in tmp_path.iterdir()} == {
        name for name in left if not name.startswith(f"{dead}.")
    }
    for place in tmp_path.iterdir():
        os.utime(place, (0, 0))
    sweep_guards(tmp_path)
    assert {place.name for place in tmp_path.iterdir()} == {name for name in left if str(ME) in name}


def test_a_guard_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match="cannot guard torch"),
        Guard(tmp_path / "file" / "a").hold(SILENT, "torch"),
    ):
        pass


def test_owners_are_told_apart() -> None:
    assert parse_owner(str(ME)) == ME
    assert "." not in ME.host
    assert is_dead(ME) is False
    assert is_dead(Owner(ME.host, ME.pid, "1")) is True
    assert is_dead(dead_process()) is True
    assert is_dead(Owner("far-00000000", ME.pid, ME.start)) is None
    assert is_dead(Owner(ME.host, ME.pid, "")) is None
    for text in ("", "a.b", "a.b.c", "a.1.2.3"):
        assert parse_owner(text) is None


def test_a_forked_process_is_another_owner() -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, str(this_process()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    owner = parse_owner(os.read(read, 1000).decode())
    os.close(read)
    os.close(write)
    assert owner is not None
    assert owner.pid == child
    assert owner.host == ME.host


def test_a_zombie_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True)
    start = Path(f"/proc/{process.pid}/stat")
    if not start.exists():
        process.communicate("\n")
        pytest.skip("needs /proc")
    owner = Owner(ME.host, process.pid, start.read_text().rpartition(")")[2].split()[19])
    assert is_dead(owner) is False
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.close()
    end = time.monotonic() + 10
    while not is_dead(owner) and time.monotonic() < end:
        time.sleep(0.01)
    assert is_dead(owner) is True  # gone, though nobody has waited for it yet
    process.wait()
