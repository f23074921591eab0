"""Tables, plots and the page, from results."""

from xml.etree import ElementTree

import pytest

from benchmarks.plots import Dot, Point, dot_plot, line_plot
from benchmarks.report import BEGIN, END, memory_table, text_report, time_table, write_page
from benchmarks.results import Growth, Results, Run, Sample, StackFacts


def samples(*seconds, peak=50_000_000):
    return [Sample(value, 0.1, peak) for value in seconds]


def stack(name, title):
    return StackFacts(name=name, title=title, about="About.", requirements=["a"], platforms=["linux-64"])


@pytest.fixture
def results():
    lock = Run(stack="small", scenario="lock warm")
    lock.samples = {"envforge": samples(1.0, 3.0, 2.0), "uv": samples(4.0, 4.0, 4.0), "pdm": samples(40.0)}
    lock.failures = {"Poetry": "warning: a\nError: no <such> index\nbye"}
    cold = Run(stack="small", scenario="sync cold", notes=["room was made"])
    cold.samples = {"uv": samples(0.5, 0.5)}
    start = Run(stack="", scenario="--version", samples={"envforge": samples(0.01), "uv": samples(0.02)})
    points = [
        Run(stack=f"large-{n}", scenario="lock warm", samples={"uv": samples(n / 100)}) for n in (10, 400)
    ]
    return Results(
        machine={"file system": "ext4"},
        date="2026-11-01",
        tools={"envforge": "0.1", "uv": "0.13", "Poetry": "2", "pdm": "2.29"},
        caveats=["uv links each file."],
        left_out={"pip-tools": "not here"},
        stacks=[stack("small", "A small stack"), stack("large-10", "10"), stack("large-400", "400")],
        runs=[start, lock, cold, *points],
        growth=[
            Growth(
                name="lock warm, by packages",
                x_label="packages",
                scenario="lock warm",
                points=[(12.0, "large-10"), (423.0, "large-400")],
            )
        ],
    )


def test_a_row_has_medians_spreads_and_ratios(results):
    row = time_table([results.find("small", "lock warm")], list(results.tools)).splitlines()[-1]
    assert row == (
        "| lock warm | 2.000 (1.000–3.000) | **0.50** | 4.000 (4.000–4.000) | failed |  "
        "| 40.0 (once) | **10.00** |"
    )


def test_every_row_of_a_table_is_as_wide_as_its_header(results):
    for table in (time_table, memory_table):
        lines = table(results.of_stack("small"), list(results.tools)).splitlines()
        assert len({line.count("|") for line in lines}) == 1


def test_without_uv_there_are_no_ratios(results):
    table = time_table(results.of_stack("small"), ["envforge"])
    assert "× uv" not in table
    assert "**" not in table


def test_memory_together_is_told_where_it_is_more(results):
    run = results.find("small", "lock warm")
    run.warm_ups = {"uv": samples(1.0), "envforge": [Sample(1.0, 1.0, 1, 300_000_000)]}
    assert (
        memory_table([run], ["envforge", "uv"]).splitlines()[-1] == "| lock warm | 50 (300 together) | 50 |"
    )


def test_the_text_says_what_was_left_out(results):
    text = text_report(results)
    assert "left out: pip-tools: not here" in text
    assert "# A small stack" in text
    assert "# 400" not in text  # a point of a curve, not a table


def test_the_page_keeps_what_people_wrote(results, tmp_path):
    page = tmp_path / "figures.md"
    page.write_text(f"# Ours\n\nBefore.\n\n{BEGIN}\nold figures\n{END}\n\nAfter.\n")
    write_page(results, page)
    text = page.read_text()
    assert text.startswith("# Ours\n\nBefore.\n")
    assert text.endswith(f"{END}\n\nAfter.\n")
    assert "old figures" not in text
    assert "failed: `Error: no <such> index`" in text
    assert "room was made: sync cold" in text
    write_page(results, page)
    assert page.read_text() == text


def test_the_page_shows_every_plot_that_there_is(results, tmp_path):
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "stale.svg").write_text("<svg/>")
    page = tmp_path / "figures.md"
    write_page(results, page)
    drawn = sorted(file.name for file in folder.iterdir())
    assert drawn == ["growth-lock-warm-by-packages.svg", "small.svg", "start.svg"]
    assert all(f"(figures/{name})" in page.read_text() for name in drawn)


def _elements(drawing, tag, kind):
    root = ElementTree.fromstring(drawing)
    found = root.iter(f"{{http://www.w3.org/2000/svg}}{tag}")
    return [each for each in found if kind in each.get("class", "").split()]


def test_a_dot_lies_where_the_logarithm_says():
    dots = {"uv": Dot(1.0, 0.5, 2.0), "envforge": Dot(0.1, 0.1, 0.1), "pdm": Dot(10.0, 10.0, 10.0)}
    drawing = dot_plot("t", [("lock", dots)], ["uv", "envforge", "pdm"])
    (uv,) = [each for each in _elements(drawing, "circle", "mark") if "lock" in "".join(each.itertext())]
    ends = [float(each.get("x1")) for each in _elements(drawing, "line", "whisker")]
    assert ends[1] < ends[0] < float(uv.get("cx")) < ends[2]
    assert float(uv.get("cx")) - ends[1] == pytest.approx(ends[2] - float(uv.get("cx")), abs=0.2)


def test_linear_growth_is_a_straight_line_through_the_origin():
    curve = [Point(x, x * 0.01, x * 0.01, x * 0.01) for x in (100.0, 200.0, 400.0)]
    (line,) = _elements(line_plot("t", {"uv": curve}, "x", "s", ["uv"]), "polyline", "curve")
    (x1, y1), (x2, y2), (x3, y3) = [
        tuple(map(float, corner.split(","))) for corner in line.get("points").split()
    ]
    assert (y2 - y1) / (x2 - x1) == pytest.approx((y3 - y2) / (x3 - x2), rel=0.01)
    assert (x2 - x1) * 2 == pytest.approx(x3 - x2, abs=0.3)


def test_plots_are_xml_whatever_the_names_are():
    drawing = dot_plot('<a & "b">', [("x < y", {"<uv>": Dot(1.0, 1.0, 1.0)})], ["<uv>"])
    assert '<a & "b">' in "".join(ElementTree.fromstring(drawing).itertext())
    assert "prefers-color-scheme:dark" in drawing
    ElementTree.fromstring(line_plot("empty", {}, "x", "y", []))
