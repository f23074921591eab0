"""Anchors of an HTML page, cut out in one pass of a regular expression.

:mod:`html.parser` needs 25 microseconds an anchor, and a page may have ten thousand. Attributes may
have double, single or no quotes, ``>`` inside quotes, any case and any order; comments, scripts and
style sheets are passed over.

Standard: the tokenizer of HTML (whatwg.org), as far as pages of PEP 503 can make use of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias

Anchor: TypeAlias = dict[str, str]
"""Attributes of a start tag: lower-case name → value, character references replaced."""

# Possessive throughout, so that no page can make the matching go back and forth. Texts, not compiled: a page
# out of the cache needs none of them.
_ATTRIBUTE = r"""[\s/]*+[^\s>/=<][^\s>/=<]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>]*+))?+"""
_PART = r"""[^"\-\#%&/]"""
# First an anchor to a wheel as nearly every index writes it: 1 microsecond instead of 4. Two things make it
# fast: all alternatives begin with the same "<", which the engine then searches for, and sets of characters
# stand only where the name is. Groups: that tag, in it "name-version"; any other tag that matters.
_TAGS = rf"""<(?:
        a\ (href="[^"]*/({_PART}++-{_PART}++)-(?:[0-9]{_PART}*+-)?{_PART}++-{_PART}++-{_PART}++(?<=\.whl)
            (?:\#[^"]*+)?"(?:\ [a-z-]++="[^"]*+")*+)>
        |!--.*?(?:--!?>|\Z)
        |(?i:script|style)(?=[\s>/]).*?(?:</(?i:script|style)|\Z)
        |((?i:a|base|meta)(?=[\s/])(?:{_ATTRIBUTE})*+[\s/]*+)>
    )""".encode()
_ATTRIBUTES = r"""[\s/]*+([^\s>/=<][^\s>/=<]*+)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>]*+)))?+"""
_USUAL_NAME = re.compile(r"\s*([a-z][a-z-]*)\s*=\s*")
_FORM = rb"<(?i:form|input|script)\b"


class CutAnchors:
    """The anchors of a page, as the raw text of their attributes.

    Args:
        wheels: ``name-version`` at the beginning of a well-formed wheel's name → anchors.
        others: any other href → anchors.
        base_href: of ``<base>``, ``""`` where there is none.
        repository_version: what the page says about its version (PEP 629), ``""`` for nothing.
        looks_like_page: False for what is no HTML, or a form to fill in.
    """

    def __init__(self, wheels: dict[str, list[bytes]], looks_like_page: bool) -> None:
        self.wheels = wheels
        self.others: dict[str, list[bytes]] = {}
        self.base_href = ""
        self.repository_version = ""
        self.looks_like_page = looks_like_page


def cut_anchors(body: bytes) -> CutAnchors:
    """Find all anchors with an href."""
    wheels: dict[bytes, list[bytes]] = {}
    rest: list[bytes] = []
    page = body.replace(b"\0", b"") if b"\0" in body else body
    for anchor, wheel, tag in re.findall(_TAGS, page, re.DOTALL | re.VERBOSE):
        if wheel:
            try:
                wheels[wheel].append(anchor)
            except KeyError:
                wheels[wheel] = [anchor]
        elif tag:
            rest.append(tag)
    cut = CutAnchors(
        wheels={_text(name): anchors for name, anchors in wheels.items()},
        looks_like_page=b"<" in body and not re.search(_FORM, body),
    )
    has_base = False
    for tag in rest:
        kind = tag[:1].lower()
        if kind == b"a":
            _add_anchor(tag[1:], cut.others)
        elif kind == b"m":
            attributes = _attributes(_text(tag[4:]))
            if attributes.get("name", "").lower() == "pypi:repository-version":
                cut.repository_version = attributes.get("content", "").strip()
        elif not has_base:  # the first one with an href counts, says HTML
            attributes = _attributes(_text(tag[4:]))
            cut.base_href = attributes.get("href", "")
            has_base = "href" in attributes
    return cut


def chunk_anchors(chunk: bytes) -> Iterator[Anchor]:
    """The attributes of raw anchors that are joined by NUL."""
    for anchor in _text(chunk).split("\0"):
        yield _attributes(anchor)


def _add_anchor(raw: bytes, others: dict[str, list[bytes]]) -> None:
    if raw.startswith(b' href="'):
        href = raw[7 : raw.index(b'"', 7)]
        if b"&" not in href:
            others.setdefault(_text(href), []).append(raw)
            return
    attributes = _attributes(_text(raw))
    if "href" in attributes:
        others.setdefault(attributes["href"], []).append(raw)


def _attributes(raw: str) -> Anchor:
    parts = raw.split('"')
    names = _names(*parts[::2]) if len(parts) % 2 else None
    if names is None:
        return _any_attributes(raw)
    values = parts[1::2]
    if "&" in raw:
        values = [unescape(value) if "&" in value else value for value in values]
    return dict(zip(names, values, strict=True))


@lru_cache(256)
def _names(*between: str) -> tuple[str, ...] | None:
    """The names of attributes, from what stands between their values; None if it is not as usual.

    All anchors of an index have one of a few such sequences, and to look it up takes a third of the time
    that a regular expression needs.
    """
    usual = [_USUAL_NAME.fullmatch(text) for text in between[:-1]]
    names = tuple(found[1] for found in usual if found)
    is_usual = len(names) == len(usual) == len(set(names)) and not between[-1].strip()
    return names if is_usual else None


def _any_attributes(raw: str) -> Anchor:
    attributes: Anchor = {}
    for name, double, single, bare in re.findall(_ATTRIBUTES, raw, re.DOTALL):
        value = double or single or bare
        if "&" in value:
            value = unescape(value)
        attributes.setdefault(name if name.islower() else name.lower(), value)
    return attributes


@lru_cache(4096)
def unescape(value: str) -> str:
    """Replace character references; ``&gt;=3.9`` comes a thousand times on a page."""
    plain = value.replace("&gt;", ">").replace("&lt;", "<")
    if "&" not in plain:
        return plain
    import html  # knows 2,000 names

    return html.unescape(value)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
