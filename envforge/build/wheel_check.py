"""Whether a wheel that a backend made is a wheel, and of the project that it should be of.

Standards: binary distribution format. Its content is verified when it is unpacked, not here.
"""

from __future__ import annotations

from pathlib import Path

from envforge.metadata.versions import canonical_version, is_release
from envforge.model.names import normalize_name


def check_wheel(wheel: Path, name: str, version: str = "") -> str:
    """What is wrong with a wheel, ``""`` for nothing.

    Args:
        wheel: an existing file.
        name: project that it has to be of, in any spelling.
        version: that it has to have, with a local label or without; ``""`` for any.
    """
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        its_name, version_named, _, _ = parse_wheel_filename(wheel.name)
    except InvalidWheelFilename as error:
        return str(error)
    found = [("file name", str(its_name), str(version_named))]
    metadata = _read_name_and_version(wheel)
    if isinstance(metadata, str):
        return f"{wheel.name} is no wheel: {metadata}"
    found.append(("METADATA", *metadata))
    for where, found_name, found_version in found:
        if normalize_name(found_name) != normalize_name(name):
            return f"{wheel.name} is of {found_name} by its {where}, not of {name}"
        expected = canonical_version(version) or str(version_named)
        if not is_release(found_version, expected):
            return f"{wheel.name} is version {found_version} by its {where}, not {expected}"
    return ""


def _read_name_and_version(wheel: Path) -> tuple[str, str] | str:
    """Name and version in METADATA, or what is wrong."""
    import zipfile
    import zlib

    from packaging.metadata import parse_email

    try:
        with zipfile.ZipFile(wheel) as archive:
            inside = [
                entry
                for entry in archive.namelist()
                if entry.endswith(".dist-info/METADATA") and entry.count("/") == 1
            ]
            if len(inside) != 1:
                return f"it has {len(inside)} files called METADATA in a .dist-info folder"
            raw, _ = parse_email(archive.read(inside[0]))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        return str(error)
    if not raw.get("name") or not raw.get("version"):
        return "its METADATA has no Name or no Version"
    return raw["name"], raw["version"]
