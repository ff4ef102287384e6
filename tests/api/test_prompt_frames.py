"""Prompts with line breaks: earlier frames are context, the last is continued."""

import numpy as np
import pytest

import charlm
from charlm.api import Session
from charlm.api.prompt_frames import WHOLE, PromptFrames
from charlm.data import Framing, frame_pieces, join_frames, turn
from charlm.decoding import DecodingConfig

CHAT = "Ann: hi there\nBob: hello fox\nAnn: the moon"
PROMPTS = [CHAT, "one\r\n\r\ntwo", "\n\nthe fox\n \nsat\nby ", "a\n\nb c\nd\n\n\n e", "fox\n", "\n"]
PLAIN = ["", "the fox", "  two  spaces ", "☃ fox"]
FRAMES = ["line", "paragraph"]


@pytest.fixture
def of_frames(train):
    """A function from a frame to a model trained on such frames."""

    def load(frame, **settings):
        name = f"{frame}{len(settings)}"
        return charlm.load(train(name, frame=frame, level="char", **settings), "cpu")

    return load


def tokens_read(lm, prompt):
    ids, _ = lm.writer(DecodingConfig())._read(prompt)
    return ids


def tokens_of(lm, text):
    """The tokens of a text as a corpus."""
    return join_frames(frame_pieces([text], lm.prompt_frames.framing), lm.tokenizer)


@pytest.mark.parametrize(
    ("frame", "prompt", "expected"),
    [
        ("line", "a\nb\nc", (["a", "b"], "c")),
        ("line", "a\r\nb", (["a"], "b")),
        ("line", "a\n\n \nb", (["a"], "b")),
        ("line", "\na\n", (["a"], "")),
        ("line", " a ", ([], " a ")),
        ("paragraph", "a\nb\n\nc\nd", (["a\nb"], "c\nd")),
        ("paragraph", "a\nb\n", ([], "a\nb\n")),
        ("document", "a\n\nb", ([], "a\n\nb")),
    ],
)
def test_a_prompt_is_split_where_frames_part(frame, prompt, expected):
    assert PromptFrames(Framing(frame=frame)).split(prompt) == expected


def test_blank_lines_are_frames_of_pretokenized_text():
    frames = PromptFrames(Framing(frame="line", pretokenized=True))

    assert frames.split("a \n\nb <eos> c") == (["a", "", "b"], "c")


def test_the_first_frame_is_continued_by_a_model_that_reads_backward():
    frames = PromptFrames(Framing(frame="line"), direction="backward")

    assert frames.split("a\nb\nc") == (["c", "b"], "a")


def test_frames_that_are_independent_are_not_read():
    frames = PromptFrames(Framing(frame="line"), independent=True)

    assert frames.frames("a\nb") == ["b"] and frames.split("a\nb") == (["a"], "b")


def test_a_prompt_is_one_frame_by_default():
    assert WHOLE.split(CHAT) == ([], CHAT)


@pytest.mark.parametrize("frame", FRAMES)
def test_a_prompt_is_read_as_the_corpus_is(of_frames, frame):
    lm = of_frames(frame)
    stop = lm.tokenizer.stop_id

    for prompt in PROMPTS:
        read = [*tokens_read(lm, prompt), stop]
        expected = tokens_of(lm, prompt).tolist()
        if not lm.prompt_frames.split(prompt)[1].strip():  # a new frame begins
            expected += [lm.tokenizer.start_id, stop]
        if not prompt.endswith("\n") or frame == "line":
            assert read == expected, prompt


@pytest.mark.parametrize("frame", FRAMES)
def test_an_ending_is_read_as_the_corpus_is_read_backward(of_frames, frame):
    lm = of_frames(frame, direction="backward")

    for prompt in (CHAT, "one\n\ntwo"):
        tokens = tokens_of(lm, prompt)
        turned = turn(tokens, tokens[:0], lm.tokenizer).tolist()
        assert [*tokens_read(lm, prompt), lm.tokenizer.stop_id] == turned


