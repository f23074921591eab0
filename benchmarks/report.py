"""Results as tables, and as the generated part of a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.plots import Dot, Point, dot_plot, line_plot
from benchmarks.results import Growth, Results, Run, StackFacts

BEGIN = "<!-- measured: made by benchmarks/run.py, do not edit -->"
END = "<!-- measured: end -->"
BASE = "uv"


def time_table(runs: Sequence[Run], tools: Sequence[str]) -> str:
    """Medians in seconds with least and most, and each tool's ratio to uv."""
    header, rule = ["scenario"], ["---"]
    for tool in tools:
        columns = [f"{tool}, s (min–max)"] + (["× uv"] if _has_ratio(tool, tools) else [])
        header += columns
        rule += ["---:"] * len(columns)
    rows = [_row(header), _row(rule)]
    for run in runs:
        cells = [run.scenario]
        for tool in tools:
            cells.append(_time_cell(run, tool))
            if _has_ratio(tool, tools):
                ratio = run.ratio(tool, BASE)
                cells.append(f"**{ratio:.2f}**" if ratio is not None else "")
        rows.append(_row(cells))
    return "\n".join(rows)


def memory_table(runs: Sequence[Run], tools: Sequence[str]) -> str:
    """Peak memory in MB: the largest process, and all together where that is a tenth more."""
    rows = [_row(["scenario", *(f"{tool}, MB" for tool in tools)]), _row(["---", *("---:" for _ in tools)])]
    rows += [_row([run.scenario, *(_memory_cell(run, tool) for tool in tools)]) for run in runs]
    return "\n".join(rows)


def _has_ratio(tool: str, tools: Sequence[str]) -> bool:
    return tool != BASE and BASE in tools


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _time_cell(run: Run, tool: str) -> str:
    seconds = run.seconds(tool)
    if seconds is None:
        return "failed" if tool in run.failures else ""
    if seconds.count == 1:
        return f"{_short(seconds.median)} (once)"
    return f"{_short(seconds.median)} ({_short(seconds.least)}–{_short(seconds.most)})"


def _memory_cell(run: Run, tool: str) -> str:
    peak, total = run.peak_bytes(tool), run.total_bytes(tool)
    if peak is None:
        return ""
    together = f" ({total / 1e6:.0f} together)" if total > 1.1 * peak.median else ""
    return f"{peak.median / 1e6:.0f}{together}"


def _short(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds < 10 else f"{seconds:.1f}"


def text_report(results: Results) -> str:
    """All tables, for a terminal."""
    parts = []
    for title, name, runs in _sections(results):
        tools = _tools_in(results, runs)
        tables = [time_table(runs, tools), memory_table(runs, tools)] if runs else []
        parts += [f"# {title}", *tables, *_figures(results, name)]
    for tool, why in results.left_out.items():
        parts.append(f"left out: {tool}: {why}")
    return "\n\n".join(parts)


def _sections(results: Results) -> list[tuple[str, str, list[Run]]]:
    """Title, stack and runs of each part: start-up, then the stacks; the points of curves are no part."""
    curve_points = {stack for growth in results.growth for _, stack in growth.points}
    names = [("Start-up", "")]
    names += [(stack.title, stack.name) for stack in results.stacks if stack.name not in curve_points]
    sections = [(title, name, results.of_stack(name)) for title, name in names]
    return [section for section in sections if section[2] or results.figures.get(section[1])]


def _tools_in(results: Results, runs: Sequence[Run]) -> list[str]:
    return [
        tool for tool in results.tools if any(tool in run.samples or tool in run.failures for run in runs)
    ]


def write_page(results: Results, page: Path) -> None:
    """Renew the generated part of a page, or make one; plots go into a folder named as the page.

    Args:
        results: what was measured.
        page: Markdown. What stands outside the generated part stays as it is.
    """
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    plots = _plots(results)
    for stale in folder.glob("*.svg"):
        stale.unlink()
    for name, drawing in plots.items():
        (folder / f"{name}.svg").write_text(drawing, encoding="utf-8")
    text = page.read_text(encoding="utf-8") if page.exists() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
    if BEGIN not in text:
        text += f"\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(
        f"{before}{BEGIN}\n\n{_generated(results, folder.name, plots)}\n\n{END}{after}", encoding="utf-8"
    )


