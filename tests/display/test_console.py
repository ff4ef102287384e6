import pytest
from rich import box
from rich.panel import Panel
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

from charlm.display.console import (
    ERROR_CHARS,
    data_console,
    note_console,
    printable_text,
    show_error,
    show_note,
)

HOSTILE = "\x1b[31m\x1b]0;pwn\x07[red]:smile:\x9b\u202e"
SHOWN = "\\x1b[31m\\x1b]0;pwn\\x07[red]:smile:\\x9b\\u202e"


def test_notes_and_errors_are_one_line_on_stderr_with_nothing_read_as_markup(capsys):
    show_note("a [bold]note[/] about <other> :smile:")
    show_error("two\nlines [red] :smile:\n")

    out, err = capsys.readouterr()
    assert out == ""
    assert err == "a [bold]note[/] about <other> :smile:\nerror: two lines [red] :smile:\n"


def test_notes_and_errors_show_control_characters(capsys):
    show_note(f"a {HOSTILE}\nb")
    show_error(f"a {HOSTILE}")

    assert capsys.readouterr().err == f"a {SHOWN}\\nb\nerror: a {SHOWN}\n"


@pytest.mark.parametrize("quoted", ["x" * 100_000, "\x1b" * 1000, "朝" * 1000, "a\n" * 1000])
def test_an_error_is_at_most_300_characters_and_keeps_the_advice(capsys, quoted):
    show_error(f"no file {quoted} is there; name another file.")

    err = capsys.readouterr().err
    assert len(err) == ERROR_CHARS + 1 and err.count("\n") == 1
    assert err.startswith("error: no file ") and err.endswith("; name another file.\n")
    assert err.count("…") == 1


def table():
    table = Table(title=HOSTILE, caption=HOSTILE, box=box.SIMPLE)
    table.add_column(HOSTILE)
    table.add_column(Text(HOSTILE))
    table.add_row(HOSTILE, Text(HOSTILE, style="bold"))
    return table


@pytest.mark.parametrize(
    "thing",
    [HOSTILE, Text(HOSTILE), Text.assemble("a", (HOSTILE, "red")), Panel(HOSTILE), table()],
    ids=["str", "text", "styled", "panel", "table"],
)
@pytest.mark.parametrize("console", [data_console, note_console])
def test_whatever_is_printed_control_characters_markup_and_emoji_names_are_text(
    capsys, thing, console
):
    console().print(thing)

    out = "".join(capsys.readouterr())
    assert not set(out) & set("\x1b\x07\x9b\u202e")
    assert "\\x1b[31m\\x1b]0;pwn" in out and "[red]:smile:\\x9b\\u202e" in out


def test_the_description_of_a_progress_bar_is_text(capsys):
    with Progress(TextColumn("{task.description}", markup=False), console=note_console()) as bar:
        bar.add_task(HOSTILE)

    err = capsys.readouterr().err
    assert "\\x1b[31m" in err and "\x1b" not in err


def test_styles_stay_on_their_characters_when_others_are_spelt_out():
    text = Text.assemble("a\x1b", ("b\x9b", "red"), "c", ("\x1bd", "bold"))

    shown = printable_text(text)

    assert shown.plain == "a\\x1bb\\x9bc\\x1bd"
    styled = {str(span.style): shown.plain[span.start : span.end] for span in shown.spans}
    assert styled == {"red": "b\\x9b", "bold": "\\x1bd"}


def test_text_without_control_characters_is_the_same_object():
    text = Text("naïve 👩‍👧")

    assert printable_text(text) is text
