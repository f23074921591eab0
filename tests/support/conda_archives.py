"""Conda archives out of dicts, with the records that a channel would have of them; no repodata, no solver."""

from __future__ import annotations

import bz2
import json
import tarfile
from collections.abc import Mapping, Sequence
from hashlib import md5, sha256
from io import BytesIO
from pathlib import Path

from envforge.model.conda import CondaRecord

PLACEHOLDER = ("/placeholder" * 30)[:255]


def make_archive(
    channel: Path,
    name: str,
    files: Mapping[str, str | bytes],
    *,
    version: str = "1.0",
    depends: Sequence[str] = (),
    placeholder: str = PLACEHOLDER,
    url: str = "",
    subdir: str = "noarch",
) -> CondaRecord:
    """Write ``NAME-VERSION-0.tar.bz2`` into a subdir of a folder.

    Args:
        channel: the folder.
        files: path → content; those in ``bin`` are executable.
        placeholder: what stands for the prefix in them.
        url: of the channel, "" for that of the folder.
    """
    contents = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    index = {
        **{"name": name, "version": version, "build": "0", "build_number": 0, "subdir": subdir},
        **{"depends": list(depends), "noarch": "generic" if subdir == "noarch" else None},
    }
    paths = {"paths": [_path(*item, placeholder) for item in sorted(contents.items())], "paths_version": 1}
    info = {"info/index.json": json.dumps(index).encode(), "info/paths.json": json.dumps(paths).encode()}
    archive = bz2.compress(_tar({**info, **contents}), 1)
    place = channel / subdir / f"{name}-{version}-0.tar.bz2"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(archive)
    clean = url or channel.as_uri()
    return CondaRecord(
        name=name,
        version=version,
        build="0",
        build_number=0,
        subdir=subdir,
        url=f"{clean}/{subdir}/{place.name}",
        channel=clean,
        sha256=sha256(archive).hexdigest(),
        md5=md5(archive).hexdigest(),
        size_bytes=len(archive),
        depends=tuple(depends),
        noarch="generic" if subdir == "noarch" else "",
    )


def _path(path: str, content: bytes, placeholder: str) -> dict[str, object]:
    row: dict[str, object] = {
        "_path": path,
        "path_type": "hardlink",
        "sha256": sha256(content).hexdigest(),
        "size_in_bytes": len(content),
    }
    if placeholder.encode() in content:
        mode = "binary" if b"\0" in content else "text"
        row |= {"file_mode": mode, "prefix_placeholder": placeholder}
    return row


def _tar(files: Mapping[str, bytes]) -> bytes:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            entry.mode = 0o755 if path.startswith("bin/") else 0o644
            archive.addfile(entry, BytesIO(content))
    return out.getvalue()
