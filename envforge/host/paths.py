"""The places where envforge keeps things when nobody says otherwise.

The cache root is ``ENVFORGE_CACHE_DIR`` or the user's cache folder as :mod:`platformdirs` gives it
(XDG base directories on Linux). ``ENVFORGE_TIER`` names the folder for store and environments,
``ENVFORGE_SITE_STORE`` a store of the site that is only read. Where neither cache nor tier is named,
:mod:`envforge.host.tiers` chooses the storage.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from envforge.errors import HostError, StoreError
from envforge.struct import Struct, replace

_APPLICATION = "envforge"
# Shebang lines end at 127 or 255 bytes on Linux, and an environment's path stands in each.
_NAME_LENGTH = 40


class Places(Struct, frozen=True, kw_only=True):
    """Where things are kept; all absolute.

    Args:
        cache: root of what can be fetched or computed again (index pages, metadata, facts on hosts).
        tier: root of store and environments.
        archives: downloaded files.
        keeps_archives: they are on another place than the tier, which outlives it: what is downloaded stays
            there, for the next node and for the time after the tier is gone.
        site: root of a store that others look after, read only; None where there is none.
    """

    cache: Path
    tier: Path
    archives: Path
    keeps_archives: bool = False
    site: Path | None = None


def find_places(
    environ: Mapping[str, str], *, cache_dir: str = "", tier: str = "", project: Path | None = None
) -> Places:
    """The places to use.

    A cache folder that the user has named holds everything, unless a tier is named too: then nothing is
    measured. Otherwise the tier is what was chosen on this host before; the first time, its storage is
    measured and the choice made.

    Args:
        environ: the process environment.
        cache_dir: what the user asked for on the command line, wins over ``ENVFORGE_CACHE_DIR``.
        tier: likewise, wins over ``ENVFORGE_TIER``. Relative paths count from the current folder.
        project: the project's folder: its own file system may be the fastest.

    Raises:
        HostError: a place cannot be made absolute, there is no home folder, or the file system of the tier
            that is named is not mounted.
    """
    cache = find_cache_root(environ, cache_dir)
    site = environ.get("ENVFORGE_SITE_STORE", "")
    named = find_named_tier(environ, tier)
    places = Places(
        cache=cache,
        tier=named or cache / "tier",
        archives=cache / "archives",
        site=_absolute(site, "ENVFORGE_SITE_STORE") if site else None,
    )
    is_cache_named = bool(cache_dir or environ.get("ENVFORGE_CACHE_DIR", ""))
    if named is not None:
        return _beside_named_tier(places, environ, project, is_cache_named=is_cache_named)
    return places if is_cache_named else _chosen_places(places, environ, project)


def find_named_tier(environ: Mapping[str, str], tier: str = "") -> Path | None:
    """The folder for store and environments that the user has named: ``tier``, or ``ENVFORGE_TIER``.

    Raises:
        HostError: it cannot be made absolute.
    """
    named = tier or environ.get("ENVFORGE_TIER", "")
    return _absolute(named, "ENVFORGE_TIER") if named else None


def _chosen_places(places: Places, environ: Mapping[str, str], project: Path | None) -> Places:
    """What is remembered for this host; else its storage is measured, and the choice made.

    Not on Windows, where a user's own folder is on the one disk there is.
    """
    if sys.platform == "win32":
        return places
    from envforge.host.storage_memory import find_remembered

    chosen = find_remembered(environ, places.cache, project)
    if chosen is None:
        from envforge.host.tiers import chosen_tier, survey_storage

        chosen = chosen_tier(survey_storage(environ, places.cache, project).choice)
    if not chosen.folder:
        return places
    return replace(
        places,
        tier=Path(chosen.folder, "tier"),
        archives=Path(chosen.archives_folder, "archives"),
        keeps_archives=chosen.keeps_archives,
    )


def _beside_named_tier(
    places: Places, environ: Mapping[str, str], project: Path | None, *, is_cache_named: bool
) -> Places:
    """Archives go where they went before, or to the cache folder; they are kept if the tier goes away."""
    from envforge.host.named_tier import check_mounted, stays
    from envforge.host.storage_memory import find_remembered, on_one_file_system

    check_mounted(places.tier, places.cache)
    chosen = None if is_cache_named else find_remembered(environ, places.cache, project)
    archives = Path(chosen.archives_folder, "archives") if chosen else places.archives
    if on_one_file_system(archives, places.tier):
        return replace(places, archives=archives)
    keeps = not stays(places.tier, environ, places.cache)
    return replace(places, archives=archives, keeps_archives=keeps)


def find_cache_root(environ: Mapping[str, str], cache_dir: str = "") -> Path:
    """The cache root: ``cache_dir``, ``ENVFORGE_CACHE_DIR``, or the user's cache folder."""
    chosen = cache_dir or environ.get("ENVFORGE_CACHE_DIR", "")
    if chosen:
        return _absolute(chosen, "ENVFORGE_CACHE_DIR")
    return _user_folder(environ, "XDG_CACHE_HOME", ".cache", "cache")


