"""conda packages in a lock: built, written, read, refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from envforge.errors import LockError
from envforge.lock.consistency import find_faults
from envforge.lock.parse import parse_lock
from envforge.lock.write import format_lock
from envforge.model.conda import CondaRecord
from envforge.model.lock import Lock
from envforge.model.target import SystemAssumptions, Target
from envforge.struct import replace

from support.locks import (
    CONDA_FORGE,
    conda_python,
    conda_record,
    lock_of,
    pin,
    resolution,
    simple_lock,
)

PYTHON = conda_python(depends=["libzlib >=1.3,<2.0a0"])
ZLIB = conda_record("libzlib", "1.3.1", ["__glibc >=2.17"], license="Zlib", timestamp_ms=1733313091123)
TZDATA = conda_record("tzdata", "2025b", subdir="noarch", noarch="generic", build_number=3, md5="0f" * 16)
NUMPY = conda_record("numpy", "2.1.0", ["python >=3.12,<3.13.0a0"], build="py312h1_0", pypi="numpy")
LOCK = lock_of(resolution("linux-64", [pin("six", "1.17.0")], conda=[PYTHON, ZLIB, TZDATA, NUMPY]))
ZLIB_ID = "linux-64/libzlib-1.3.1-h0_0.conda"


def test_written_whole_and_read_back():
    text = format_lock(LOCK)
    assert parse_lock(text) == LOCK
    document = json.loads(text)
    assert document["channels"] == [CONDA_FORGE]
    assert document["targets"][0]["python"] == "3.12.8"
    assert document["targets"][0]["conda"] == [
        ZLIB_ID,
        "linux-64/numpy-2.1.0-py312h1_0.conda",
        "linux-64/python-3.12.8-h0_0_cpython.conda",
        "noarch/tzdata-2025b-h0_0.conda",
    ]
    assert document["conda"][ZLIB_ID] == {
        "name": "libzlib",
        "version": "1.3.1",
        "build": "h0_0",
        "build-number": 0,
        "subdir": "linux-64",
        "url": f"{CONDA_FORGE}/{ZLIB_ID}",
        "channel": CONDA_FORGE,
        "sha256": ZLIB.sha256,
        "size": 24000,
        "depends": ["__glibc >=2.17"],
        "license": "Zlib",
        "timestamp": 1733313091123,
    }
    assert document["conda"]["noarch/tzdata-2025b-h0_0.conda"]["noarch"] == "generic"
    assert document["conda"]["linux-64/numpy-2.1.0-py312h1_0.conda"]["pypi-names"] == ["numpy"]


def test_every_field_of_a_record_comes_back():
    record = conda_record(
        "thing",
        "1.0",
        ["a", "b >=1"],
        pypi="thing",
        build_number=7,
        md5="ab" * 16,
        constrains=("c <2",),
        noarch="python",
        license="MIT",
        license_family="MIT",
        timestamp_ms=0,
        track_features=("x", "y"),
        features="z",
        python_site_packages_path="lib/python3.13t/site-packages",
        purls=("pkg:pypi/thing",),
    )
    assert all(getattr(record, name) not in ("", ()) for name in record.__slots__), "a field was forgotten"
    lock = lock_of(resolution("linux-64", [], conda=[PYTHON, ZLIB, record]))
    assert parse_lock(format_lock(lock)).conda_packages["linux-64/thing-1.0-h0_0.conda"] == record


def test_a_lock_without_conda_says_nothing_of_it():
    document = json.loads(format_lock(simple_lock({"six": "1.17.0"})))
    assert sorted(document) == ["indexes", "inputs", "packages", "targets", "version"]
    assert sorted(document["targets"][0]) == ["groups", "platform", "python", "system"]
    assert document["targets"][0]["system"] == {"glibc": "2.28", "macos": "14.0"}


def test_the_system_is_written_where_it_is_not_as_usual():
    system = SystemAssumptions(linux=(5, 4), cuda=(12, 8), archspec="x86_64_v3")
    target = replace(LOCK.targets[0], target=replace(LOCK.targets[0].target, system=system))
    lock = replace(LOCK, targets=(target,))
    text = format_lock(lock)
    assert json.loads(text)["targets"][0]["system"] == {
        "glibc": "2.28",
        "macos": "14.0",
        "linux": "5.4",
        "cuda": "12.8",
        "archspec": "x86_64_v3",
    }
    assert parse_lock(text) == lock


def test_archives_of_one_name_in_two_channels_have_their_urls_as_ids():
    other = "https://conda.anaconda.org/nvidia"
    mac = Target(platform="osx-arm64", python="3.12.8")
    here, there = TZDATA, conda_record("tzdata", "2025b", subdir="noarch", noarch="generic", channel=other)
    lock = lock_of(
        resolution("linux-64", [], conda=[PYTHON, ZLIB, here]),
        replace(resolution("osx-arm64", [], conda=[conda_python(subdir="osx-arm64"), there]), target=mac),
    )
    assert sorted(lock.conda_packages)[:2] == [here.url, there.url]
    assert parse_lock(format_lock(lock)) == lock
    assert lock.conda_records(lock.targets[1])[0] == there


def broken(*path: str | int, value: Any = None, delete: bool = False) -> str:
    """The lock's text with one place changed."""
    document = json.loads(format_lock(LOCK))
    place = document
    for key in path[:-1]:
        place = place[key]
    if delete:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("channels",), "conda-forge", "channels: has to be a list of texts"),
        (("conda",), [], "conda: has to be an object"),
        (("conda", ZLIB_ID), "x", f"conda.{ZLIB_ID}: has to be an object"),
        (("conda", ZLIB_ID, "depends"), "a", f"conda.{ZLIB_ID}.depends: has to be a list of texts"),
        (("conda", ZLIB_ID, "size"), "9", f"conda.{ZLIB_ID}.size: has to be a whole number from 0"),
        (("conda", ZLIB_ID, "timestamp"), -1, f"conda.{ZLIB_ID}.timestamp: has to be a whole number"),
        (("conda", ZLIB_ID, "build-number"), True, f"conda.{ZLIB_ID}.build-number: has to be a whole"),
        (("conda", ZLIB_ID, "noarch"), 1, f"conda.{ZLIB_ID}.noarch: has to be a text"),
        (("targets", 0, "conda"), [1], "targets[0].conda: has to be a list of texts"),
        (("targets", 0, "system", "cuda"), "12", "targets[0].system.cuda: '12' is no version such as"),
        (("targets", 0, "system", "linux"), None, "targets[0].system.linux: is missing"),
        (("targets", 0, "system", "archspec"), 3, "targets[0].system.archspec: has to be a text"),
        (("targets", 0, "python"), "3.12", "targets.linux-64.python: is 3.12, but conda brings 3.12.8"),
        (("targets", 0, "python"), "3.12.9", "targets.linux-64.python: is 3.12.9, but conda brings 3.12.8"),
        (("targets", 0, "conda"), [ZLIB_ID], "targets.linux-64.python: is 3.12.8, but conda brings none"),
    ],
)
def test_what_has_the_wrong_shape(path: tuple[str | int, ...], value: object, fault: str):
    with pytest.raises(LockError) as caught:
        parse_lock(broken(*path, value=value))
    assert caught.value.message == "envforge.lock is damaged"
    assert caught.value.context[0].startswith(fault)


