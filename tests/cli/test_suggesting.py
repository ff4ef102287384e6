"""Which command was meant."""

import pytest

from charlm.cli.suggesting import similar

KNOWN = ["train", "plot", "play", "generate", "eval", "list", "classify"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("gen", ["generate"]),
        ("GEN", ["generate"]),
        ("evaluate", ["eval"]),
        ("pl", ["plot", "play"]),
        ("genrate", ["generate"]),
        ("clasify", ["classify"]),
        ("xyz", []),
        ("", []),
    ],
)
def test_names_that_begin_or_are_spelt_alike_are_near(name, near):
    assert similar(name, KNOWN) == near


@pytest.mark.parametrize(
    ("arguments", "meant"), [(["gen"], "'generate'"), (["vocab", "sho"], "'show'")]
)
def test_an_unknown_command_names_the_one_that_was_meant(charlm, arguments, meant):
    result = charlm(*arguments)

    assert result.status == 2
    assert f"Did you mean {meant}?" in result.err


def test_an_unknown_command_like_no_other_is_said_to_be_unknown(charlm):
    assert "No such command 'xyz'" in charlm("xyz").err
