"""A text written by turns: parts are added, taken back and tried again."""

import pytest

from charlm.api import Session
from charlm.decoding import DecodingConfig
from charlm.errors import ConfigError


@pytest.fixture
def session(trained):
    return Session(trained("char"), DecodingConfig(max_new_tokens=12, min_new_tokens=12), seed=1)


def test_the_text_is_what_both_have_written(session):
    session.add("The fox")
    first = "".join(session.go_on())
    session.add(" and")
    second = "".join(session.go_on())

    assert session.text == "The fox" + first + " and" + second
    assert len(first) == len(second) == 12


def test_the_same_moves_under_the_same_seed_give_the_same_text(trained):
    def play(seed):
        session = Session(trained("char"), DecodingConfig(max_new_tokens=20), seed)
        session.add("The ")
        list(session.go_on())
        list(session.retry())
        list(session.go_on())
        return session.text

    assert play(1) == play(1) != play(2)


def test_trying_again_gives_another_continuation_of_the_same_text(session):
    session.add("The fox")
    first = "".join(session.go_on())

    second = "".join(session.retry())

    assert first != second
    assert session.text == "The fox" + second


def test_what_a_person_wrote_is_not_tried_again(session):
    with pytest.raises(ConfigError, match="the model has not written last"):
        session.retry()
    list(session.go_on())
    session.add("The fox")

    with pytest.raises(ConfigError, match="the model has not written last"):
        session.retry()


def test_what_has_come_stays_when_the_model_is_interrupted(session):
    session.add("The fox")
    pieces = session.go_on()
    begun = next(pieces) + next(pieces)

    pieces.close()

    assert session.text == "The fox" + begun
    assert session.undo() == begun


def test_the_last_parts_are_taken_back_one_by_one(session):
    session.add("The fox")
    written = "".join(session.go_on())

    assert [session.undo(), session.undo(), session.undo()] == [written, "The fox", ""]
    assert session.text == ""


def test_one_of_several_offers_is_gone_on_with(session):
    session.add("The fox")
    offers = session.offer(3)

    session.choose(offers[1])

    assert len({offer.text for offer in offers}) == 3
    assert session.text == "The fox" + offers[1].text
    assert session.config.num_return_sequences == 1
    assert session.undo() == offers[1].text


def test_words_are_joined_by_a_space(trained):
    session = Session(trained("word"), DecodingConfig(), seed=1)

    for text in ("The", "fox", "\nand", "the"):
        session.add(text)

    assert session.text == "The fox\nand the"


def test_settings_change_from_now_on_and_mistakes_leave_them_as_they_were(session):
    session.add("The fox")

    session.change(max_new_tokens=3, min_new_tokens=3)
    assert len("".join(session.go_on())) == 3
    with pytest.raises(ConfigError, match="max_new_tokens"):
        session.change(max_new_tokens=0)
    assert session.config.max_new_tokens == 3
    session.reset("max_new_tokens")
    assert session.config == DecodingConfig(min_new_tokens=3)


def test_a_new_text_begins_with_nothing(session):
    session.add("The fox")

    session.clear()

    assert session.text == ""