@pytest.mark.parametrize("frame", FRAMES)
def test_a_prompt_without_breaks_is_read_as_ever(of_frames, frame):
    lm = of_frames(frame)

    for prompt in PLAIN:
        assert tokens_read(lm, prompt) == [lm.tokenizer.start_id, *lm.tokenizer.encode(prompt)]


def test_tokens_written_after_lines_have_the_probability_that_eval_gives_them(of_frames, tmp_path):
    lm = of_frames("line")
    config = DecodingConfig(max_new_tokens=8, min_new_tokens=8, temperature=1.0)

    (written,) = lm.generate_many([CHAT], config, seed=1, alternatives=1)

    path = tmp_path / "chat.txt"
    path.write_text(CHAT + written.text)
    evaluator = lm.evaluator()
    with evaluator.encoded(evaluator.read_file(str(path))) as tokens:
        kept = []
        evaluator.measure("chat", tokens, kept)
    nats = np.concatenate([scores.nats for scores in kept])
    found = [choice.log_prob for choice in written.choices]
    assert found == pytest.approx((-nats[-9:-1]).tolist(), rel=1e-4)  # the last is <stop>
    assert "".join(choice.text for choice in written.choices) == written.text


def test_earlier_lines_change_what_is_written_unless_frames_are_independent(of_frames):
    settings = {"max_new_tokens": 20, "min_new_tokens": 20, "seed": 1}
    stream, alone = of_frames("line"), of_frames("line", independent_frames=True)

    assert (
        alone.generate(CHAT, **settings)
        == CHAT + alone.generate("Ann: the moon", **settings)[len("Ann: the moon") :]
    )
    texts = {stream.generate(first + "\nthe", **settings)[-20:] for first in ("fox", "owl. So")}
    assert len(texts) == 2


@pytest.mark.parametrize("penalty", [{"repetition_penalty": 1e4}, {"no_repeat_ngram_size": 1}])
def test_how_earlier_lines_ended_keeps_no_line_from_ending(of_frames, penalty):
    lm = of_frames("line")
    lm.model.head.projection.bias.data[lm.tokenizer.stop_id] += 100

    (written,) = lm.generate_many([CHAT], DecodingConfig(max_new_tokens=1, **penalty), seed=1)

    assert written.end == "<stop>"


@pytest.mark.parametrize(("frame", "between"), [("line", "\n"), ("paragraph", "\n\n")])
def test_a_session_begins_a_frame_after_one_that_the_model_has_ended(of_frames, frame, between):
    lm = of_frames(frame)
    session = Session(lm, DecodingConfig(max_new_tokens=400), seed=2)
    session.add("The fox")
    written = "".join(session.go_on())
    assert session._parts[-1].ended  # within 400 tokens

    session.add("said")
    assert session.text == f"The fox{written}{between}said"
    session.undo()
    again = "".join(session.go_on())
    assert again.startswith(between) and session.text == f"The fox{written}{again}"
    session.undo()
    (offered, *_) = session.offer(2)
    session.choose(offered)
    assert session.text == f"The fox{written}{between}{offered.text}"


@pytest.mark.parametrize("choose", [False, True])
def test_a_session_begins_a_frame_after_one_to_which_the_model_adds_nothing(of_frames, choose):
    session = Session(of_frames("line"), DecodingConfig(max_new_tokens=5), seed=2)
    session.add("The fox")
    session.change(bias={"<stop>": 1000.0})
    if choose:
        session.choose(session.offer(1)[0])
    else:
        assert list(session.go_on()) == []
    assert session.text == "The fox"

    session.change(bias={})
    written = "".join(session.go_on())
    assert written.startswith("\n")


def test_what_is_tried_again_for_nothing_ends_no_frame_before_it(of_frames):
    session = Session(of_frames("line"), DecodingConfig(max_new_tokens=5, min_new_tokens=5), seed=2)
    session.add("The fox")
    written = "".join(session.go_on())
    session.change(min_new_tokens=0, bias={"<stop>": 1000.0})

    assert list(session.retry()) == []

    assert session.undo() == written
    session.add("es")
    assert session.text == "The foxes"
