"""`charlm play`: in a real terminal, and line by line in this process."""

import os
import re
import signal
import sys

import pexpect
import pytest

from charlm.api import Session, load
from charlm.cli.play import DEFAULT_LENGTH, SETTINGS
from charlm.decoding import DecodingConfig

EVERY = "(?:> |none: )$"  # what asks for a line
CTRL_C, CTRL_D = KeyboardInterrupt, EOFError
LONG = "x" * 300  # longer than a file's name may be
FORKING = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture
def play(charlm, models, monkeypatch):
    """Run `charlm play` with lines typed, CTRL_C or CTRL_D among them; it ends with Ctrl-D."""

    def run(*lines, arguments=(), level="char", stop=-100.0):
        waiting = [*lines, CTRL_D, CTRL_D]

        def type_line(prompt=""):
            print(prompt, end="")
            line = waiting.pop(0)
            if not isinstance(line, str):
                raise line
            print(line)
            return line

        monkeypatch.setattr("builtins.input", type_line)
        return charlm("play", models(level, stop), "--seed", 1, *arguments)

    return run


def text_of(result, last=-1):
    """What /text has shown."""
    return re.findall(r"> /text\n(.*?)\n(?=> )", result.out, re.DOTALL)[last]


def errors_of(result):
    """The errors, of which each is a line; the session has gone on to its end."""
    assert (result.status, "Traceback" in result.err) == (0, False)
    return [line for line in result.err.splitlines() if line.startswith("error: ")]


# --- in a terminal


class Terminal:
    """`charlm play` behind a pseudo-terminal."""

    def __init__(self, folder, *arguments):
        # What is typed is UTF-8, whatever the locale here.
        environ = {k: v for k, v in os.environ.items() if k != "LC_ALL"} | {"LC_CTYPE": "C.UTF-8"}
        environ |= {"TERM": "dumb", "INPUTRC": os.devnull, "CHARLM_CACHE": str(folder)}
        self.child = pexpect.spawn(
            sys.executable,
            ["-m", "charlm", "play", *map(str, arguments)],
            cwd=folder,
            env=environ,
            # Tests that run in the background may be told to ignore Ctrl-C, and pass that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            encoding="utf-8",
            dimensions=(24, 500),
            timeout=600,
        )
        self.child.delaybeforesend = None

    def wait(self):
        """What is shown until the next line is asked for."""
        self.child.expect(EVERY)
        return self.child.before.replace("\r\n", "\n")

    def say(self, line):
        """Type a line; what is shown after it."""
        self.child.sendline(line)
        echo, _, shown = self.wait().partition("\n")
        assert echo == line
        return shown.removesuffix("\n")

    def end(self):
        """The exit status, once it has left by itself."""
        self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus


