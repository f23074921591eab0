"""What of a lock this host gets: the target, the interpreter and the packages of the wanted groups."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from envforge.errors import EnvforgeError, HostError, InterpreterError, UsageError
from envforge.events import Warned
from envforge.host.facts import glibc_version, host_platform
from envforge.host.interpreters import cache_file_for_host
from envforge.host.paths import find_pythons_folder
from envforge.model.conda import CondaRecord
from envforge.model.host import Interpreter
from envforge.model.lock import PROJECT_GROUP, Lock, LockedPackage, LockedTarget
from envforge.model.names import normalize_name
from envforge.struct import Struct
from envforge.workflows.chosen_variant import ChosenVariant
from envforge.workflows.host_facts import find_present_python
from envforge.workflows.variants import choose_for_host, locked_target, nothing_for

if TYPE_CHECKING:
    from envforge.manifest.manifest import Manifest
    from envforge.workflows.prefixes import CondaStock
    from envforge.workflows.project import Project
    from envforge.workflows.session import Session
    from envforge.workflows.sync_options import SyncOptions


class Selection(Struct, frozen=True, kw_only=True):
    """What an environment is made of.

    Args:
        variant: that this host gets.
        target: the lock's answer for it.
        base: the Python of this host to build on, None where it comes from conda.
        conda: the conda part, None where there is none.
        groups: names as in the lock, sorted.
        packages: what the groups reach of PyPI, sorted by id.
    """

    variant: ChosenVariant
    target: LockedTarget
    base: Interpreter | None
    conda: CondaStock | None
    groups: tuple[str, ...]
    packages: tuple[LockedPackage, ...]

    @property
    def interpreter(self) -> Interpreter:
        """The Python to build on.

        Raises:
            GenerationError: it comes from a conda prefix that is not there yet.
        """
        if self.base is not None:
            return self.base
        assert self.conda is not None
        return self.conda.interpreter

    @property
    def python_version(self) -> str:
        """Known also while the Python itself is not there."""
        if self.base is not None:
            return self.base.version
        assert self.conda is not None
        return self.conda.python_version

    @property
    def records(self) -> tuple[CondaRecord, ...]:
        """The conda part's packages."""
        return self.conda.spec.records if self.conda is not None else ()


def select(project: Project, lock: Lock, options: SyncOptions, session: Session) -> Selection:
    """Choose from a lock for this host.

    Raises:
        LockError: the lock is not for this platform.
        UsageError: a group, an extra or a variant that the manifest does not have.
        HostError: the host is older than the target assumes, or no variant is for it.
        InterpreterError: no Python here fits.
        GenerationError: the lock's conda part has no Python.
    """
    variant, target = _target_of_host(project.manifest, lock, options, session)
    groups = wanted_groups(project.manifest, options)
    packages = tuple(lock.packages[package_id] for package_id in target.package_ids(groups))
    base: Interpreter | None = None
    conda: CondaStock | None = None
    if target.conda:
        from envforge.lock.folders import with_folders_placed
        from envforge.workflows.channels import channel_folders
        from envforge.workflows.prefixes import find_stock

        folders = channel_folders(project.manifest, session.root)
        records = with_folders_placed(lock, folders).conda_records(target)
        conda = find_stock(records, target.target.platform, project.manifest, session)
    else:
        base = find_interpreter(target.target.python, project.manifest.requires_python, session)
    return Selection(variant=variant, target=target, base=base, conda=conda, groups=groups, packages=packages)


def find_interpreter(wanted: str, requires_python: str, session: Session) -> Interpreter:
    """The Python of this host for a target's Python; where none fits, a standalone build is installed.

    Raises:
        InterpreterError: none fits, and none can be installed.
    """
    try:
        return find_present_python(wanted, requires_python, session)
    except InterpreterError as none_fits:
        from envforge.host.standalone import find_standalone, install_standalone, is_available

        if session.environ.get("ENVFORGE_PYTHON") or not is_available():
            raise
        try:
            return install_standalone(
                find_standalone(wanted, requires_python, host_platform()),
                find_pythons_folder(session.environ),
                cache_file=cache_file_for_host(session.places.cache),
                offline=session.network.offline,
                environ=session.environ,
                reporter=session.reporter,
            )
        except EnvforgeError as failure:
            raise InterpreterError(
                none_fits.message,
                context=[*none_fits.context, f"a standalone build was tried: {failure.message}"],
                hints=[*(hint for hint in none_fits.hints if "extra" not in hint), *failure.hints],
            ) from failure


def find_any_interpreter(manifest: Manifest, session: Session) -> Interpreter:
    """A Python to run build backends with: the manifest's, else the newest of this host.

    Raises:
        InterpreterError: there is none at all.
    """
    if manifest.settings.python:
        with suppress(InterpreterError):
            return find_interpreter(manifest.settings.python, manifest.requires_python, session)
    return find_interpreter("", "", session)


def wanted_groups(manifest: Manifest, options: SyncOptions) -> tuple[str, ...]:
    """Names, as in the lock, of the groups that a sync with these options installs.

    Raises:
        UsageError: one of them does not exist.
    """
    default = () if options.no_dev else manifest.settings.default_groups
    groups = [normalize_name(name) for name in (*default, *options.groups)]
    extras = [normalize_name(name) for name in options.extras]
    _refuse_unknown("dependency group", groups, manifest.groups)
    _refuse_unknown("extra", extras, manifest.optional_dependencies)
    return tuple(
        sorted({PROJECT_GROUP, *(f"group:{name}" for name in groups), *(f"extra:{name}" for name in extras)})
    )


def _refuse_unknown(what: str, names: list[str], known: object) -> None:
    declared = list(known)  # type: ignore[call-overload]
    for name in names:
        if name not in declared:
            from difflib import get_close_matches

            close = get_close_matches(name, declared, 1)
            raise UsageError(
                f"the project has no {what} named {name!r}",
                hints=[
                    f"did you mean {close[0]}?" if close else f"declared: {', '.join(declared) or 'none'}"
                ],
            )


def _target_of_host(
    manifest: Manifest, lock: Lock, options: SyncOptions, session: Session
) -> tuple[ChosenVariant, LockedTarget]:
    platform = host_platform()
    if not lock.targets_on(platform):
        raise nothing_for(lock, platform)
    variant = choose_for_host(manifest, lock, options.variant, session)
    target = locked_target(lock, platform, variant.name)
    if platform.startswith("linux"):
        assumed, here = target.target.system.glibc, glibc_version()
        if here is not None and here < assumed:
            too_old = (
                f"this host has glibc {here[0]}.{here[1]}, the lock needs {assumed[0]}.{assumed[1]} or newer"
            )
            if not options.ignore_host:
                raise HostError(
                    too_old,
                    hints=[f'set tool.envforge.system.glibc = "{here[0]}.{here[1]}" and run: envforge lock'],
                )
            session.reporter.report(Warned(message=too_old, hint="packages may not work on this host"))
    return variant, target
