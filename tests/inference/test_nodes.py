"""The count of what a delegate runs, on listings as the engines give them."""

from __future__ import annotations

from edge_runtime.inference.nodes import DELEGATE, Node, count_nodes

CHAIN = [Node("CONV_2D", (0, 10), (1,)), Node("ADD", (1, 11), (2,)), Node("SOFTMAX", (2,), (3,))]


def test_without_a_delegate_nothing_is_delegated() -> None:
    assert count_nodes(CHAIN) == (3, 0)
    assert count_nodes([]) == (0, 0)


def test_operators_between_a_delegates_ends_are_its_own() -> None:
    assert count_nodes([*CHAIN, Node(DELEGATE, (0, 10, 11), (2,))]) == (3, 2)
    assert count_nodes([*CHAIN, Node(DELEGATE, (0, 10, 11), (3,))]) == (3, 3)
    assert count_nodes([*CHAIN, Node(DELEGATE, (1, 11), (2,))]) == (3, 1)


def test_the_parts_of_a_split_graph_add_up() -> None:
    """Where the middle is not supported there is a delegate's node before it and one after it."""
    assert count_nodes([*CHAIN, Node(DELEGATE, (0, 10), (1,)), Node(DELEGATE, (2,), (3,))]) == (3, 2)


def test_an_operator_within_two_delegates_counts_once() -> None:
    """A second delegate may take the tensor that the first one makes, or make it again."""
    assert count_nodes([*CHAIN, Node(DELEGATE, (0, 10, 11), (2,)), Node(DELEGATE, (0, 10, 11), (3,))]) == (3, 3)
    assert count_nodes([*CHAIN, Node(DELEGATE, (0, 10, 11), (2,)), Node(DELEGATE, (2,), (3,))]) == (3, 3)


def test_a_delegate_that_took_nothing_counts_nothing() -> None:
    assert count_nodes([*CHAIN, Node(DELEGATE, (), ())]) == (3, 0)


def test_branches_are_followed_to_their_ends() -> None:
    """Detectors have two heads on one trunk, and optional inputs that are left out."""
    graph = [
        Node("CONV_2D", (0, -1), (1,)), Node("CONV_2D", (1,), (2,)), Node("CONV_2D", (1,), (3,)),
        Node("CONCATENATION", (2, 3), (4,)), Node("CUSTOM", (4,), (5, 6)),
    ]  # fmt: skip
    assert count_nodes([*graph, Node(DELEGATE, (0,), (4,))]) == (5, 4)
    assert count_nodes([*graph, Node(DELEGATE, (0,), (2, 3))]) == (5, 3)
    assert count_nodes([*graph, Node(DELEGATE, (4,), (5, 6))]) == (5, 1)


def test_an_operator_nothing_needs_is_not_counted_as_delegated() -> None:
    leftover = Node("CAST", (1,), (9,))
    assert count_nodes([*CHAIN, leftover, Node(DELEGATE, (0, 10, 11), (3,))]) == (4, 3)
