"""Core metadata: METADATA of a wheel, PKG-INFO of an sdist.

Only the fields that a resolution needs are read, and no text beyond the header. Releases of ten years
hold requirements that were never valid and that pip once took; those are read as they were meant,
because a released file cannot be corrected.

Standards: core metadata 1.0-2.x, PEP 566, PEP 643 (``Dynamic``), PEP 508, PEP 685 (names of extras).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from envforge.errors import MetadataError, RequirementError
from envforge.model.names import normalize_name
from envforge.model.release import CoreMetadata
from envforge.model.requirement import Requirement, check_specifier, parse_requirement

# What email.feedparser takes for a header; the first line that is none ends them.
_FIELD = re.compile(r"([!-9;-~]*):[ \t]*(.*)", re.DOTALL)
_STATIC_NEEDED = frozenset({"requires-dist", "requires-python", "provides-extra"})


def parse_core_metadata(content: bytes, source: str) -> CoreMetadata:
    """Read METADATA or PKG-INFO.

    Args:
        content: of the file.
        source: where it is from (a file name), for messages.

    Raises:
        MetadataError: name or version are missing, the standard's version is too new, or a requirement
            cannot be read.
    """
    single: dict[str, str] = {}
    requires: list[str] = []
    extras: list[str] = []
    for name, value in _fields(content):
        if name == "requires-dist":
            requires.append(value)
        elif name == "provides-extra":
            extras.append(value)
        else:
            single.setdefault(name, value)
    _check(single, source)
    return CoreMetadata(
        name=single["name"],
        version=single["version"],
        requires_python=_mend_specifier(single.get("requires-python", "")),
        requires=tuple(_requirement(text, source) for text in requires),
        provides_extra=frozenset(normalize_name(extra) for extra in extras),
    )


def sdist_metadata_is_static(content: bytes) -> bool:
    """Whether an sdist's PKG-INFO says what every wheel built from it will say (PEP 643)."""
    version = ""
    dynamic: set[str] = set()
    for name, value in _fields(content):
        if name == "metadata-version":
            version = version or value
        elif name == "dynamic":
            dynamic.add(value.strip().lower())
    parts = version.split(".")
    if not all(part.isdecimal() for part in parts):
        return False
    return tuple(int(part) for part in parts) >= (2, 2) and dynamic.isdisjoint(_STATIC_NEEDED)


def _fields(content: bytes) -> Iterator[tuple[str, str]]:
    """(lower-case name, value with folded lines joined) of the header."""
    text = _header(content).decode("utf-8", "replace")
    current: list[str] = []
    for line in text.split("\n"):
        if current and line[:1] in (" ", "\t"):
            current.append(line)
            continue
        if current:
            yield _field(current)
            current = []
        if not _FIELD.match(line):
            return
        current = [line]
    if current:
        yield _field(current)


def _header(content: bytes) -> bytes:
    """What stands before the first empty line, with plain line ends; mostly a tenth of the file."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return content.partition(b"\n\n")[0]


def _field(lines: list[str]) -> tuple[str, str]:
    name, _, value = lines[0].partition(":")
    if len(lines) > 1:
        value = " ".join([value.strip(), *(line.strip() for line in lines[1:])])
    return name.lower(), value.strip()


def _check(fields: dict[str, str], source: str) -> None:
    version = fields.get("metadata-version", "1.0").partition(".")[0]
    if version.isdecimal() and int(version) > 2:
        raise MetadataError(
            f"{source} has core metadata {fields['metadata-version']}, envforge knows 2.x",
            hints=["update envforge, or choose an older version of the package"],
        )
    missing = [name for name in ("name", "version") if not fields.get(name)]
    if missing:
        raise MetadataError(f"the metadata of {source} has no {' and no '.join(missing)}")


# Applied one after the other until the text can be read; the same sins that pip and uv forgive. Texts, not
# compiled: most runs need none of them.
_MENDINGS = (
    (r"""['"]+(?=[\d*]|$|[,)])|(?<=[\d*])['"]+""", ""),  # >=3.6'
    (r",\s*(?=\)|$)", ""),  # >=3.6,
    (r"(?<=[\w*])\s*(?=[<>=!~]=|[<>])", ","),  # >=1.0<2.0
    (r"!=~\s*((?:\d+\.)*\d+)", r"!=\1.*"),  # !=~5.0
    (r"([<>]=?\s*\d+(?:\.\d+)*)\.\*", r"\1"),  # >=3.*
    (r"((?:==|!=)\s*(?:\d+\.)+\d+)\*", r"\1.*"),  # !=3.0*
    (r"([<>]=?)\s*dev\b", r"\g<1>0.0.0dev0"),  # >dev
    (r"~=\s*(\d+)(?=\s*(?:,|\)|$))", r">=\1"),  # ~=3
)
_NAME_AND_EXTRAS = r"\s*[A-Za-z0-9][\w.-]*\s*(?:\[[^\]]*\])?\s*"


def _requirement(text: str, source: str) -> Requirement:
    try:
        return parse_requirement(text)
    except RequirementError as error:
        mended = _mend_requirement(text)
        if mended is None:
            raise MetadataError(
                f"{source} has a requirement that cannot be read: {text}",
                context=error.context,
                hints=["use another version of the package"],
            ) from None
        return mended


def _mend_requirement(text: str) -> Requirement | None:
    head, semicolon, marker = text.partition(";")
    name = re.match(_NAME_AND_EXTRAS, head)
    if name is None or "@" in head:
        return None
    specifier = head[name.end() :].strip("() ")
    if specifier and specifier[0] not in "<>=!~":
        return None
    for candidate in _mended(specifier):
        try:
            return parse_requirement(f"{name[0].strip()}{candidate}{semicolon}{marker}")
        except RequirementError:
            continue
    return None


def _mended(specifier: str) -> Iterator[str]:
    """The specifier as it stands, then with one mending after the other."""
    yield specifier
    for pattern, replacement in _MENDINGS:
        mended = re.sub(pattern, replacement, specifier)
        if mended != specifier:
            specifier = mended
            yield specifier


def _mend_specifier(text: str) -> str:
    """A Requires-Python that can be read, else the text as it is: what admits nobody is not decided here."""
    for candidate in _mended(text):
        try:
            check_specifier(candidate)
        except RequirementError:
            continue
        return candidate
    return text