@pytest.mark.parametrize("key", ["name", "version", "build", "subdir", "url", "channel"])
def test_what_is_missing(key: str):
    with pytest.raises(LockError) as caught:
        parse_lock(broken("conda", ZLIB_ID, key, delete=True))
    assert f"conda.{ZLIB_ID}.{key}: is missing" in caught.value.context


def with_zlib(**changes: Any) -> Lock:
    return with_record(replace(ZLIB, **changes))


def with_record(record: CondaRecord) -> Lock:
    return replace(LOCK, conda_packages={**LOCK.conda_packages, ZLIB_ID: record})


def with_ids(*ids: str) -> Lock:
    return replace(LOCK, targets=(replace(LOCK.targets[0], conda=(*LOCK.targets[0].conda, *ids)),))


SECRET = "https://me:secret@host/chan"
OSX = conda_record("libzlib", "1.3.1", subdir="osx-64")
OLD = conda_record("libzlib", "1.2.13")


@pytest.mark.parametrize(
    ("lock", "fault"),
    [
        (with_zlib(name="zlib"), f"conda.{ZLIB_ID}.url: 'libzlib-1.3.1-h0_0.conda' is not the archive of"),
        (with_zlib(build="h0_1"), "is not the archive of libzlib 1.3.1 h0_1"),
        (with_zlib(name="Lib zlib"), "'Lib zlib' is no name of a conda package"),
        (with_zlib(name="../x"), "'../x' is no name of a conda package"),
        (with_zlib(version="1..3"), "'1..3' is no version"),
        (with_zlib(version="1/../../x"), "'1/../../x' is no version"),
        (with_zlib(version=">=1"), "'>=1' is no version"),
        (with_zlib(version="9" * 40), "is no version"),
        (with_zlib(version=""), "'' is no version"),
        (with_zlib(build=""), "'' is no build string"),
        (with_zlib(build="h/0"), "'h/0' is no build string"),
        (with_zlib(url="chan/linux-64/libzlib-1.3.1-h0_0.conda"), "is no absolute URL"),
        (with_zlib(url="https:///linux-64/libzlib-1.3.1-h0_0.conda"), "is no absolute URL"),
        (with_zlib(url="https://[/linux-64/libzlib-1.3.1-h0_0.conda"), "is no absolute URL"),
        (with_zlib(url=f"{CONDA_FORGE}/linux-64/libzlib-1.3.1-h0_0.zip"), "is not the archive of"),
        (with_zlib(url=f"{SECRET}/linux-64/libzlib-1.3.1-h0_0.conda"), "a user name or a password"),
        (with_zlib(channel="https://other/chan"), "https://other/chan is no channel of this lock"),
        (with_zlib(subdir="osx-64"), f"conda.{ZLIB_ID}: its id has to be osx-64/libzlib"),
        (with_zlib(sha256="AB" * 32), "sha256: has to be 64 lower-case"),
        (with_zlib(md5="ab"), "md5: has to be 32 lower-case"),
        (with_zlib(sha256=""), "has neither sha256 nor md5"),
        (with_zlib(noarch="yes"), "noarch: has to be python or generic"),
        (with_zlib(build_number=2**64), "too large"),
        (with_zlib(size_bytes=2**64), "too large"),
        (with_zlib(timestamp_ms=10**30), "is not in milliseconds since 1970"),
        (with_zlib(pypi_names=("Zope.Interface",)), "'Zope.Interface' is no normalized name"),
        (
            with_ids("noarch/gone-1-0.conda"),
            "targets.linux-64.conda: no conda package has the id noarch/gone",
        ),
        (with_ids(ZLIB_ID), f"targets.linux-64.conda: libzlib is there twice, as {ZLIB_ID} and {ZLIB_ID}"),
        (replace(LOCK, channels=(CONDA_FORGE, CONDA_FORGE)), f"channels: {CONDA_FORGE} is there twice"),
        (replace(LOCK, channels=(CONDA_FORGE, SECRET)), "channels[1]: has a user name or a password in it"),
        (replace(LOCK, channels=(CONDA_FORGE, "s3://x")), "channels[1]: is neither a URL nor a folder"),
        (replace(LOCK, channels=()), f"{CONDA_FORGE} is no channel of this lock"),
    ],
)
def test_contradictions(lock: Lock, fault: str):
    found = find_faults(lock)
    assert any(fault in line for line in found), found
    assert not any("secret" in line for line in found)
    with pytest.raises(LockError):
        parse_lock(format_lock(lock))


