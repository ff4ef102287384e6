from charlm.display.console import show_error, show_note


def test_notes_and_errors_are_one_line_on_stderr_with_nothing_read_as_markup(capsys):
    show_note("a [bold]note[/] about <other>")
    show_error("two\nlines [red]\n")

    out, err = capsys.readouterr()
    assert out == ""
    assert err == "a [bold]note[/] about <other>\nerror: two lines [red]\n"