@pytest.fixture
def terminal(tmp_path):
    """Start `charlm play ARGUMENTS...` in a terminal, in the test's own folder."""
    started = []

    def start(*arguments):
        started.append(Terminal(tmp_path, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.child.close(force=True)


@FORKING
def test_control_characters_are_shown_in_a_terminal_and_not_obeyed(terminal, models):
    model = models("byte", -100.0)

    player = terminal(model, "--seed", 5, "-p", "The\x1b]0;pwn\x07", "-n", 1)
    shown = player.wait()
    text = player.say("/text")
    undone = player.say("/undo") + player.say("/undo")

    assert "The\\x1b]0;pwn\\x07" in shown and "The\\x1b]0;pwn\\x07" in text
    assert "took back" in undone
    assert not set(shown + text + undone) & set("\x1b\x07")
    player.child.sendline("/quit")
    player.end()


@FORKING
def test_a_text_is_written_by_turns_in_a_terminal(terminal, models, tmp_path):
    model = models("char", -100.0)
    (tmp_path / "taken.txt").write_text("taken")

    player = terminal(model, "--seed", 5, "-p", "The fox", "-n", 10)
    begun = player.wait()
    assert "Enter to let it write, /help for more" in begun
    first = begun.partition("\n")[2].removeprefix("The fox").removesuffix("\n")
    second = player.say("")
    third = player.say(" and")
    assert player.say("/text") == "The fox" + first + second + " and" + third
    fourth = player.say("/retry")
    assert fourth != third
    assert player.say("/undo") == f"took back {fourth!r}"
    assert player.say("/undo") == "took back ' and'"
    offers = player.say("/pick 2")
    one, two = re.fullmatch(
        r"\[1\] …(.*)\n\[2\] …(.*)\n1 to 2, or Enter for ", offers, re.S
    ).groups()
    assert player.say("2") == ""
    assert player.say("/text") == "The fox" + first + second + two
    assert "[3]" in player.say("/pick")
    assert player.say("") == ""
    assert player.say("/temperature 0.5") == "temperature is 0.5"
    assert player.say("/top-k off") == "top-k is off"
    assert player.say("/top-p 2").startswith("error: ")
    assert "'☃'" in player.say("☃").partition("\n")[0]
    assert player.say("/save taken.txt").startswith("error: taken.txt exists")
    assert player.say("/save story.txt") == "saved in story.txt"
    player.child.sendline("/quit")
    assert player.end() == 0

    assert (tmp_path / "taken.txt").read_text() == "taken"
    written = (tmp_path / "story.txt").read_text()
    assert written.startswith("The fox" + first + second + two + "☃")
    assert [len(part) for part in (first, second, third, fourth, one, two)] == [10] * 6
    assert written == replayed(model)


def replayed(model):
    """The text that the same moves make, without a terminal."""
    session = Session(load(model, "cpu"), DecodingConfig(max_new_tokens=10), seed=5)
    session.add("The fox")
    list(session.go_on())
    list(session.go_on())
    session.add(" and")
    list(session.go_on())
    list(session.retry())
    session.undo()
    session.undo()
    session.choose(session.offer(2)[1])
    session.offer(3)
    session.change(temperature=0.5)
    session.add("☃")
    list(session.go_on())
    return session.text


@FORKING
def test_ctrl_c_keeps_what_has_come_and_the_session_goes_on(terminal, models, tmp_path):
    player = terminal(models("char", -100.0), "--seed", 5, "-n", 10**7)
    player.wait()

    player.child.sendline("")
    player.child.expect(r"\S[^\r\n]{20}")
    seen = player.child.after
    player.child.sendintr()
    player.wait()

    assert player.say("/length 7") == "length is 7"
    come = player.say("/text")
    assert seen in come
    more = player.say("")
    assert len(more) == 7
    player.child.sendintr()  # at the prompt: nothing to stop
    player.wait()
    assert player.say("/save story.txt") == "saved in story.txt"
    assert (tmp_path / "story.txt").read_text() == come + more
    assert len(player.say("")) == 7
    assert "not saved" in player.say("/quit")
    player.child.sendeof()
    assert player.end() == 0


# --- turns


def test_the_session_begins_with_the_models_name_and_where_help_is(play):
    result = play()

    assert re.fullmatch(r".*char-100\.0: Enter to let it write, /help for more\.\n", result.err)
    assert (result.status, result.out) == (0, "> \n")


def test_without_a_prompt_the_person_begins(play):
    result = play("The fox", "/text", arguments=["-n", 9])

    written = text_of(result)
    assert written.startswith("The fox") and len(written) == 7 + 9
    assert result.out.startswith(f"> The fox\n{written[7:]}\n> ")


def test_after_a_prompt_the_model_begins(play):
    result = play("/text", arguments=["-n", 9, "-p", "The fox"])

    assert len(text_of(result)) == 7 + 9
    assert result.out.startswith(text_of(result) + "\n> ")


def test_it_writes_120_tokens_at_a_time_by_default(play):
    assert DEFAULT_LENGTH == 120
    assert len(text_of(play("", "/text"))) == 120


def test_a_stop_string_ends_each_turn(play):
    written = text_of(play("", "", "", "/text", arguments=["--stop", "e", "-n", 50]))

    assert written and "e" not in written


def test_what_is_typed_is_added_as_it_stands(play):
    result = play("  Tab\t", "//", "//quit", "/text", arguments=["-n", 2])

    written = text_of(result)
    assert (written[:6], written[8], written[11:16]) == ("  Tab\t", "/", "/quit")
    assert len(written) == 18


def test_trying_again_takes_back_the_models_last_words_alone(play):
    result = play("The", "/text", "/retry", "/text", arguments=["-n", 9])

    first, second = text_of(result, 0), text_of(result, 1)
    assert first[:3] == second[:3] == "The"
    assert first != second
    assert len(first) == len(second) == 12


def test_there_is_nothing_to_try_again_before_the_model_has_written(play):
    assert "the model has not written last" in errors_of(play("/retry"))[0]


def test_parts_are_taken_back_until_nothing_is_left(play):
    result = play("The", "/undo", "/undo", "/undo", "/text", arguments=["-n", 3])

    said = re.findall(r"> /undo\n(.*)\n", result.out)
    assert said[0].startswith("took back ") and said[1] == "took back 'The'"
    assert said[2] == "there is nothing to take back"
    assert text_of(result) == ""


def test_one_of_the_texts_offered_is_added(play):
    result = play("The", "/pick 4", "3", "/text", "/undo", arguments=["-n", 5, "--stop", "\n"])

    offers = re.findall(r"\[\d\] …(.*)\n", result.out)
    assert len(set(offers)) == 4
    assert text_of(result).endswith(offers[2])
    assert f"took back {offers[2]!r}" in result.out


@pytest.mark.parametrize("answer", ["", "0", "4", "-1", "two", "²", "1 2", CTRL_C, CTRL_D])
def test_where_none_of_the_texts_offered_is_taken_nothing_is_added(play, answer):
    result = play("The", "/text", "/pick", answer, "/text", arguments=["-n", 5])

    assert text_of(result, 0) == text_of(result, 1)
    errors = errors_of(result)
    if isinstance(answer, str) and answer:
        assert "none of them" in errors[0]
    else:
        assert not any("none of them" in error for error in errors)


@pytest.mark.parametrize("number", ["0", "-1", "x", "2.5", "²", "1 2"])
def test_a_number_of_texts_that_cannot_be_offered_is_one_line(play, number):
    result = play(f"/pick {number}")

    assert len(errors_of(result)) == 1
    assert "num_return_sequences" not in result.err


def test_one_text_may_be_offered(play):
    assert "1 to 1, or Enter" in play("/pick 1", "1", arguments=["-n", 5]).out


def test_the_same_moves_under_the_same_seed_give_the_same_text(play):
    moves = ("The", "", "/retry", "/pick", "2", "/undo", "", "/text")

    first, again = (text_of(play(*moves, arguments=["-n", 20])) for _ in range(2))
    other = text_of(play(*moves, arguments=["-n", 20, "--seed", 2]))

    assert first == again != other


def test_what_the_model_has_never_seen_is_noted_once(play):
    result = play("☃ fox Ж ☃", arguments=["-n", 2])

    (line,) = [line for line in result.err.splitlines() if "never seen" in line]
    assert line.count("'☃'") == line.count("'Ж'") == 1
    assert "☃ fox" in result.out


def test_what_the_model_has_never_seen_is_noted_in_the_first_prompt_too(play):
    result = play(arguments=["-n", 2, "-p", "☃ fox"])

    assert "'☃'" in result.err


def test_line_breaks_of_the_first_prompt_are_no_symbols_of_a_model_of_lines(
    charlm, corpus, monkeypatch
):
    small = ("--hidden-size", 16, "--batch-size", 4, "--bptt", 16, "--steps", 4)
    charlm("train", corpus, *small, "--frame", "line", "-o", "chat")

    def leave(prompt):
        raise EOFError

    monkeypatch.setattr("builtins.input", leave)
    result = charlm("play", "chat", "-n", 2, "-p", "The fox\nThe ☃")

    (line,) = [line for line in result.err.splitlines() if "never seen" in line]
    assert "'☃'" in line and "\\n" not in line
    assert result.out.startswith("The fox\nThe ☃")


def test_a_line_that_is_not_utf8_is_one_line_of_why_not(play):
    result = play("fox \udcff", "/text", arguments=["-n", 2])

    assert "is not UTF-8" in errors_of(result)[0]
    assert text_of(result) == ""


def test_bytes_are_text_to_a_byte_model(play, tmp_path):
    play("fox \udcff", "/save out", arguments=["-n", 2], level="byte")

    assert (tmp_path / "out").read_bytes().startswith(b"fox \xff")


def test_words_are_joined_as_prose_is(play):
    arguments = ["-n", 3, "--temperature", 0.01]

    written = text_of(play("The fox", "and", "", "/text", arguments=arguments, level="word"))

    assert re.match(r"The fox.* and", written)
    assert not re.search(r"  | [.,]", written)


# --- settings


@pytest.mark.parametrize(
    ("name", "value"),
    [("length", "7"), ("temperature", "0.5"), ("top-k", "5"), ("top-p", "0.9"), ("min-p", "0.1")],
)
def test_a_setting_is_changed_shown_and_taken_back(play, name, value):
    result = play(f"/{name}", f"/{name} {value}", f"/{name}", f"/{name} off", f"/{name}")

    assert errors_of(result) == []
    before, changed, shown, off, after = re.findall(rf"{name} is (.*)\n", result.out)
    assert changed == shown == value
    assert before == off == after != value


def test_every_setting_is_explained_by_help(play):
    shown = play("/help").out

    commands = ["retry", "undo", "pick", "text", "save", "new", "quit", *SETTINGS]
    assert all(f"/{name}" in shown for name in commands)
    assert "Ctrl-C" in shown and "Ctrl-D" in shown


def test_settings_take_effect(play):
    moves = ["/length 3", "The", "/length 6", "", "/temperature 0", "", "/undo", "/retry", "/text"]

    assert len(text_of(play(*moves))) == 3 + 3 + 6


def test_at_temperature_0_the_model_repeats_itself(play):
    result = play("/temperature 0", "The", "/text", "/retry", "/text", arguments=["-n", 9])

    assert text_of(result, 0) == text_of(result, 1)


def test_settings_of_the_command_line_hold_from_the_beginning(play):
    given = ["-n", 7, "--temperature", 0.5, "--top-k", 5, "--top-p", 0.9, "--min-p", 0.1]

    result = play("/length", "/temperature", "/top-k", "/top-p", "/min-p", arguments=given)

    shown = re.findall(r" is (.*)\n", result.out)
    assert shown == ["7", "0.5", "5", "0.9", "0.1"]


@pytest.mark.parametrize(
    "line",
    [
        *("/length 0", "/length -1", "/length 2.5", "/length x"),
        *("/temperature -1", "/temperature x", "/temperature nan", "/temperature inf"),
        *("/top-k 0", "/top-k 1.5", "/top-p 0", "/top-p 2", "/min-p -1", "/min-p 2", "/min-p 1 2"),
    ],
)
def test_a_setting_out_of_range_is_one_line_and_changes_nothing(play, line):
    name = line.split()[0]

    result = play(name, line, name)

    assert len(errors_of(result)) == 1
    before, after = re.findall(r" is (.*)\n", result.out)
    assert before == after


def test_a_setting_without_effect_is_one_line(play):
    result = play("/temperature 0", "/top-k 5", "/pick", "/temperature")

    errors = errors_of(result)
    assert len(errors) == 2
    assert "top-k" in errors[0]
    assert result.out.endswith("temperature is 0.0\n> \n")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--temperature", -1], 1),
        (["--top-p", 0], 1),
        (["--temperature", 0, "--top-k", 5], 1),
        (["--stop", ""], 1),
        (["-p", "\udcff"], 1),
        (["-n", 0], 2),
        (["--seed", -1], 2),
    ],
    ids=repr,
)
def test_a_mistake_on_the_command_line_ends_it_before_it_begins(play, arguments, status):
    result = play(arguments=arguments)

    assert (result.status, result.out) == (status, "")
    assert "Traceback" not in result.err
    assert status == 2 or result.err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize("line", ["/foo", "/", "/ retry", "/Quit", "/retry2", "/-1"])
