"""Scripts without spaces: where none is put, and where words cannot be found."""

import sys
import unicodedata

import pytest
from tokenizers import Regex, pre_tokenizers

from charlm.text import words
from charlm.text.spacing import CJK, needs_no_space, unspaced_note, unspaced_scripts

THAI, KHMER, LAO, BURMESE = "เดินครูหมา", "ខ្ញុំ", "ຂ້ອຍ", "ကျွန်တော်"


@pytest.mark.parametrize(
    ("left", "right", "together"),
    [
        ("猫", "犬", True),
        ("ー", "か", True),
        ("猫", "。", True),
        ("、", "fox", True),
        ("2024", "年", True),
        ("年", "3", True),
        ("说", "“", True),
        ("…", "明", True),
        ("fox", "猫", False),
        ("猫", "fox", False),
        ("猫", "—", False),
        ("fox", "3", False),
        ("fox", "“", False),
        ("", "fox", False),
    ],
)
def test_han_kana_and_wide_marks_need_no_space(left, right, together):
    assert needs_no_space(left, right) is together


def test_every_character_that_is_split_needs_no_space_beside_its_like():
    known = "".join(
        chr(code) for code in range(sys.maxunicode) if unicodedata.category(chr(code))[0] == "L"
    )
    splitter = pre_tokenizers.Split(Regex(words.CJK), behavior="removed", invert=True)

    split = [character for character, _ in splitter.pre_tokenize_str(known)]

    assert len(split) > 90_000
    assert [character for character in split if not CJK.match(character)] == []


@pytest.mark.parametrize(
    ("text", "scripts"),
    [
        (THAI, ("Thai",)),
        (LAO, ("Lao",)),
        (KHMER, ("Khmer",)),
        (BURMESE, ("Burmese",)),
        (f"{THAI} {LAO}", ("Thai", "Lao")),
        ("The Thai word for dog is หมา, as everybody knows.", ()),
        ("猫今天 fox", ()),
        ("", ()),
    ],
)
def test_scripts_that_hide_their_words_are_found(text, scripts):
    assert unspaced_scripts([text]) == scripts
    assert unspaced_scripts(text) == scripts  # a character at a time


def test_the_note_says_what_to_use_instead():
    note = unspaced_note([THAI])

    assert note is not None
    assert note.startswith("Thai puts no spaces between words")
    assert "--level bpe or --level char" in note
    assert unspaced_note(["fox"]) is None
