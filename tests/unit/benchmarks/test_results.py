"""Medians, ratios and the JSON of benchmarks."""

import json

import pytest

from benchmarks.results import (
    Growth,
    Results,
    Run,
    Sample,
    StackFacts,
    from_json,
    joined,
    spread_of,
    to_json,
)


def run_of(stack="small", scenario="lock warm", **seconds):
    samples = {tool: [Sample(value, 0.1, 50_000_000) for value in values] for tool, values in seconds.items()}
    return Run(stack=stack, scenario=scenario, samples=samples)


def results_of(*runs, **changes):
    fields = {"machine": {"cores": "2"}, "date": "2026-11-01", "tools": {"envforge": "1", "uv": "2"}}
    return Results(**{**fields, "runs": list(runs), **changes})


def test_the_spread_is_median_least_and_most():
    spread = spread_of([3.0, 1.0, 8.0, 2.0])
    assert (spread.median, spread.least, spread.most, spread.count) == (2.5, 1.0, 8.0, 4)


def test_the_ratio_is_of_medians():
    run = run_of(envforge=[1.0, 1.0, 100.0], uv=[2.0, 4.0, 6.0])
    assert run.ratio("envforge", "uv") == 0.25
    assert run.ratio("uv", "envforge") == 4.0


def test_without_samples_there_is_no_ratio():
    run = run_of(envforge=[1.0])
    assert run.ratio("envforge", "uv") is None
    assert run.ratio("uv", "envforge") is None
    assert run.seconds("uv") is None


def test_memory_of_all_processes_comes_from_the_warm_up():
    run = run_of(uv=[1.0])
    assert run.total_bytes("uv") == 0
    run.warm_ups["uv"] = [Sample(1.0, 1.0, 7, 70), Sample(1.0, 1.0, 7, 60)]
    assert run.total_bytes("uv") == 70


def test_json_comes_back_as_it_was():
    run = run_of(uv=[1.0, 2.0])
    run.warm_ups["uv"] = [Sample(9.0, 1.0, 5, 6)]
    run.failures["pdm"] = "no"
    stack = StackFacts(
        name="small", title="Small", about="", requirements=["a"], platforms=["win-64"], files=3
    )
    growth = Growth(name="g", x_label="x", scenario="lock warm", points=[(10.0, "small")])
    results = results_of(run, stacks=[stack], growth=[growth], left_out={"pdm": "why"}, caveats=["c"])
    assert from_json(json.loads(json.dumps(to_json(results)))) == results


def test_json_of_another_format_is_refused():
    with pytest.raises(ValueError, match="format 7"):
        from_json({**to_json(results_of()), "format": 7})


def test_sessions_are_joined_and_the_later_wins():
    first = results_of(run_of(uv=[1.0]), run_of("large", uv=[5.0]), caveats=["c"])
    second = results_of(
        run_of(uv=[2.0]), date="2026-11-03", tools={"uv": "2", "pdm": "3"}, caveats=["c", "d"]
    )
    whole = joined([first, second])
    assert whole.date == "2026-11-03"
    assert list(whole.tools) == ["envforge", "uv", "pdm"]
    assert whole.caveats == ["c", "d"]
    assert [(run.stack, run.samples["uv"][0].wall_s) for run in whole.runs] == [
        ("small", 2.0),
        ("large", 5.0),
    ]


def test_what_is_new_stands_where_it_was_measured():
    first = results_of(run_of(scenario="a", uv=[1.0]), run_of(scenario="c", uv=[1.0]))
    second = results_of(run_of(scenario="a", uv=[2.0]), run_of(scenario="b", uv=[2.0]))
    third = results_of(run_of("large", scenario="a", uv=[3.0]))
    runs = joined([first, second, third]).runs
    assert [(run.scenario, run.samples["uv"][0].wall_s) for run in runs] == [
        ("a", 2.0),
        ("b", 2.0),
        ("c", 1.0),
        ("a", 3.0),
    ]


def test_sessions_of_two_machines_are_not_joined():
    with pytest.raises(ValueError, match="different machines"):
        joined([results_of(), results_of(machine={"cores": "64"})])
