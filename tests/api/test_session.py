"""A text written by turns: parts are added, taken back and tried again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.api import Session
from charlm.decoding import DecodingConfig
from charlm.errors import ConfigError

TWELVE = DecodingConfig(max_new_tokens=12, min_new_tokens=12)
MOVES = st.lists(
    st.sampled_from(["fox ", " and", ".", "go on", "interrupt", "retry", "undo", "offer", "clear"]),
    max_size=12,
)


@pytest.fixture
def session(trained):
    return Session(trained("char"), TWELVE, seed=1)


def play(session, moves):
    """Make the moves; the parts there should be, each with whether the model wrote it."""
    parts = []
    for move in moves:
        match move:
            case "go on":
                parts.append(("".join(session.go_on()), True))
            case "interrupt":
                pieces = session.go_on()
                parts.append((next(pieces) + next(pieces), True))
                pieces.close()
            case "retry":
                if parts and parts[-1][1]:
                    parts[-1] = ("".join(session.retry()), True)
                else:
                    with pytest.raises(ConfigError):
                        session.retry()
            case "undo":
                assert session.undo() == (parts.pop()[0] if parts else "")
            case "offer":
                offers = session.offer(2)
                assert session.text == "".join(text for text, _ in parts)
                session.choose(offers[1])
                parts.append((offers[1].text, True))
            case "clear":
                session.clear()
                parts = []
            case text:
                session.add(text)
                parts.append((text, False))
    return parts


@given(MOVES)
@settings(max_examples=30)
def test_the_text_is_its_parts_whatever_the_moves(trained, moves):
    session = Session(trained("char"), TWELVE, seed=1)

    parts = play(session, moves)

    assert session.text == "".join(text for text, _ in parts)
    taken = [session.undo() for _ in parts]
    assert taken == [text for text, _ in reversed(parts)]
    assert session.text == session.undo() == ""


@given(MOVES)
@settings(max_examples=15)
def test_the_same_moves_under_the_same_seed_give_the_same_text(trained, moves):
    first, again, other = (Session(trained("char"), TWELVE, seed) for seed in (1, 1, 99))

    written = [play(session, moves) for session in (first, again, other)]

    assert written[0] == written[1]
    if any(by_model for _, by_model in written[0]):
        assert written[0] != written[2]


def test_the_text_is_what_both_have_written(session):
    session.add("The fox")
    first = "".join(session.go_on())
    session.add(" and")
    second = "".join(session.go_on())

    assert session.text == "The fox" + first + " and" + second
    assert len(first) == len(second) == 12


def test_the_model_goes_on_from_all_that_there_is(trained):
    """Greedy, so that nothing depends on seeds: turn by turn is all in one go."""
    lm = trained("char")
    session = Session(lm, DecodingConfig(greedy=True, max_new_tokens=5, min_new_tokens=5), seed=1)
    session.add("The fox")

    for _ in range(4):
        list(session.go_on())

    assert session.text == lm.generate("The fox", greedy=True, max_new_tokens=20, min_new_tokens=20)


def test_every_continuation_has_a_seed_of_its_own(session):
    continuations = set()
    for _ in range(8):
        continuations.add("".join(session.go_on()))
        session.undo()

    assert len(continuations) == 8


def test_trying_again_gives_another_continuation_of_the_same_text(session):
    session.add("The fox")
    tried = {"".join(session.go_on())}

    for _ in range(5):
        tried.add("".join(session.retry()))

    assert len(tried) == 6
    assert session.text.startswith("The fox") and session.text[7:] in tried
    assert len(session.text) == len("The fox") + 12


def test_what_a_person_wrote_is_not_tried_again(session):
    with pytest.raises(ConfigError, match="the model has not written last"):
        session.retry()
    list(session.go_on())
    session.add("The fox")
    text = session.text

    with pytest.raises(ConfigError, match="the model has not written last"):
        session.retry()
    assert session.text == text


def test_what_was_chosen_can_be_tried_again(session):
    session.add("The fox")
    offers = session.offer(2)
    session.choose(offers[0])

    again = "".join(session.retry())

    assert session.text == "The fox" + again
    assert again != offers[0].text


def test_what_has_come_stays_when_the_model_is_interrupted(session):
    session.add("The fox")
    pieces = session.go_on()
    begun = next(pieces) + next(pieces)

    pieces.close()

    assert session.text == "The fox" + begun
    assert session.undo() == begun


def test_an_interruption_from_the_keyboard_keeps_what_has_come(trained, monkeypatch):
    lm = trained("char")
    session = Session(lm, TWELVE, seed=1)
    really_pieces = lm.pieces

    def interrupted(prompts, config, *, seed):
        pieces = really_pieces(prompts, config, seed=seed)
        yield next(pieces)
        yield next(pieces)
        raise KeyboardInterrupt

    session.add("The fox")
    monkeypatch.setattr(lm, "pieces", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(session.go_on())
    monkeypatch.undo()

    assert len(session.text) == len("The fox") + 2
    list(session.go_on())
    assert len(session.text) == len("The fox") + 2 + 12


def test_what_was_interrupted_before_it_began_leaves_nothing(session):
    session.add("The fox")

    session.go_on().close()

    assert session.undo() == "The fox"


def test_a_continuation_without_a_character_leaves_nothing_to_take_back(session):
    session.add("The fox")
    session.change(min_new_tokens=0, bias={"<stop>": 1000.0})

    assert list(session.go_on()) == []
    session.choose(session.offer(1)[0])

    assert session.text == "The fox"
    assert session.undo() == "The fox"


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


def test_offers_change_nothing_and_the_next_ones_are_others(session):
    session.add("The fox")

    first, second = session.offer(3), session.offer(3)

    assert session.text == "The fox"
    assert not {offer.text for offer in first} & {offer.text for offer in second}


@pytest.mark.parametrize("number", [0, -1])
def test_a_number_of_offers_that_cannot_be_drawn_is_refused(session, number):
    session.add("The fox")

    with pytest.raises(ConfigError):
        session.offer(number)

    assert (session.text, session.config) == ("The fox", TWELVE)


def test_words_are_joined_by_a_space(trained):
    session = Session(trained("word"), DecodingConfig(), seed=1)

    for text in ("The", "fox", "\nand", "the", " ", "moon"):
        session.add(text)

    assert session.text == "The fox\nand the moon"


def test_a_punctuation_mark_joins_the_word_before_it(trained):
    session = Session(trained("word"), DecodingConfig(), seed=1)

    for text in ("The fox", ", said the", "moon", ".", "And"):
        session.add(text)

    assert session.text == "The fox, said the moon. And"


def test_between_a_person_and_a_word_model_there_is_one_space(trained):
    config = DecodingConfig(max_new_tokens=1, bias={"the": 1000.0})
    for typed in ("fox", "fox "):
        session = Session(trained("word"), config, seed=1)
        session.add(typed)
        list(session.go_on())
        session.add("fox")

        assert session.text == "fox the fox"


@pytest.mark.parametrize("level", ["char", "byte", "bpe"])
def test_nothing_is_put_between_what_is_no_word_model(trained, level):
    session = Session(trained(level), DecodingConfig(), seed=1)

    for text in ("Th", "e f", "ox"):
        session.add(text)

    assert session.text == "The fox"


def test_settings_change_from_now_on_and_mistakes_leave_them_as_they_were(session):
    session.add("The fox")

    session.change(max_new_tokens=3, min_new_tokens=3)
    assert len("".join(session.go_on())) == 3
    with pytest.raises(ConfigError, match="max_new_tokens"):
        session.change(max_new_tokens=0)
    assert session.config.max_new_tokens == 3
    session.reset("max_new_tokens")
    assert session.config == DecodingConfig(min_new_tokens=3)


def test_a_setting_without_effect_is_refused(session):
    session.change(temperature=0)

    with pytest.raises(ConfigError, match="--top-k"):
        session.change(top_k=5)

    assert session.config.top_k is None


def test_a_new_text_begins_with_nothing(session):
    session.add("The fox")

    session.clear()

    assert session.text == ""
    assert session.undo() == ""
    assert len("".join(session.go_on())) == 12
