"""The written form: what git and people see."""

from __future__ import annotations

import random

from envforge.lock.write import format_lock
from envforge.model.lock import LockedPackage
from envforge.struct import replace

from support.locks import INPUTS, lock_of, pin, resolution, simple_lock


def test_the_whole_text():
    lock = lock_of(resolution("linux-64", [pin("six", "1.17.0", ["typing"])]))
    file = lock.packages["six"].files[0]
    assert format_lock(lock) == (
        "{\n"
        ' "indexes": [\n  {\n   "name": "pypi",\n   "url": "https://pypi.org/simple"\n  }\n ],\n'
        f' "inputs": "{INPUTS}",\n'
        ' "packages": {\n  "six": {\n'
        '   "files": [\n    {\n'
        f'     "sha256": "{file.sha256}",\n     "size": {file.size_bytes},\n'
        '     "targets": [\n      "linux-64"\n     ],\n'
        f'     "url": "{file.url}"\n    }}\n   ],\n'
        '   "index": "pypi",\n   "name": "six",\n'
        '   "requires": [\n    "typing"\n   ],\n'
        '   "version": "1.17.0"\n  }\n },\n'
        ' "targets": [\n  {\n'
        '   "groups": {\n    "project": [\n     "six"\n    ]\n   },\n'
        '   "platform": "linux-64",\n   "python": "3.12",\n'
        '   "system": {\n    "glibc": "2.28",\n    "macos": "14.0"\n   }\n  }\n ],\n'
        ' "version": 1\n'
        "}\n"
    )


def test_the_limit_is_there_only_if_it_was_set():
    lock = simple_lock({"six": "1.17.0"})
    assert "exclude-newer" not in format_lock(lock)
    limited = format_lock(replace(lock, exclude_newer="2026-11-01T00:00:00Z"))
    assert limited.splitlines()[1] == ' "exclude-newer": "2026-11-01T00:00:00Z",'


def test_text_is_not_escaped():
    lock = simple_lock({"six": "1.17.0"})
    six: LockedPackage = replace(lock.packages["six"], requires=("x @ https://é.example/x.whl",))
    assert "https://é.example/x.whl" in format_lock(replace(lock, packages={"six": six}))


def test_the_order_of_mappings_does_not_matter():
    lock = simple_lock({f"p{number}": "1" for number in range(30)})
    items = list(lock.packages.items())
    random.Random(4).shuffle(items)
    assert format_lock(replace(lock, packages=dict(items))) == format_lock(lock)


def test_targets_keep_the_order_of_the_manifest():
    text = format_lock(simple_lock({"six": "1.17.0"}, ("win-64", "linux-64")))
    assert text.index('"platform": "win-64"') < text.index('"platform": "linux-64"')
