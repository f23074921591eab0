"""A small conda channel on disk, out of plain tables, asked through the real gateway and solver."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from envforge.index.conda_source import ChannelLocation, CondaChannels
from envforge.net.settings import NetworkSettings

Table = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Name → ``version`` or ``version=build`` → what the record has: ``depends``, ``constrains``, ``subdir`` …"""

PYTHONS = ("3.11.9", "3.12.4", "3.13.1")


def write_records(folder: Path, table: Table, *, pythons: Sequence[str] = PYTHONS) -> Path:
    """Write a channel: the table's records, and Pythons with their ``python_abi``.

    A record with ``python = true`` is a Python package, and so stands for the PyPI project of its name.
    """
    subdirs: dict[str, dict[str, Any]] = {"linux-64": {}, "noarch": {}}
    for version in pythons:
        minor = version.rpartition(".")[0]
        abi = minor.replace(".", "")
        _add(subdirs, "python", f"{version}=h_0_cp{abi}", {"depends": [f"python_abi {minor}.* *_cp{abi}"]})
        _add(
            subdirs,
            "python_abi",
            f"{minor}=0_cp{abi}",
            {"subdir": "noarch", "constrains": [f"python {minor}.*"]},
        )
    for name, versions in table.items():
        for version, fields in versions.items():
            _add(subdirs, name, version, fields)
    for subdir, records in subdirs.items():
        place = folder / subdir
        place.mkdir(parents=True, exist_ok=True)
        document = {
            "info": {"subdir": subdir},
            "packages": {},
            "packages.conda": records,
            "repodata_version": 1,
        }
        (place / "repodata.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def _add(subdirs: dict[str, dict[str, Any]], name: str, version: str, fields: Mapping[str, Any]) -> None:
    fields = dict(fields)
    version, _, build = version.partition("=")
    build = build or "h0_0"
    filename = f"{name}-{version}-{build}.conda"
    subdir = fields.pop("subdir", "linux-64")
    if fields.pop("python", False):
        fields["depends"] = [*fields.get("depends", []), "python"]
    record = {
        "name": name,
        "version": version,
        "build": build,
        "build_number": int(build.rpartition("_")[2]) if build.rpartition("_")[2].isdecimal() else 0,
        "depends": [],
        "sha256": hashlib.sha256(f"{subdir}/{filename}".encode()).hexdigest(),
        "md5": hashlib.md5(filename.encode()).hexdigest(),
        "size": 1000,
        "subdir": subdir,
        "timestamp": 1_700_000_000_000,
        **fields,
    }
    subdirs.setdefault(subdir, {})[filename] = record


@contextmanager
def conda_universe(
    folder: Path, *tables: Table, pythons: Sequence[str] = PYTHONS, names: Mapping[str, str] | None = None
) -> Iterator[CondaChannels]:
    """Channels in ``folder``, the first table's first; Pythons are in the last one.

    Args:
        folder: empty, or of an earlier call: it is written again.
        tables: one for each channel.
        pythons: full versions.
        names: conda name → PyPI name, as the manifest may say.
    """
    locations = []
    for number, table in enumerate(tables):
        place = folder / f"channel{number}"
        write_records(place, table, pythons=pythons if number == len(tables) - 1 else ())
        locations.append(ChannelLocation(name=f"channel{number}", url=place.as_uri()))
    with CondaChannels(
        locations, NetworkSettings(), {}, folder / "cache", conda_pypi_map=names or {}
    ) as channels:
        yield channels