def _generated(results: Results, folder: str, plots: dict[str, str]) -> str:
    parts = [_setting(results)]
    stacks = {stack.name: stack for stack in results.stacks}
    for title, name, runs in _sections(results):
        tools = _tools_in(results, runs)
        parts.append(f"## {title}")
        if name in stacks:
            parts += [stacks[name].about, _size(stacks[name])]
        drawing = name or "start"
        if drawing in plots:
            parts.append(f"![Seconds of each scenario, by tool]({folder}/{drawing}.svg)")
        if runs:
            parts += [time_table(runs, tools), "Peak memory of the largest process:"]
            parts.append(memory_table(runs, tools))
        parts += [*_figures(results, name), *_remarks(runs)]
    if results.growth:
        parts.append("## Growth")
        parts += [f"![{growth.name}]({folder}/{_slug(growth)}.svg)" for growth in results.growth]
    parts += ["## What cannot be compared", "\n".join(f"- {caveat}" for caveat in results.caveats)]
    return "\n\n".join(part for part in parts if part)


def _setting(results: Results) -> str:
    lines = [f"- {key}: {value}" for key, value in results.machine.items()]
    lines.append("- tools: " + ", ".join(f"{tool} {version}" for tool, version in results.tools.items()))
    lines += [f"- left out: {tool} ({why})" for tool, why in results.left_out.items()]
    return f"Measured on {results.date}:\n\n" + "\n".join(lines)


def _size(stack: StackFacts) -> str:
    size = f"{stack.packages} distributions, {stack.files:,} files, {stack.bytes / 1e9:.1f} GB installed; "
    return (
        f"{size if stack.packages else ''}locked for {', '.join(stack.platforms)}. {stack.difference}".strip()
    )


def _figures(results: Results, stack: str) -> list[str]:
    lines = results.figures.get(stack, [])
    return ["\n".join(f"- {line}" for line in lines)] if lines else []


def _remarks(runs: Sequence[Run]) -> list[str]:
    lines = [
        f"- {run.scenario}, {tool}: {_reason(why)}" for run in runs for tool, why in run.failures.items()
    ]
    notes = {note: [run.scenario for run in runs if note in run.notes] for run in runs for note in run.notes}
    lines += [f"- {note}: {', '.join(scenarios)}" for note, scenarios in notes.items()]
    return ["\n".join(lines)] if lines else []


def _reason(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    found = (errors or lines[-1:] or ["failed"])[0]
    return found if len(lines) < 2 else f"failed: `{found[:200].replace('`', '')}`"


def _plots(results: Results) -> dict[str, str]:
    drawings = {}
    for title, name, runs in _sections(results):
        rows = []
        for run in runs:
            dots = {}
            for tool in results.tools:
                seconds = run.seconds(tool)
                if seconds:
                    dots[tool] = Dot(seconds.median, seconds.least, seconds.most)
            if dots:
                rows.append((run.scenario, dots))
        if rows:
            drawings[name or "start"] = dot_plot(f"{title}: seconds", rows, list(results.tools))
    for growth in results.growth:
        drawings[_slug(growth)] = line_plot(
            growth.name, _curves(results, growth), growth.x_label, "seconds", list(results.tools)
        )
    return drawings


def _curves(results: Results, growth: Growth) -> dict[str, list[Point]]:
    curves: dict[str, list[Point]] = {}
    for x, stack in growth.points:
        run = results.find(stack, growth.scenario)
        for tool in results.tools:
            seconds = run.seconds(tool) if run else None
            if seconds:
                curves.setdefault(tool, []).append(Point(x, seconds.median, seconds.least, seconds.most))
    return curves


def _slug(growth: Growth) -> str:
    return "growth-" + "-".join("".join(c if c.isalnum() else " " for c in growth.name.lower()).split())
