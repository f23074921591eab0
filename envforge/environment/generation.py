"""Generations: environments that are built aside, complete or absent, and never changed afterwards.

A sync that has nothing to do only reads one: what builds is imported when something is built (10 ms).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from envforge import __version__
from envforge.environment.spec import FORMAT, PREFIX_MARKER, GenerationSpec, parse_spec, spec_fields
from envforge.errors import GenerationError, InterpreterError
from envforge.events import Reporter, Warned
from envforge.hashing import sha256
from envforge.plan.link_plan import MARKER, LinkPlan
from envforge.struct import Struct, field

if TYPE_CHECKING:
    from envforge.environment.conda_activation import CondaActivation
    from envforge.environment.contents import PythonName

KEEP = 5
"""How many of a project's newest stay, for ``rollback``."""
_ASIDE = ".tmp-"
_STALE_S = 24 * 3600


class Generation(Struct, frozen=True):
    """A complete environment.

    Args:
        path: its folder; the name is the spec's digest.
        spec: what determined it.
        files: path → sha256 of every file that was written into it (not linked).
    """

    path: Path
    spec: GenerationSpec
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_lost_prefix(self) -> bool:
        """Whether it stands on a conda prefix that is gone, or that is only half there."""
        prefix = self.spec.prefix
        return prefix is not None and not Path(prefix.path, PREFIX_MARKER).is_file()

    @property
    def digest(self) -> str:
        return self.path.name

    @property
    def scripts(self) -> Path:
        """``bin``."""
        return self.path / self.spec.layout.scripts

    @property
    def python(self) -> Path:
        return self.scripts / ("python.exe" if self.spec.layout.windows else "python")

    @property
    def site_packages(self) -> Path:
        return self.path / self.spec.layout.site_packages


def create_generation(
    spec: GenerationSpec,
    plan: LinkPlan,
    tier_root: Path,
    environments_dir: Path,
    reporter: Reporter,
) -> Generation:
    """Make a generation, or find it made; its use is noted.

    Args:
        spec: what determines it.
        plan: the links of its trees, for ``spec.layout``.
        tier_root: where ``trees/`` and ``bundles/`` stand, absolute.
        environments_dir: the project's folder of generations, absolute; made if it is not there.
        reporter: hears when links had to become copies.

    Returns:
        The generation; nothing points to it yet.

    Raises:
        InterpreterError: the interpreter is not there.
        ArchiveError: a distribution brings a script that cannot be meant.
        GenerationError: the place's name cannot be used in scripts.
        StoreError: no room, no right, a tree that is not there. Nothing is left behind.
    """
    from envforge.link.failures import link_failures
    from envforge.store.sealing import remove_sealed
    from envforge.store.sharing import is_shared, make_folders, share_all

    final = environments_dir / spec.digest
    found = read_generation(final)
    if found is not None and note_generation(found):
        return found
    _check_interpreter(spec)
    with link_failures(environments_dir, "build the environment"):
        make_folders(environments_dir)
        sweep_unfinished(environments_dir)
        aside = environments_dir / aside_name()
        try:
            made = _build(spec, plan, tier_root, aside, final, reporter)
            if is_shared(environments_dir):
                share_all(aside)
            return _move_in(aside, made)
        finally:
            with suppress(OSError):  # what is left is swept when this process is gone
                remove_sealed(aside)


def read_generation(path: Path) -> Generation | None:
    """The complete generation in a folder.

    None if there is none, if it is not one that this envforge knows, or if its conda prefix is gone.
    """
    recorded = read_recorded_generation(path)
    return None if recorded is None or recorded.has_lost_prefix else recorded


def note_generation(generation: Generation) -> bool:
    """Note that a generation is going to be used; False if it was taken away meanwhile."""
    from envforge.store.uses import note_use

    return note_use(f"{generation.path}/{MARKER}")


