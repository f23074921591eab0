"""Where builds happen, and what of the lock they are given. Nothing is built here, and little imported."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from envforge.errors import BuildError
from envforge.struct import Struct

if TYPE_CHECKING:
    from envforge.manifest.manifest import Manifest
    from envforge.model.host import Interpreter
    from envforge.model.lock import Lock, LockedFile, LockedPackage, LockedTarget
    from envforge.store.store import Store
    from envforge.workflows.session import Session


class Locked(Struct, frozen=True):
    """What is locked for the target that is built for."""

    lock: Lock
    target: LockedTarget

    def find(self, name: str) -> LockedPackage | None:
        """A project, None where it does not come from PyPI here."""
        packages = map(self.lock.packages.__getitem__, self.target.package_ids(self.target.groups))
        return next((package for package in packages if package.name == name), None)

    def find_file(self, name: str) -> tuple[LockedPackage, LockedFile] | None:
        """A project and its file, None where it has none: it comes from a folder or from conda, or not."""
        package = self.find(name)
        if package is None or not package.has_files:
            return None
        return package, package.file_for(self.target.id)

    def conda_brings(self, name: str) -> bool:
        """Whether a project comes from conda."""
        return any(name in record.pypi_names for record in self.lock.conda_records(self.target))


class Workshop(Struct, frozen=True, kw_only=True):
    """Where builds happen.

    Args:
        manifest: its indexes serve the build requirements.
        interpreter: the Python to build with and for.
        store: where trees go.
        session: places, network, reporter.
        locked: for builds that need what is locked, None while there is no lock.
        building: names of what is being built, from the outside to the inside.
    """

    manifest: Manifest
    interpreter: Interpreter
    store: Store
    session: Session
    locked: Locked | None = None
    building: tuple[str, ...] = ()


def runtime_files(names: Iterable[str], workshop: Workshop) -> dict[str, tuple[LockedPackage, LockedFile]]:
    """What of some projects is locked: name → package and file.

    Raises:
        BuildError: one of them comes from conda, or from a folder.
    """
    locked = workshop.locked
    if locked is None:
        return {}
    found: dict[str, tuple[LockedPackage, LockedFile]] = {}
    for name in names:
        entry = locked.find_file(name)
        if entry is not None:
            found[name] = entry
            continue
        package = locked.find(name)
        if package is not None or locked.conda_brings(name):
            place = f"from {package.place}" if package is not None else "from conda"
            raise BuildError(
                f"a build needs {name}, which comes {place}",
                context=["only packages from PyPI can be in the environment of a build"],
                hints=[f"take {name} from PyPI, or take it out of tool.envforge.build: with"],
            )
    return found