def find_data_root(environ: Mapping[str, str]) -> Path:
    """The folder for what is worth keeping (installed Pythons): ``ENVFORGE_DATA_DIR`` or the user's."""
    chosen = environ.get("ENVFORGE_DATA_DIR", "")
    if chosen:
        return _absolute(chosen, "ENVFORGE_DATA_DIR")
    return _user_folder(environ, "XDG_DATA_HOME", ".local/share", "data")


def find_pythons_folder(environ: Mapping[str, str]) -> Path:
    """Where the Pythons stand that envforge has installed."""
    return find_data_root(environ) / "pythons"


def project_environments_folder(tier: Path, project: Path) -> Path:
    """Where the generations of a project live: ``<tier>/envs/<folder name>-<digest of its real path>``."""
    from envforge.hashing import sha256

    real = project.resolve()
    # Scripts carry the path in their first line, where the kernel takes a blank for the end of it.
    name = "".join(
        char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in real.name
    )
    digest = sha256(os.fsencode(os.path.normcase(real))).hexdigest()[:12]
    return tier / "envs" / f"{name[:_NAME_LENGTH] or 'root'}-{digest}"


def make_folder(folder: Path, setting: str = "ENVFORGE_CACHE_DIR") -> None:
    """Create a folder with its parents, or see that it can be written to.

    Args:
        folder: absolute.
        setting: the variable that moves it elsewhere, for the hint.

    Raises:
        StoreError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        if os.access(folder, os.W_OK | os.X_OK):
            return
        reason = "no permission to write"
    raise StoreError(
        f"cannot write to {folder}",
        context=[reason],
        hints=[f"set {setting} to a folder that you can write to"],
    )


def _user_folder(environ: Mapping[str, str], variable: str, below_home: str, kind: str) -> Path:
    """What platformdirs would say, without importing it (20 ms) where that is a matter of two variables."""
    if sys.platform == "linux":
        xdg, home = environ.get(variable, ""), environ.get("HOME", "")
        if xdg.startswith("/"):
            return Path(xdg, _APPLICATION)
        if home.startswith("/"):
            return Path(home, below_home, _APPLICATION)
    import platformdirs

    try:
        find = platformdirs.user_cache_path if kind == "cache" else platformdirs.user_data_path
        return find(_APPLICATION, appauthor=False)
    except (RuntimeError, OSError) as error:
        raise HostError(
            f"there is no place for envforge's {kind}",
            context=[str(error)],
            hints=[f"set HOME, or ENVFORGE_{kind.upper()}_DIR to an absolute path"],
        ) from None


def _absolute(text: str, setting: str) -> Path:
    expanded = os.path.expanduser(text)  # noqa: PTH111 - Path raises where this leaves the ~
    if expanded.startswith("~"):
        raise HostError(
            f"{setting} names the home folder of a user who is not known here: {text}",
            hints=["write an absolute path"],
        )
    try:
        return Path(os.path.abspath(expanded))  # noqa: PTH100 - without following symlinks
    except FileNotFoundError:
        raise HostError(
            f"{setting} is relative ({text}) and the current folder no longer exists",
            hints=["write an absolute path"],
        ) from None
