import io
import sys

import pytest

from charlm.display.console import data_console
from charlm.display.terminal import TerminalText, painted_stdout, text_on_terminal

HOSTILE = "\x1b]0;pwn\x07a\x9bb\u202ec\udcffd\r\ne\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_only_on_a_terminal_is_text_changed(kind, monkeypatch):
    stream = kind()
    monkeypatch.setattr(sys, "stdout", stream)

    with text_on_terminal():
        print(HOSTILE, end="")
        sys.stdout.writelines([HOSTILE])
    print("\x1b", end="")

    shown = "\\x1b]0;pwn\\x07a\\x9bb\\u202ec\\xffd\ne\n" if kind is Terminal else HOSTILE
    assert stream.getvalue() == 2 * shown + "\x1b"
    assert sys.stdout is stream


def test_a_line_break_in_two_pieces_is_one_and_a_lone_return_is_spelt_out():
    stream = io.StringIO()
    text = TerminalText(stream)

    written = [text.write(piece) for piece in ("a\r", "\nb\r", "c\r", "\r", "\n")]
    text.flush()

    assert written == [2, 3, 2, 1, 1]
    assert stream.getvalue() == "a\nb\\rc\\r\n"


def test_consoles_still_paint_while_texts_are_guarded(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)

    with text_on_terminal():
        assert painted_stdout() is stream
        data_console().print("\x1b]0;pwn\x07", style="red")

    assert stream.getvalue() == "\x1b[31m\\x1b]0;pwn\\x07\x1b[0m\n"
    assert painted_stdout() is None


def test_a_carriage_return_at_the_very_end_is_spelt_out(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)

    with text_on_terminal():
        print("a\r", end="")

    assert stream.getvalue() == "a\\r"
