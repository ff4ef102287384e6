"""Continuations on their way share their beginnings, and say what ended them."""

import pytest

from charlm.decoding import Hypothesis, Node, Rules

STOP = 4


@pytest.fixture
def rules():
    return Rules(vocab_size=5, stop_id=STOP)


def follow(node, tokens, rules):
    for token in tokens:
        node = node.follow(token, node.log_prob - 1.0, node.score - 0.5, rules)
    return node


@pytest.mark.parametrize("tokens", [(), (2,), (0, 3, 3, 1)])
def test_a_node_remembers_its_way(rules, tokens):
    node = follow(Node.root(rules), tokens, rules)

    assert node.path() == tokens
    assert node.length == len(tokens)
    assert not node.stopped
    assert node.hypothesis(rules) == Hypothesis(
        tokens, -1.0 * len(tokens), -0.5 * len(tokens), "length"
    )


def test_stop_ends_a_text_and_is_no_part_of_it(rules):
    node = follow(Node.root(rules), (1, 2, STOP), rules)

    assert node.stopped
    assert node.path() == (1, 2, STOP)
    assert node.hypothesis(rules) == Hypothesis((1, 2), -3.0, -1.5, "<stop>")


def test_nodes_that_part_keep_what_they_share(rules):
    shared = follow(Node.root(rules), (1, 2), rules)

    left, right = follow(shared, (0, 0), rules), follow(shared, (3,), rules)

    assert left.path() == (1, 2, 0, 0)
    assert right.path() == (1, 2, 3)
    assert shared.path() == (1, 2)
    assert left.parent.parent is right.parent is shared


def test_a_stop_string_ends_a_text_and_is_part_of_its_tokens(end_watch):
    rules = Rules(vocab_size=5, stop_id=STOP, watch=end_watch((1, 2), (3, 3)))

    node = follow(Node.root(rules), (0, 1, 2), rules)

    assert node.stopped
    assert node.hypothesis(rules) == Hypothesis((0, 1, 2), -3.0, -1.5, "stop string")


def test_each_branch_watches_its_own_text(end_watch):
    rules = Rules(vocab_size=5, stop_id=STOP, watch=end_watch((1, 2)))
    shared = follow(Node.root(rules), (1,), rules)

    assert not follow(shared, (0,), rules).stopped
    assert follow(shared, (2,), rules).stopped
    assert not follow(shared, (0, 2), rules).stopped
    assert not follow(Node.root(rules), (2,), rules).stopped


def test_stop_ends_a_text_whatever_is_watched(end_watch):
    rules = Rules(vocab_size=5, stop_id=STOP, watch=end_watch((1, 2)))

    assert follow(Node.root(rules), (1, STOP), rules).hypothesis(rules).end == "<stop>"
