"""What was measured and chosen on a host, remembered in the cache folder: one small JSON file for each host.

A home is shared by hosts, so the host's name is in the file's name. A choice holds for one setting of the
variables that name storage, until its folder is gone or full, its file system is another one, the host was
booted or a week has passed. Finding one again imports little and costs less than a millisecond. A file that
is damaged, missing or cannot be written costs measuring again and nothing else.

One process of a host measures while others wait for what it finds (:meth:`StorageMemory.claim`).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from envforge.host.batch import JOB_VARIABLES
from envforge.host.memory_file import write_memory
from envforge.host.own_folder import make_own_folder

LIFETIME_S = 7 * 24 * 3600.0
FULL_BYTES = 1_000_000_000
FULL_INODES = 6_000
_FORMAT = 1
_CLAIM_S = 10.0
"""A probe has a deadline of a second or two; what is older was left by a process that was killed."""
_POLL_S = 0.02
_CHOICES_KEPT = 16
_HOSTS_KEPT_S = 90 * 24 * 3600.0
_VARIABLES = (
    *("HOME", "JOBFS", "LOCAL_SCRATCH", "PBS_JOBFS", "SCRATCH", "SLURM_TMPDIR", "TMPDIR", "WORK"),
    "XDG_CACHE_HOME",
)


class ChosenTier(NamedTuple):
    """A choice as it is remembered.

    Args:
        folder: of the tier's place; "" where nothing can be used.
        archives_folder: of the place for archives.
        keeps_archives: whether they stay there.
        is_guarded, archives_guarded: the folder is in a place for everybody, where what has its name may be
            somebody else's. Not so the cache folder.
    """

    folder: str
    archives_folder: str
    keeps_archives: bool
    is_guarded: bool
    archives_guarded: bool


def choice_key(environ: Mapping[str, str], cache: Path, project: Path | None) -> dict[str, str]:
    """What a choice depends on, beside the host: variables, user, cache folder, the project's file system."""
    key = {name: environ[name] for name in _VARIABLES if environ.get(name)}
    key["job"] = next((name for name in JOB_VARIABLES if environ.get(name)), "")
    key["user"] = str(os.geteuid()) if sys.platform != "win32" else ""
    key["cache"] = str(cache)
    device = _device(str(project)) if project is not None else 0
    key["project"] = str(device) if device and device != _device_above(str(cache)) else ""
    return key


def find_remembered(environ: Mapping[str, str], cache: Path, project: Path | None) -> ChosenTier | None:
    """The choice that still holds, its folders being there and ours; None where one has to be made.

    Args:
        environ: the process environment.
        cache: the cache root.
        project: the project's folder, if it is known.
    """
    found = StorageMemory(cache, time.time()).find_choice(choice_key(environ, cache, project))
    return found if found is not None and fault_of_folders(found) is None else None


def fault_of_folders(chosen: ChosenTier) -> tuple[str, str] | None:
    """Make our folders in places for everybody; the first that cannot be made, and why."""
    for folder, guarded in (
        (chosen.folder, chosen.is_guarded),
        (chosen.archives_folder, chosen.archives_guarded),
    ):
        if guarded and (reason := make_own_folder(folder)):
            return folder, reason
    return None


def on_one_file_system(one: Path, other: Path) -> bool:
    """Whether two paths, or the nearest folders above them that exist, are on the same file system."""
    return _device_above(str(one)) == _device_above(str(other))


def mount_key(device: str, file_system: str, source: str, point: str) -> str:
    """The name of a mount, for what is remembered of it. Not its number: an automounter gives new ones."""
    return f"{device} {file_system} {source} {point}"


