from __future__ import annotations

from collections.abc import Sequence

import pytest

from envforge.metadata.rattler_records import from_rattler, to_rattler
from envforge.model.conda import CondaRecord

FULL = CondaRecord(
    name="python",
    version="3.13.1",
    build="h9a34b6e_5_cp313t",
    build_number=5,
    subdir="linux-64",
    url="https://example.com/main/linux-64/python-3.13.1-h9a34b6e_5_cp313t.conda",
    channel="https://example.com/main",
    sha256="ab" * 32,
    md5="cd" * 16,
    size_bytes=31527849,
    depends=("libzlib >=1.3.2,<2.0a0", "tzdata"),
    constrains=("python_abi 3.13.* *_cp313t",),
    license="Python-2.0",
    license_family="PSF",
    timestamp_ms=1786445051525,
    track_features=("py_freethreading", "other"),
    features="old",
    python_site_packages_path="lib/python3.13t/site-packages",
)


def _nobody(name: str, noarch: str, depends: Sequence[str], purls: Sequence[str]) -> tuple[str, ...]:
    return ()


def test_a_record_comes_back_whole() -> None:
    assert from_rattler(to_rattler(FULL), _nobody) == FULL


@pytest.mark.parametrize("noarch", ["", "python", "generic"])
@pytest.mark.parametrize("subdir", ["noarch", "linux-64", "win-arm64"])
def test_any_noarch_in_any_subdir(noarch: str, subdir: str) -> None:
    bare = CondaRecord(
        name="x",
        version="1!2.0_3",
        build="",
        build_number=0,
        subdir=subdir,
        url=f"https://example.com/{subdir}/x-1-0.tar.bz2",
        channel="https://example.com",
        noarch=noarch,
    )
    row = to_rattler(bare)
    assert from_rattler(row, _nobody) == bare
    assert row.noarch.python == (noarch == "python")
    assert row.file_name == "x-1-0.tar.bz2"
    assert row.sha256 is None
    assert row.size is None


@pytest.mark.parametrize("timestamp_ms", range(1786445051000, 1786445052000, 37))
def test_no_millisecond_is_lost(timestamp_ms: int) -> None:
    from envforge.struct import replace

    dated = replace(FULL, timestamp_ms=timestamp_ms)
    assert from_rattler(to_rattler(dated), _nobody).timestamp_ms == timestamp_ms


def test_names_are_asked_of_who_knows() -> None:
    asked = []

    def names(name: str, noarch: str, depends: Sequence[str], purls: Sequence[str]) -> tuple[str, ...]:
        asked.append((name, noarch, tuple(depends), tuple(purls)))
        return ("a", "b")

    record = from_rattler(to_rattler(FULL), names)
    assert record.pypi_names == ("a", "b")
    assert asked == [("python", "", FULL.depends, ())]
