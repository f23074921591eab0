"""What goes and what stays, and in which order; no file is touched."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from envforge.plan.prune import DAY_S, IDLE_S, Item, Key, Kind, PruneDemand, Stay, plan_prune

NOW_S = 1_000 * DAY_S
GRACE_S = 3600.0


def key(kind: Kind, name: str) -> Key:
    return Key(kind, name)


def tree(name: str, size: int = 10, idle_s: float = DAY_S, stay: Stay | None = None) -> Item:
    return Item(key(Kind.TREE, name), size, NOW_S - idle_s, stay=stay)


def generation(
    name: str, *trees: str, stay: Stay | None = None, idle_s: float = DAY_S, holds: Iterable[Key] = ()
) -> Item:
    held = frozenset([*(key(Kind.TREE, each) for each in trees), *holds])
    return Item(key(Kind.GENERATION, name), 0, NOW_S - idle_s, held, stay)


def archive(name: str, size: int = 10, idle_s: float = DAY_S) -> Item:
    return Item(key(Kind.ARCHIVE, name), size, NOW_S - idle_s)


def removed(items: Iterable[Item], **demand: object) -> list[str]:
    plan = plan_prune(items, PruneDemand(now_s=NOW_S, grace_s=GRACE_S, **demand))  # type: ignore[arg-type]
    return [item.key.name for item in plan.removals]


def test_what_nothing_holds_goes_with_what_held_it() -> None:
    items = [
        generation("current", "a", "b", stay=Stay.CURRENT),
        generation("old", "b", "c"),
        *map(tree, "abcd"),
    ]
    assert set(removed(items)) == {"old", "c", "d"}
    assert removed(items).index("old") < removed(items).index("c"), "a holder goes first"


@pytest.mark.parametrize("stay", [Stay.CURRENT, Stay.RUNNING, Stay.FRESH, Stay.OTHERS])
@pytest.mark.parametrize("demand", [{}, {"everything": True}, {"max_size_bytes": 0}])
def test_what_is_in_use_never_goes(stay: Stay, demand: dict[str, object]) -> None:
    assert (
        removed(
            [generation("g", "a", stay=stay, idle_s=900 * DAY_S), tree("a", idle_s=900 * DAY_S)], **demand
        )
        == []
    )


def test_the_last_ones_stay_unless_everything_is_to_go() -> None:
    items = [generation("last", "a", stay=Stay.RECENT), tree("a")]
    assert removed(items) == []
    assert removed(items, everything=True) == ["last", "a"]


def test_what_was_used_within_the_grace_time_stays() -> None:
    items = [tree("new", idle_s=GRACE_S - 1), tree("old", idle_s=GRACE_S + 1), generation("g", "new")]
    assert set(removed(items)) == {"old", "g"}
    assert set(removed(items, everything=True)) == {"old", "g"}
    assert set(removed(items, max_size_bytes=0)) == {"old", "g"}


def test_clocks_that_differ_by_minutes_protect_and_times_of_next_year_do_not() -> None:
    assert removed([tree("ahead", idle_s=-300.0), tree("absurd", idle_s=-300 * DAY_S)]) == ["absurd"]


def test_what_a_process_names_stays() -> None:
    assert removed([tree("mapped", stay=Stay.RUNNING), tree("other")], everything=True) == ["other"]


def test_what_can_be_fetched_or_built_again_stays_for_a_while() -> None:
    build = Item(key(Kind.BUILD, "built"), 0, NOW_S - DAY_S, frozenset({key(Kind.TREE, "wheel")}))
    items = [archive("young"), archive("old", idle_s=IDLE_S + 1), build, tree("wheel")]
    assert removed(items) == ["old"]
    assert set(removed(items, everything=True)) == {"young", "old", "built", "wheel"}


def test_a_build_that_an_environment_uses_is_remembered_however_old() -> None:
    wheel, built = key(Kind.TREE, "wheel"), key(Kind.BUILD, "built")
    items = [
        generation("g", stay=Stay.CURRENT, holds=[wheel, built]),
        Item(built, 0, 0.0, frozenset({wheel})),
        tree("wheel", idle_s=NOW_S),
    ]
    assert removed(items, everything=True) == []


def test_a_prefix_holds_its_packages() -> None:
    package = Item(key(Kind.CONDA_PACKAGE, "p-1-0"), 50, 0.0)
    prefix = Item(key(Kind.PREFIX, "/x"), 0, 0.0, frozenset({package.key}))
    held = generation("g", stay=Stay.CURRENT, holds=[prefix.key])
    assert removed([held, prefix, package], everything=True) == []
    assert removed([prefix, package]) == ["/x", "p-1-0"]


def test_nothing_goes_as_long_as_all_fits() -> None:
    assert removed([tree("unneeded"), archive("old", idle_s=2 * IDLE_S)], max_size_bytes=20) == []


def test_the_least_recently_used_goes_first_until_the_rest_fits() -> None:
    items = [tree("t1", idle_s=9 * DAY_S), archive("a", idle_s=8 * DAY_S), tree("t2", idle_s=7 * DAY_S)]
    assert removed(items, max_size_bytes=20) == ["t1"]
    assert removed(items, max_size_bytes=19) == ["t1", "a"]
    assert removed(items, max_size_bytes=0) == ["t1", "a", "t2"]


def test_a_tree_was_last_used_when_what_held_it_was() -> None:
    items = [
        generation("g", "held", idle_s=2 * DAY_S),
        tree("held", idle_s=90 * DAY_S),
        tree("lone", idle_s=3 * DAY_S),
    ]
    assert removed(items, max_size_bytes=10) == ["lone"]


def test_earlier_environments_go_last_and_only_for_a_size() -> None:
    items = [
        generation("current", "a", stay=Stay.CURRENT),
        generation("older", "a", "b", stay=Stay.RECENT, idle_s=50 * DAY_S),
        generation("oldest", "b", "c", stay=Stay.RECENT, idle_s=60 * DAY_S),
        *map(tree, "abc"),
        archive("x"),
    ]
    assert removed(items, max_size_bytes=30) == ["x"]
    assert removed(items, max_size_bytes=20) == ["x", "oldest", "c"]
    assert removed(items, max_size_bytes=10) == ["x", "oldest", "c", "older", "b"]
    plan = plan_prune(items, PruneDemand(now_s=NOW_S, grace_s=GRACE_S, max_size_bytes=5))
    assert not plan.fits
    assert plan.left_bytes == 10
    assert plan.kept_bytes == {"needed by environments in use": 10}
    plan = plan_prune(items, PruneDemand(now_s=NOW_S, grace_s=GRACE_S, everything=True))
    assert plan.fits
    assert plan.kept_bytes == {"needed by environments in use": 10}  # whoever asks for all wants to know


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_there_what_stays_has_what_it_holds(seed: int) -> None:
    dice = random.Random(seed)
    names = [f"t{number}" for number in range(12)]
    items: list[Item] = [
        tree(
            name,
            dice.randrange(100),
            dice.choice([60.0, DAY_S, 200 * DAY_S]),
            dice.choice([None, None, Stay.RUNNING]),
        )
        for name in names
    ]
    for number in range(6):
        stay = dice.choice([None, *Stay])
        items.append(
            generation(f"g{number}", *dice.sample(names, 4), stay=stay, idle_s=dice.random() * 9 * DAY_S)
        )
    limit = dice.choice([None, 0, 300])
    demand = PruneDemand(
        now_s=NOW_S, grace_s=GRACE_S, max_size_bytes=limit, everything=limit is None and dice.random() < 0.5
    )
    plan = plan_prune(items, demand)
    gone = {item.key for item in plan.removals}
    assert len(gone) == len(plan.removals)
    left = [item for item in items if item.key not in gone]
    assert not {held for item in left for held in item.holds} & gone
    assert plan.left_bytes == sum(item.size_bytes for item in left)
    firm = (Stay.CURRENT, Stay.RUNNING, Stay.FRESH, Stay.OTHERS)
    assert all(item.stay not in firm for item in plan.removals)
    if limit is None:
        held = {each for item in left for each in item.holds}
        spare = [item for item in left if item.stay is None and item.key not in held]
        assert all(NOW_S - item.used_s < GRACE_S for item in spare), "nothing that is not needed is left"