def test_a_record_of_another_platform_and_two_of_one_name():
    records = {**LOCK.conda_packages, OSX.id: OSX, OLD.id: OLD}
    assert find_faults(replace(with_ids(OSX.id, OLD.id), conda_packages=records)) == [
        f"targets.linux-64.conda: {OSX.id} is for another platform",
        f"targets.linux-64.conda: libzlib is there twice, as {ZLIB_ID} and {OLD.id}",
    ]


def test_a_project_cannot_come_from_both():
    lock = lock_of(resolution("linux-64", [pin("numpy", "2.1.0")], conda=[PYTHON, ZLIB, NUMPY]))
    assert find_faults(lock) == ["targets.linux-64: numpy comes from PyPI and with " + NUMPY.id + " too"]


@pytest.mark.parametrize(
    "version", ["2025b", "9e", "1!2.0", "1.1.1_", "1-2", "1.2.post1", "2024.11.05", "1_2.3"]
)
def test_versions_as_conda_has_them(version: str):
    record = conda_record("odd", version)
    assert find_faults(lock_of(resolution("linux-64", [], conda=[PYTHON, ZLIB, record]))) == []


def test_a_channel_may_keep_its_archives_elsewhere():
    """``base_url`` of its repodata (CEP 15)."""
    record = replace(ZLIB, url="https://mirror.example.org/x/linux-64/libzlib-1.3.1-h0_0.conda")
    assert find_faults(with_record(record)) == []


def test_a_key_that_is_there_twice():
    text = format_lock(LOCK)
    row = json.dumps(json.loads(text)["conda"][ZLIB_ID])
    doubled = text.replace('"conda": {\n', f'"conda": {{\n"{ZLIB_ID}": {row},\n', 1)
    with pytest.raises(LockError) as caught:
        parse_lock(doubled)
    assert f"the key '{ZLIB_ID}' is there twice" in caught.value.context