def test_an_unknown_command_is_one_line_that_points_to_help(play, line):
    (error,) = errors_of(play(line))

    assert "is not a command; /help lists them" in error


# --- saving and leaving


def test_a_text_is_saved_as_it_is_and_again_as_it_has_become(play, tmp_path):
    result = play("The", "/save a.txt", "/text", "", "/save", "/text", arguments=["-n", 5])

    assert result.out.count("saved in a.txt") == 2
    assert errors_of(result) == []
    assert (tmp_path / "a.txt").read_text() == text_of(result, 1) != text_of(result, 0)


def test_a_file_that_was_there_before_is_not_overwritten(play, tmp_path):
    (tmp_path / "a.txt").write_text("mine")

    result = play("The", "/save a.txt", "/save", "/save b.txt", "/save a.txt", arguments=["-n", 5])

    exists, unnamed, still = errors_of(result)
    assert "a.txt exists" in exists and "a.txt exists" in still
    assert "needs a file's name" in unnamed
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert (tmp_path / "b.txt").exists()


def test_every_file_that_this_session_wrote_may_be_written_again(play, tmp_path):
    result = play(
        *("The", "/save a.txt", "/save b.txt", "", "/save a.txt", "/text"), arguments=["-n", 5]
    )

    assert errors_of(result) == []
    assert (tmp_path / "a.txt").read_text() == text_of(result)


