"""Prompts: texts themselves, files, standard input, and many of them a line each."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.cli.prompts import find_prompts, read_lines, read_prompt
from charlm.errors import ConfigError, TextError
from charlm.text import TextConfig, build_tokenizer

LINES = st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.fixture(scope="session")
def chars():
    return build_tokenizer(TextConfig(level="char"), ["The fox."])


@pytest.fixture(scope="session")
def octets():
    return build_tokenizer(TextConfig(level="byte"), ["The fox."])


@pytest.fixture(scope="session")
def file(tmp_path_factory):
    """Write a prompt file; its name."""
    path = tmp_path_factory.mktemp("prompts") / "p.txt"

    def write(content):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def test_a_prompt_is_what_is_written_on_the_command_line(chars):
    for text in ("The fox", " The\tfox\n", "a@b", "--", "-x", "\\n"):
        assert find_prompts(text, None, chars) == [text]


def test_where_no_prompt_is_given_there_is_one_and_it_is_empty(chars):
    assert find_prompts(None, None, chars) == [""]
    assert find_prompts("", None, chars) == [""]


def test_the_first_of_two_at_signs_says_that_it_is_no_file(chars):
    assert read_prompt("@@fox", chars) == "@fox"
    assert read_prompt("@@", chars) == "@"
    assert read_prompt("@@@", chars) == "@@"


@pytest.mark.parametrize(
    ("content", "prompt"),
    [
        ("The fox", "The fox"),
        ("The fox\n", "The fox"),
        ("The fox\r\n", "The fox"),
        ("The fox\n\n", "The fox\n"),
        ("\nThe\nfox \n", "\nThe\nfox "),
        ("The\r\nfox\r\n", "The\r\nfox"),
        ("\ufeffThe fox\n", "The fox"),
        (" \n", " "),
    ],
)
def test_the_last_line_break_of_a_file_is_no_part_of_the_prompt(
    chars, file, stdin, content, prompt
):
    stdin(content.encode())

    assert read_prompt("@" + file(content), chars) == prompt
    assert read_prompt("-", chars) == prompt


@given(TEXTS.filter(lambda text: text and not text.startswith("\ufeff")))
@settings(max_examples=40)
def test_a_file_with_a_line_break_after_the_prompt_holds_the_prompt(chars, file, text):
    assert read_prompt("@" + file(text + "\n"), chars).removesuffix("\r") == text.removesuffix("\r")


@given(LINES.filter(any))
@settings(max_examples=40)
def test_every_line_is_a_prompt_whatever_ends_it(chars, file, lines):
    if lines[0].startswith("\ufeff"):
        return
    for end in ("\n", "\r\n"):
        assert read_lines(file("".join(line + end for line in lines)), chars) == lines
    if lines[-1]:
        assert read_lines(file("\n".join(lines)), chars) == lines


def test_an_empty_line_is_an_empty_prompt(chars, file):
    assert find_prompts(None, file("The\n\nfox\n\n"), chars) == ["The", "", "fox", ""]


def test_lines_are_broken_at_line_breaks_alone(chars, file):
    lines = ["a\x0bb\x0cc", "d\x85e\u2028f", "g\rh"]

    assert read_lines(file("\n".join(lines)), chars) == lines


def test_an_at_sign_in_a_file_of_prompts_is_an_at_sign(chars, file):
    assert read_lines(file("@missing\n@@x\n-\n"), chars) == ["@missing", "@@x", "-"]


def test_prompts_come_from_standard_input(chars, stdin):
    stdin(b"The\nfox\n")

    assert find_prompts(None, "-", chars) == ["The", "fox"]


def test_one_prompt_and_many_exclude_each_other(chars, file):
    with pytest.raises(ConfigError, match="--prompt and --prompts"):
        find_prompts("", file("a\n"), chars)


@pytest.mark.parametrize("content", ["", "\n", "\n\n\n", "\r\n"])
def test_a_file_without_prompts_is_an_error_that_names_it(chars, file, content):
    with pytest.raises(TextError, match=r"p\.txt"):
        read_lines(file(content), chars)


def test_an_empty_prompt_file_is_an_error_that_names_it(chars, file):
    with pytest.raises(TextError, match=r"p\.txt"):
        read_prompt("@" + file(""), chars)


def test_empty_standard_input_is_called_by_its_name(chars, stdin):
    stdin(b"")

    with pytest.raises(TextError, match="standard input"):
        read_lines("-", chars)


def test_bytes_that_are_not_utf8_are_prompts_of_byte_models_alone(chars, octets, file):
    name = file(b"fox \xff\n\xfe\n")

    assert octets.encode(read_prompt("@" + name, octets)) == list(b"fox \xff\n\xfe")
    assert [octets.encode(p) for p in read_lines(name, octets)] == [list(b"fox \xff"), [0xFE]]
    assert read_prompt("\udcff", octets) == "\udcff"
    for prompt, prompts in (("@" + name, None), (None, name), ("\udcff", None)):
        with pytest.raises(TextError, match="not UTF-8"):
            find_prompts(prompt, prompts, chars)


@pytest.mark.parametrize("missing", ["missing.txt", "no/such/folder.txt"])
def test_a_file_that_is_not_there_is_an_error_that_names_it(chars, missing):
    for prompt, prompts in (("@" + missing, None), (None, missing)):
        with pytest.raises(TextError, match=missing):
            find_prompts(prompt, prompts, chars)