def read_recorded_generation(path: Path) -> Generation | None:
    """What a generation says of itself, even if what it stands on is gone."""
    try:
        with open(f"{path}/{MARKER}", "rb") as marker:
            fields = json.loads(marker.read())
        spec = parse_spec(fields["spec"])
        files = dict(fields["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Generation(path, spec, files) if spec.digest == path.name else None


def is_whole(generation: Generation) -> bool:
    """Whether nothing was taken from a generation, as far as a few files tell.

    ``.gitignore`` is one that nobody reads: a purge by age takes it among the first.
    """
    looked_at = (generation.path / "pyvenv.cfg", generation.path / ".gitignore", generation.python)
    return all(os.access(place, os.F_OK) for place in looked_at)


def list_generations(environments_dir: Path) -> list[Path]:
    """The complete generations of a project, in no order; none where the folder is not there."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return [place for place in environments_dir.iterdir() if is_generation(place)]
    return []


def is_generation(path: Path) -> bool:
    """Whether some envforge made this folder."""
    return os.access(path / MARKER, os.F_OK)  # Path.exists raises where a mount is gone


def aside_name() -> str:
    """A name for what this process is making or removing: it is swept when the process is gone."""
    from envforge.store.owner import this_process

    return f"{_ASIDE}{this_process()}.{os.urandom(6).hex()}"


def sweep_unfinished(environments_dir: Path) -> int:
    """Remove what killed processes left; returns how many folders went.

    Those of other hosts go when they are a day old.
    """
    from envforge.store.owner import is_dead, parse_owner
    from envforge.store.sealing import remove_sealed

    removed = 0
    for place in [place for place in environments_dir.iterdir() if place.name.startswith(_ASIDE)]:
        owner = parse_owner(place.name.removeprefix(_ASIDE).rpartition(".")[0])
        dead = is_dead(owner) if owner is not None else None
        if dead is None:
            with suppress(FileNotFoundError):
                dead = time.time() - place.stat().st_mtime > _STALE_S
        if dead:
            with suppress(OSError):  # another user's
                removed += remove_sealed(place)
    return removed


def _check_interpreter(spec: GenerationSpec) -> None:
    executable = spec.interpreter.executable
    if not os.access(executable, os.X_OK):
        raise InterpreterError(
            f"Python {spec.interpreter.version} is not there any more",
            context=[f"path: {executable}"],
            hints=["run the command again: another interpreter is looked for"],
        )


def _build(
    spec: GenerationSpec,
    plan: LinkPlan,
    tier_root: Path,
    aside: Path,
    final: Path,
    reporter: Reporter,
) -> Generation:
    """Write everything, the marker last; the generation as it will be in its final place."""
    from envforge.environment.contents import plan_python, planned_files
    from envforge.link.apply import apply_link_plan
    from envforge.link.scripts import write_scripts

    layout = spec.layout
    python = str(Generation(final, spec).python)
    files = planned_files(spec, powershell=_read_powershell(spec), conda=_conda_activation(spec, reporter))
    programs = {}
    if spec.prefix is not None:
        from envforge.environment.prefix_contents import prefix_kernels, prefix_scripts

        programs = prefix_scripts(spec, plan, python)
        files |= prefix_kernels(spec, plan, python) | programs
    apply_link_plan(plan, tier_root, aside, final_prefix=final, reporter=reporter)
    for name in plan_python(spec.interpreter, layout):
        _make_name(aside, name)
    written = write_scripts(
        plan.scripts, tier_root, aside, layout, python=python, platform=spec.interpreter.platform
    )
    for path, content in files.items():
        _write(aside / path, content, executable=path in programs)
    digests = {path: sha256(content).hexdigest() for path, content in files.items()}
    made = Generation(final, spec, {**digests, **written})
    _write(aside / MARKER, _marker_text(made).encode("utf-8", "surrogateescape"))
    return made


def _marker_text(made: Generation) -> str:
    fields = {
        "about": "This folder was made by envforge and is never changed. Its .venv link may be removed.",
        "format": FORMAT,
        "envforge": __version__,
        "spec": spec_fields(made.spec),
        "files": dict(sorted(made.files.items())),
    }
    # a line each: with an indentation, json leaves its C encoder, and takes ten times as long
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _read_powershell(spec: GenerationSpec) -> bytes | None:
    from envforge.environment.contents import powershell_source

    with suppress(OSError):
        return Path(powershell_source(spec.interpreter, spec.layout)).read_bytes()
    return None


def _conda_activation(spec: GenerationSpec, reporter: Reporter) -> CondaActivation | None:
    """What activating the prefix of a generation means; what of it cannot be read is told."""
    if spec.prefix is None:
        return None
    from envforge.environment.conda_activation import read_activation

    found = read_activation(spec.prefix.path, spec.prompt, windows=spec.layout.windows)
    for fault in found.faults:
        reporter.report(Warned(message=fault))
    return found


def _make_name(prefix: Path, name: PythonName) -> None:
    place = prefix / name.path
    if name.copied:
        from envforge.link.copying import FileCopier

        FileCopier().copy(name.source, str(place))
    else:
        place.symlink_to(name.source)


def _write(place: Path, content: bytes, *, executable: bool = False) -> None:
    """Write a new file into a folder of the plan."""
    with open(place, "xb") as file:
        file.write(content)
    if executable:
        place.chmod(place.stat().st_mode | 0o111)


def _move_in(aside: Path, made: Generation) -> Generation:
    """Rename what was built to its name; what another process put there meanwhile stays."""
    from envforge.store.sealing import discard

    for _ in range(3):
        with suppress(OSError):
            aside.rename(made.path)
            return made
        found = read_generation(made.path)
        if found is not None:
            return found
        if not aside.exists():
            break
        # a folder that somebody damaged: complete ones only come by rename
        discard(made.path, aside.with_name(f"{aside.name}.damaged"))
    raise GenerationError(
        "the environment cannot be put in its place",
        context=[f"path: {made.path}"],
        hints=["see that nothing else writes to this folder, then run the command again"],
    )