def test_a_new_text_has_no_file_yet(play, tmp_path):
    moves = ("The", "/save a.txt", "/new", "/text", "/save", "fox", "/save")

    result = play(*moves, arguments=["-n", 5])

    assert text_of(result) == ""
    assert all("needs a file's name" in error for error in errors_of(result)[:2])
    assert (tmp_path / "a.txt").read_text().startswith("The")


@pytest.mark.parametrize("name", ["folder", "missing/a.txt", ".", "~nobody9xyz/x", LONG])
def test_a_file_that_cannot_be_written_is_one_line_that_names_it(play, tmp_path, name):
    (tmp_path / "folder").mkdir()

    errors = errors_of(play("The", f"/save {name}", arguments=["-n", 5]))

    assert name[:100] in errors[0]
    assert "not saved" in errors[-1]


@pytest.mark.parametrize("leave", ["/quit", CTRL_D])
def test_a_text_that_is_not_saved_is_left_only_when_asked_twice(play, leave):
    result = play("The", leave, "/text", leave, "/help", arguments=["-n", 5])

    (error,) = errors_of(result)
    assert "the text is not saved: /save FILE, or say it again" in error
    assert text_of(result).startswith("The")
    assert "/help\n" not in result.out


def test_what_has_changed_since_the_warning_is_asked_for_again(play):
    result = play("The", "/quit", "", "/quit", "/quit", "/help", arguments=["-n", 5])

    assert len(errors_of(result)) == 2
    assert "/help\n" not in result.out


