import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.display.printable import printable, shortened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\x08b\x7f\0", "a\\x08b\\x7f\\x00"),
        ("abc\u202edcba\u202c", "abc\\u202edcba\\u202c"),
        ("\u2066a\u2069\u206a", "\\u2066a\\u2069\\u206a"),
        ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\x85d"),
        ("a\udc9bb", "a\\x9bb"),
        ("a\ud800b", "a\\ud800b"),
        ("one\rtwo", "one\\rtwo"),
        ("one\r\ntwo\n\tthree", "one\ntwo\n\tthree"),
        ("\r\r\n", "\\r\n"),
    ],
)
def test_what_a_terminal_would_obey_is_spelt_out(text, shown):
    assert printable(text) == shown


def test_in_one_line_breaks_and_tabs_are_spelt_out_too():
    assert printable("a\r\nb\tc\n", lines=False) == "a\\r\\nb\\tc\\n"


@pytest.mark.parametrize(
    "text",
    [
        "plain [red] :smile: text",
        "e\u0301a\u0308",  # combining marks
        "السلام\u200f عليكم\u061c",
        "می\u200cخواهم",  # noqa: RUF001  # a joiner that Persian writes with
        "שלום\u200e!",
        "👩\u200d👩\u200d👧 🇩🇪 👍🏽 ❤️",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "ไทย 中文 हिन्दी",
        "a\xa0b\u3000c\xadd",
    ],
)
def test_ordinary_text_stays_as_it_is(text):
    assert printable(text) == text


@given(st.text(st.characters(exclude_categories=())))
def test_no_control_character_is_left_and_nothing_is_changed_twice(text):
    shown = printable(text)

    assert all(unicodedata.category(c) not in ("Cc", "Cs") for c in shown if c not in "\n\t")
    assert printable(shown) == shown


@given(st.text(st.characters(exclude_characters="…")), st.integers(3, 40))
def test_a_long_line_keeps_its_beginning_and_its_end(line, length):
    short = shortened(line, length)

    if len(line) <= length:
        assert short == line
    else:
        assert len(short) == length
        begin, _, end = short.partition("…")
        assert line.startswith(begin) and line.endswith(end)
