"""A C library that knows its prefix, and a program that is linked to it; compiled with the host's gcc."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from .package import DAY_MS, PLACEHOLDER, SHORT_PLACEHOLDER, TIMESTAMP_MS, File, Package

_HEADER = b"""\
const char *greet_share(void);
const char *greet_version(void);
"""
_LIBRARY = """\
const char *greet_share(void) { return "%(prefix)s/share/libgreet"; }
const char *greet_version(void) { return "%(version)s"; }
"""
_PROGRAM = """\
#include <stdio.h>
#include "libgreet.h"

int main(int count, char **words) {
    char path[4096], line[256];
    snprintf(path, sizeof path, "%%s/greeting.txt", greet_share());
    FILE *file = fopen(path, "r");
    if (!file || !fgets(line, sizeof line, file)) {
        fprintf(stderr, "greet: cannot read %%s\\n", path);
        return 1;
    }
    printf("%%s", line);
    if (count > 1) printf("greet %(version)s, libgreet %%s, %%s\\n", greet_version(), path);
    return 0;
}
"""
_PKG_CONFIG = """\
prefix=%(prefix)s
libdir=${prefix}/lib

Name: libgreet
Description: greets
Version: %(version)s
Libs: -L${libdir} -lgreet
"""


def compile_c(source: str, output: str, *flags: str, files: dict[str, bytes] | None = None) -> bytes:
    """What gcc makes of a source; the same bytes each time.

    Args:
        files: what lies beside the source: headers, libraries.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, content in {"source.c": source.encode(), **(files or {})}.items():
            Path(folder, name).write_bytes(content)
        command = ["gcc", "-O1", "-s", "-Wl,--build-id=none", "-o", output, "source.c", *flags]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"error: gcc cannot compile {output}:\n{done.stderr}")
        return Path(folder, output).read_bytes()


def libgreet(version: str, subdir: str, *, age_days: int = 0, extension: str = ".conda") -> Package:
    """The library: its prefix is in a binary and in a text."""
    major = version.partition(".")[0]
    told = {"prefix": PLACEHOLDER, "version": version}
    real, soname = f"libgreet.so.{version}", f"libgreet.so.{major}"
    return Package(
        name="libgreet",
        version=version,
        build="h0000000_0",
        subdir=subdir,
        depends=("__glibc >=2.17,<3.0.a0",),
        extension=extension,
        timestamp_ms=TIMESTAMP_MS - age_days * DAY_MS,
        files={
            "include/libgreet.h": File(_HEADER),
            f"lib/{real}": File(_library(told, soname), executable=True),
            f"lib/{soname}": File(target=real),
            "lib/libgreet.so": File(target=soname),
            "lib/pkgconfig/libgreet.pc": File((_PKG_CONFIG % told).encode()),
            "share/libgreet/greeting.txt": File(f"hello from libgreet {version}\n".encode()),
        },
    )


def greet(version: str, library: str, requirement: str, subdir: str) -> Package:
    """The program, linked to a version of the library; finds it relative to itself."""
    major = library.partition(".")[0]
    built_with = _library({"prefix": PLACEHOLDER, "version": library}, f"libgreet.so.{major}")
    program = compile_c(
        _PROGRAM % {"version": version},
        "greet",
        "libgreet.so",
        "-Wl,--disable-new-dtags,-rpath,$ORIGIN/../lib",
        files={"libgreet.h": _HEADER, "libgreet.so": built_with},
    )
    return Package(
        name="greet",
        version=version,
        build="h0000000_0",
        subdir=subdir,
        depends=("__glibc >=2.17,<3.0.a0", f"libgreet {requirement}"),
        files={"bin/greet": File(program, executable=True)},
    )


def short_placeholder(subdir: str) -> Package:
    """A library that was built in a short prefix: a longer one does not fit."""
    told = {"prefix": SHORT_PLACEHOLDER, "version": "1.0"}
    return Package(
        name="short-placeholder",
        version="1.0",
        build="h0000000_0",
        subdir=subdir,
        placeholder=SHORT_PLACEHOLDER,
        files={"lib/libshort.so": File(_library(told, "libshort.so"), executable=True)},
    )


def _library(told: dict[str, str], soname: str) -> bytes:
    return compile_c(_LIBRARY % told, "libgreet.so", "-shared", "-fPIC", f"-Wl,-soname,{soname}")