class StorageMemory:
    """The file of this host.

    Args:
        cache: the cache root.
        now_s: seconds since the epoch.
    """

    def __init__(self, cache: Path, now_s: float) -> None:
        node = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
        self._file = cache / "storage" / f"{node.replace('/', '_') or 'host'}.json"
        self._now_s = now_s
        self._content: dict[str, Any] = {}
        self._version_read = 0, 0
        self.read()

    def read(self) -> None:
        """Read the file again."""
        self._version_read = _version(self._file)
        empty: dict[str, Any] = {"format": _FORMAT, "boot": _boot(), "facts": {}, "choices": [], "named": {}}
        try:
            content = json.loads(self._file.read_bytes())
            usable = content["format"] == _FORMAT and isinstance(content["facts"], dict)
            choices = [_checked(choice) for choice in content["choices"]]
            # This is true whatever was booted since.
            named = dict(content["named"])
        except (OSError, ValueError, KeyError, TypeError):
            usable, choices, content, named = False, [], {}, {}
        if not usable:
            self._content = empty
        elif content.get("boot") != empty["boot"]:
            # Devices have other numbers now. What was chosen before is preferred, but looked at anew.
            self._content = {
                **empty,
                "choices": [{**choice, "at": 0.0} for choice in choices],
                "named": named,
            }
        else:
            self._content = {**empty, "facts": content["facts"], "choices": choices, "named": named}

    # Choices

    def find_choice(self, key: Mapping[str, str]) -> ChosenTier | None:
        """The remembered choice for a key, if it still holds."""
        for choice in self._content["choices"]:
            if choice["key"] == key and self._is_young(choice["at"], LIFETIME_S) and _holds(choice):
                return ChosenTier(*(choice[name] for name in ChosenTier._fields))
        return None

    def previous_folder(self, key: Mapping[str, str]) -> str:
        """The folder that was last chosen under a key, though it may not hold any more; "" if none was."""
        return next((choice["folder"] for choice in self._content["choices"] if choice["key"] == key), "")

    def remember_choice(self, key: Mapping[str, str], chosen: ChosenTier, base: str) -> None:
        """Remember a choice. ``base``: a folder that exists, on the tier's file system."""
        others = [choice for choice in self._content["choices"] if choice["key"] != key]
        new = {
            **chosen._asdict(),
            "key": dict(key),
            "at": self._now_s,
            "base": base,
            "device": _device(base),
        }
        self._content["choices"] = [new, *others[: _CHOICES_KEPT - 1]]

    def mount_of_named(self, tier: str) -> str:
        """Where the file system was mounted that a tier named by the user was on; "" if it is not known."""
        point = self._content["named"].get(tier, "")
        return point if isinstance(point, str) else ""

    def remember_named(self, tier: str, point: str) -> None:
        self._content["named"] = {
            **{name: known for name, known in self._content["named"].items() if known and name != tier},
            **({tier: point} if point else {}),
        }

    # Measurements

    def find_fact(self, kind: str, mount: str, lifetime_s: float = LIFETIME_S) -> Any:
        """What is remembered of a mount: a JSON value, None if it is too old or was never asked.

        Args:
            kind: ``probe`` or ``quota``.
            mount: names the mount.
            lifetime_s: older facts do not count.
        """
        entry = self._content["facts"].get(f"{kind} {mount}")
        with suppress(TypeError, KeyError, ValueError):
            if self._is_young(float(entry["at"]), lifetime_s):
                return entry["fact"]
        return None

    def remember_fact(self, kind: str, mount: str, fact: Any) -> None:
        self._content["facts"][f"{kind} {mount}"] = {"at": self._now_s, "fact": fact}

    def save(self) -> None:
        """Write the file, and remove those of hosts that are long gone. Failure is silent: it is a cache."""
        facts = self._content["facts"]
        for name in list(facts):
            if self.find_fact(*name.split(" ", 1)) is None:
                del facts[name]
        if not write_memory(self._file, self._content):
            return
        with suppress(OSError):
            for old in self._file.parent.iterdir():
                if self._now_s - old.stat().st_mtime > _HOSTS_KEPT_S:
                    old.unlink(missing_ok=True)

    def _is_young(self, at_s: float, lifetime_s: float) -> bool:
        """Whoever measured while we waited may have started after us: no clock was set back then."""
        return -_CLAIM_S < self._now_s - at_s < lifetime_s

    # One at a time

    @contextmanager
    def claim(self, probe_folders: Sequence[str]) -> Iterator[bool]:
        """Be the one who measures on this host, after sweeping what a killed one left.

        Args:
            probe_folders: what will be made for the probes, written down before it is.

        Yields:
            Whether nobody else has measured meanwhile: if False, the file has been read again.
        """
        place = self._file.with_suffix(".probing")
        content = json.dumps({"at": self._now_s, "pid": os.getpid(), "folders": list(probe_folders)})
        while not _make_claim(place, content.encode()):
            if not _is_left_behind(place):
                time.sleep(_POLL_S)
            elif not _sweep_claim(place):
                break  # it cannot be removed: it would be waited for by everybody, for ever
        try:
            # Who measured may have been done before we asked for the claim: the file tells, not the waiting.
            is_first = _version(self._file) == self._version_read
            if not is_first:
                self.read()
            yield is_first
        finally:
            with suppress(OSError):
                place.unlink()


