"""Paths in a manifest: from the project's folder, with ``/`` everywhere, so that locks are the same."""

from __future__ import annotations


def is_folder_path(text: str) -> bool:
    """Whether a text is a path, not a URL; ``""`` is neither."""
    return bool(text) and "://" not in text and "\0" not in text


def folder_path(text: str) -> str:
    """A path in one spelling: ``wheels/`` and ``./wheels`` are ``./wheels``; it can be told from a name."""
    text = text.replace("\\", "/").rstrip("/") or "/"
    return text if text.startswith(("./", "../", "/", "~/")) or text in (".", "..") else f"./{text}"