@pytest.mark.parametrize("moves", [[], ["The", "/save a.txt"], ["The", "/undo", "/undo"]])
def test_nothing_is_asked_where_nothing_would_be_lost(play, moves):
    result = play(*moves, "/quit", "/help", arguments=["-n", 5])

    assert errors_of(result) == []
    assert "/help\n" not in result.out


def test_a_text_that_is_not_saved_is_begun_anew_only_when_asked_twice(play):
    result = play("The", "/new", "/text", "/new", "/text", "/undo", arguments=["-n", 5])

    (error,) = errors_of(result)
    assert "not saved" in error
    assert text_of(result, 0).startswith("The") and text_of(result, 1) == ""
    assert "there is nothing to take back" in result.out


def test_a_warning_about_one_thing_is_no_leave_for_another(play):
    result = play("The", "/new", "/quit", "/text", arguments=["-n", 5])

    assert text_of(result).startswith("The")


# --- Ctrl-C


def test_ctrl_c_at_the_prompt_is_nothing(play):
    result = play(CTRL_C, "The", CTRL_C, "/text", arguments=["-n", 5])

    assert text_of(result).startswith("The")


@pytest.mark.parametrize("moves", [["The"], ["The", ""], ["/retry"]])
def test_ctrl_c_stops_the_model_and_keeps_what_it_has_written(play, monkeypatch, moves):
    from charlm.api import LoadedModel

    really_pieces = LoadedModel.pieces

    def interrupted(self, prompts, config, *, seed):
        pieces = really_pieces(self, prompts, config, seed=seed)
        yield next(pieces)
        yield next(pieces)
        raise KeyboardInterrupt

    begin = ["/length 3"] if moves != ["/retry"] else ["The"]
    monkeypatch.setattr(LoadedModel, "pieces", interrupted)
    result = play(*begin, *moves, "/text", "/undo")

    assert errors_of(result)[:-1] == []
    assert re.fullmatch(rf"The(?:..){{{max(1, moves.count('') + 1)}}}", text_of(result), re.DOTALL)
    assert re.search(r"took back ", result.out)