def _version(file: Path) -> tuple[int, int]:
    """What changes when the file is replaced; zeros where there is none."""
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns


def _make_claim(place: Path, content: bytes) -> bool:
    """False if another process has it. Where nothing can be written, everybody has it."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    except OSError:
        return True
    with suppress(OSError):
        os.write(descriptor, content)
    os.close(descriptor)
    return True


def _is_left_behind(place: Path) -> bool:
    """Whether who made a claim is gone, or too long at it by the clock of this host, which is his too."""
    try:
        content = place.read_bytes()
        if not content:  # being written, or left so
            return abs(time.time() - place.stat().st_mtime) > _CLAIM_S
        claim = json.loads(content)
        return abs(time.time() - float(claim["at"])) > _CLAIM_S or _is_gone(int(claim["pid"]))
    except FileNotFoundError:
        return False
    except (OSError, ValueError, TypeError, KeyError):
        return True


def _is_gone(pid: int) -> bool:
    """A process of another container may have the same host name: then two measure, which harms nothing."""
    if sys.platform == "win32":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _sweep_claim(place: Path) -> bool:
    """Remove the probes of a killed process, then its claim; whether that could be removed."""
    from envforge.host.storage_probe import FOLDER_START, sweep_probe

    with suppress(OSError, ValueError, TypeError, KeyError):
        for folder in json.loads(place.read_bytes())["folders"]:
            if os.path.basename(folder).startswith(FOLDER_START):
                sweep_probe(folder)
    try:
        place.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _holds(choice: Mapping[str, Any]) -> bool:
    """Whether the folder of a choice is where it was, on the same file system, with some room left."""
    try:
        if _device(choice["base"]) != choice["device"]:
            return False
        room = os.statvfs(choice["base"])
    except OSError:
        return False
    has_inodes = not room.f_files or room.f_favail >= FULL_INODES
    return has_inodes and room.f_bavail * room.f_frsize >= FULL_BYTES


def _checked(choice: Any) -> dict[str, Any]:
    """A choice whose parts are what they should be: a damaged one must not surface later."""
    texts = ("folder", "archives_folder", "base")
    if not all(isinstance(choice[name], str) for name in texts) or not isinstance(choice["key"], dict):
        raise TypeError
    return {
        **{name: choice[name] for name in texts},
        "key": choice["key"],
        **{name: bool(choice[name]) for name in ("keeps_archives", "is_guarded", "archives_guarded")},
        "at": float(choice["at"]),
        "device": int(choice["device"]),
    }


def _device(path: str) -> int:
    """The number of a folder's file system; 0 where there is none."""
    try:
        return os.stat(path).st_dev
    except OSError:
        return 0


def _device_above(path: str) -> int:
    """The same of the nearest folder that exists."""
    while not (device := _device(path)) and path != (parent := os.path.dirname(path)):
        path = parent
    return device


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            return file.read().strip().decode()
    except OSError:
        return ""
