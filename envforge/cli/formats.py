"""Numbers as people read them."""

from __future__ import annotations


def format_duration(duration_s: float) -> str:
    """``12 ms``, ``0.21 s``, ``1.3 s``, ``32 s``, ``2 min 5 s``."""
    if duration_s < 0.0995:
        return f"{duration_s * 1000:.0f} ms"
    if duration_s < 0.995:
        return f"{duration_s:.2f} s"
    if duration_s < 9.95:
        return f"{duration_s:.1f} s"
    seconds = round(duration_s)
    if seconds < 60:
        return f"{seconds} s"
    return f"{seconds // 60} min {seconds % 60} s"


def format_latency(latency_s: float) -> str:
    """Of one operation: ``8.6 µs``, ``61 µs``, ``0.48 ms``, ``2.1 ms``, ``20 ms``."""
    for factor, unit in ((1e6, "µs"), (1e3, "ms")):
        number = latency_s * factor
        if number < 9.95:
            return f"{number:.1f} {unit}" if number >= 0.995 or unit == "µs" else f"{number:.2f} {unit}"
        if number < 99.5:
            return f"{number:.0f} {unit}"
    return format_duration(latency_s)


def format_rate(bytes_per_s: float) -> str:
    """``1.3 GB/s``."""
    return f"{format_size(bytes_per_s)}/s"


def format_size(size_bytes: float) -> str:
    """``312 B``, ``4.5 kB``, ``63 MB``, ``3.2 GB``: powers of 1000, as indexes and disks count."""
    if size_bytes < 999.5:
        return f"{size_bytes:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size_bytes /= 1000
        if size_bytes < 9.95:
            return f"{size_bytes:.1f} {unit}"
        if size_bytes < 999.5:
            return f"{size_bytes:.0f} {unit}"
    return f"{size_bytes / 1000:.1f} TB"


def count(number: int, noun: str) -> str:
    """``1 package``, ``175 packages``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
