"""``envforge tree``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envforge.cli.options import positive_number
from envforge.cli.surroundings import open_session

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from envforge.cli.options import Parser
    from envforge.cli.output import Output
    from envforge.workflows.tree import TreeNode, TreeReport

_DRAWN = ("├── ", "└── ", "│   ", "    ")
_PLAIN = ("|-- ", "`-- ", "|   ", "    ")


def add_arguments(parser: Parser) -> None:
    """Declare options and arguments."""
    parser.usage = "%(prog)s [options]"
    parser.add_argument("--platform", metavar="PLATFORM", help="such as linux-64 (default: this machine's)")
    parser.add_argument(
        "--variant", metavar="NAME", default="", help="of the project (default: this machine's)"
    )
    parser.add_argument(
        "--group",
        metavar="NAME",
        action="append",
        help="only what this dependency group needs (repeatable)",
    )
    parser.add_argument("--depth", metavar="N", type=positive_number, help="show N levels")
    parser.add_argument("--invert", metavar="NAME", help="show what requires this package, upwards")


def execute(arguments: Namespace, output: Output) -> int:
    """Show the tree."""
    from envforge.workflows.tree import dependency_tree

    with open_session(arguments, output) as session:
        report = dependency_tree(
            session,
            platform=arguments.platform,
            variant=arguments.variant,
            groups=arguments.group,
            depth=arguments.depth,
            invert=arguments.invert,
        )
    if output.json:
        output.document({"target": report.target, "roots": [_node_document(node) for node in report.roots]})
    else:
        output.say(output.paint(report.target, "dim"))
        output.data("".join(f"{line}\n" for line in tree_lines(report, output)))
    return 0


def tree_lines(report: TreeReport, output: Output) -> Iterator[str]:
    """A line for each node; a package that was shown before has ``(*)`` and no children."""
    strokes = _DRAWN if output.can_draw() else _PLAIN
    for root in report.roots:
        yield _label(root, output)
        yield from _branches(root.children, "", strokes, output)


def _branches(
    nodes: Sequence[TreeNode], indent: str, strokes: tuple[str, str, str, str], output: Output
) -> Iterator[str]:
    fork, corner, stem, blank = strokes
    for position, node in enumerate(nodes, 1):
        last = position == len(nodes)
        yield f"{indent}{corner if last else fork}{_label(node, output)}"
        yield from _branches(node.children, indent + (blank if last else stem), strokes, output)


def _label(node: TreeNode, output: Output) -> str:
    parts = [output.paint(node.name, "bold", data=True), node.version]
    if node.requirement:
        parts.append(output.paint(f"[{node.requirement}]", "dim", data=True))
    if node.repeated:
        parts.append("(*)")
    return " ".join(part for part in parts if part)


def _node_document(node: TreeNode) -> dict[str, object]:
    return {
        "name": node.name,
        "version": node.version,
        "requirement": node.requirement or None,
        "repeated": node.repeated,
        "children": [_node_document(child) for child in node.children],
    }
