"""What a stranger's files name is not opened, and what is no regular file is refused."""

import json
import os
import shutil
import socket
import sys
import threading
from pathlib import Path

import fsspec
import pytest

from charlm.checkpoint.config_file import seal

CHECKPOINT_FILES = ["config.json", "model.safetensors", "tokenizer.json"]
forbidden: set[str] = set()


def refuse(event, arguments):
    """Let the test fail, instead of hang, where a forbidden file is opened."""
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        path = os.fsdecode(arguments[0])
        if forbidden and (path in forbidden or os.path.realpath(path) in forbidden):
            raise AssertionError(f"{path} was opened")


@pytest.fixture
def forbid():
    """Forbid to open files. The hook stays installed, since Python cannot remove one."""
    if not hasattr(sys, "charlm_hook"):
        sys.charlm_hook = True
        sys.addaudithook(refuse)
    yield lambda *paths: forbidden.update(map(str, paths))
    forbidden.clear()


@pytest.fixture
def offline(monkeypatch):
    """Everything that fsspec or a socket is asked for."""
    asked = []

    def remember(name):
        def call(*arguments, **settings):
            asked.append((name, arguments))
            raise AssertionError(f"{name}{arguments} was called")

        return call

    for name in ("url_to_fs", "open", "filesystem", "get_filesystem_class", "open_files"):
        monkeypatch.setattr(fsspec, name, remember(name))
    monkeypatch.setattr(fsspec.core, "url_to_fs", remember("url_to_fs"))
    monkeypatch.setattr(socket, "socket", remember("socket"))
    monkeypatch.setattr(socket, "create_connection", remember("create_connection"))
    monkeypatch.setattr(socket, "getaddrinfo", remember("getaddrinfo"))
    return asked


@pytest.fixture
def checkpoint(models, tmp_path):
    """A model of one's own to spoil."""
    folder = tmp_path / "stranger"
    shutil.copytree(models(), folder)
    return folder


def change_corpus(folder, **changes):
    """Have config.json name another corpus, under a seal that fits."""
    content = json.loads((folder / "config.json").read_text())
    content["corpus"] |= changes
    content.pop("sha256")
    (folder / "config.json").write_text(json.dumps({**content, "sha256": seal(content)}))


def put(kind, path):
    """Put something in the place of a file."""
    path.parent.mkdir(exist_ok=True)
    if path.exists():
        path.unlink()
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "link to a pipe":
            os.mkfifo(path.with_name("the-pipe"))
            path.symlink_to("the-pipe")
        case "folder":
            path.mkdir()


KINDS = ["pipe", "device", "link to a pipe", "folder"]
DEEP_LIST = "[" * 10_000 + "]" * 10_000
DEEP_OBJECT = '{"a":' * 10_000 + "1" + "}" * 10_000


def is_one_line(result, *said):
    assert result.status == 1, result
    assert result.err.startswith("error: ") and result.err.count("\n") == 1, result.err
    for each in said:
        assert each in result.err


TEMPLATE = '{"version": 1, "templates": {"u": "{{c.__init__.__globals__}}"}, "refs": {}}'
ADDRESSES = [
    "reference://x",
    f"reference://x?fo={TEMPLATE}",
    "ftp://127.0.0.1/tale.txt",
    "http://127.0.0.1/tale.txt",
    "https://127.0.0.1/tale.txt",
    "s3://bucket/tale.txt",
    "file:///etc/hostname",
    "zip://tale.txt::http://127.0.0.1/tales.zip",
    "simplecache::ftp://127.0.0.1/tale.txt",
    "/dev/zero",
    "-",
]


@pytest.mark.parametrize("field", ["paths", "valid", "test"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_eval_opens_nothing_that_a_config_names_but_local_files(
    charlm, checkpoint, corpus, offline, forbid, stdin, address, field
):
    stdin(b"what the user typed")
    change_corpus(checkpoint, **{"paths": [str(corpus)], field: [address]})
    forbid("/dev/zero", "/etc/hostname")

    with_kept_text = charlm("eval", checkpoint)
    shutil.rmtree(checkpoint / "heldout")
    result = charlm("eval", checkpoint)

    assert with_kept_text.status == 0
    is_one_line(result)
    assert offline == []
    assert sys.stdin.buffer.read() == b"what the user typed"


@pytest.mark.parametrize("kind", ["pipe", "device", "link to a pipe"])
def test_eval_does_not_wait_for_a_corpus_that_is_no_regular_file(charlm, checkpoint, kind, forbid):
    path = checkpoint / "corpus.txt"
    put(kind, path)
    forbid(path.resolve())
    change_corpus(checkpoint, paths=[str(path)])
    shutil.rmtree(checkpoint / "heldout")

    is_one_line(charlm("eval", checkpoint), "not a regular file")


def test_a_model_of_a_pipe_is_measured_by_its_kept_tokens(charlm, corpus, tmp_path, forbid):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(
        target=(tmp_path / "pipe").write_bytes, args=(corpus.read_bytes(),), daemon=True
    )
    writer.start()
    small = ("--hidden-size", 8, "--steps", 1, "--bptt", 8, "--batch-size", 2)
    trained = charlm("train", "pipe", *small)
    writer.join()
    forbid("pipe", tmp_path / "pipe")

    evaluated = charlm("eval", "--perplexity")

    assert (trained.status, evaluated.status) == (0, 0), trained.err + evaluated.err


def test_the_other_commands_that_read_a_checkpoints_corpus_open_nothing_either(
    charlm, checkpoint, offline
):
    change_corpus(checkpoint, paths=["reference://x"])

    for command in (
        ["eval", checkpoint, "--split", "train"],
        ["eval", checkpoint, "--baseline", 2],
        ["eval", checkpoint, "--dynamic", "--tune"],
        ["eval", checkpoint, "--mix", "ngram"],
        ["export", checkpoint, "--arpa", "-"],
        ["train", "--resume", "-o", checkpoint],
    ):
        is_one_line(charlm(*command))
    assert offline == []


@pytest.mark.parametrize("field", ["paths", "valid", "test", "embeddings"])
@pytest.mark.parametrize("address", [*ADDRESSES, "pipe"])
def test_a_recipe_names_local_files_only(
    charlm, corpus, tmp_path, offline, forbid, stdin, address, field
):
    stdin(b"what the user typed")
    os.mkfifo(tmp_path / "pipe")
    forbid("/dev/zero", "/etc/hostname", tmp_path / "pipe")
    named = {"paths": [str(corpus)], "valid": [str(corpus)], field: [address]}
    lines = ["[corpus]", *(f"{k} = {json.dumps(v)}" for k, v in named.items() if k != "embeddings")]
    if field == "embeddings":
        lines += ["[text]", 'level = "word"', "[training]", f"embeddings = {json.dumps(address)}"]
    Path("recipe.toml").write_text("\n".join(lines) + "\n")

    result = charlm("train", "--recipe", "recipe.toml", "--steps", 1)

    is_one_line(result)
    assert offline == []
    assert sys.stdin.buffer.read() == b"what the user typed"


def test_standard_input_of_a_recipe_is_read_if_the_user_names_it(charlm, corpus, stdin):
    Path("recipe.toml").write_text('[corpus]\npaths = ["-"]\n[model]\nhidden_size = 8\n')
    small = ("--recipe", "recipe.toml", "--steps", 1, "--bptt", 8, "--batch-size", 2)
    stdin(corpus.read_bytes())

    assert charlm("train", "-", *small).status == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CHECKPOINT_FILES)
def test_what_is_no_regular_file_in_a_checkpoint_is_refused(charlm, checkpoint, name, kind, forbid):
    put(kind, checkpoint / name)
    forbid((checkpoint / name).resolve())

    for command in (["generate", checkpoint], ["info", checkpoint], ["eval", checkpoint]):
        is_one_line(charlm(*command), name, "not a ")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("metrics.jsonl", ["plot"]),
        ("adaptation.json", ["info"]),
        ("adaptation.json", ["eval", "--cache"]),
        ("state/training.safetensors", ["train", "--resume", "-o"]),
        ("recipe.toml", ["train", "--recipe"]),
        ("tokenizer.json", ["vocab", "encode", "a", "-t"]),
    ],
    ids=lambda each: each if isinstance(each, str) else each[0],
)
def test_each_command_refuses_what_is_no_regular_file(
    charlm, checkpoint, name, command, kind, forbid
):
    put(kind, checkpoint / name)
    forbid((checkpoint / name).resolve())
    target = checkpoint / name if command[-1] in ("--recipe", "-t") else checkpoint

    is_one_line(charlm(*command, target), Path(name).name, "folder" if kind == "folder" else "not")


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_cannot_be_read_does_not_hide_the_others(charlm, checkpoint, tmp_path, kind):
    shutil.copytree(checkpoint, tmp_path / "checkpoints" / "good")
    shutil.copytree(checkpoint, tmp_path / "checkpoints" / "bad")
    put(kind, tmp_path / "checkpoints" / "bad" / "metrics.jsonl")

    result = charlm("list")

    assert result.status == 0
    assert "good" in result.out + result.err
    assert "checkpoints/bad/metrics.jsonl cannot be read" in result.err


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("option", ["text", "--mix", "--prompts", "rescore"])
def test_a_device_or_a_folder_that_the_user_names_is_one_line(charlm, checkpoint, kind, option):
    if "pipe" in kind:
        pytest.skip("a named pipe from the user is read")
    path = checkpoint / "named.arpa"
    put(kind, path)
    commands = {
        "text": ["eval", checkpoint, "--text", path],
        "--mix": ["eval", checkpoint, "--mix", f"{path}=0.5"],
        "--prompts": ["generate", checkpoint, "--prompts", path],
        "rescore": ["rescore", checkpoint, path],
    }

    is_one_line(charlm(*commands[option]), "named.arpa")


@pytest.mark.parametrize("name", [*CHECKPOINT_FILES[::2], "adaptation.json", "metrics.jsonl"])
@pytest.mark.parametrize("deep", [DEEP_LIST, DEEP_OBJECT], ids=["list", "object"])
def test_json_nested_ten_thousand_deep_is_one_line_at_most(charlm, checkpoint, name, deep):
    (checkpoint / name).write_text(deep + "\n")

    results = [charlm(command, checkpoint) for command in ("info", "plot", "generate")]

    for result in results:
        assert "Traceback" not in result.err
        assert result.status == 0 or (result.err.count("\n") == 1 and "error: " in result.err)
    if name in CHECKPOINT_FILES:
        is_one_line(results[0], name)


@pytest.mark.parametrize("name", ["pairs.jsonl", "labels.jsonl"])
def test_json_lines_nested_ten_thousand_deep_are_one_line(charlm, checkpoint, name, tmp_path):
    path = tmp_path / name
    path.write_text(DEEP_OBJECT + "\n")
    commands = {
        "pairs.jsonl": ["score", checkpoint, "--pairs", path],
        "labels.jsonl": ["train", path, "--label", "both", "--steps", 1],
    }

    is_one_line(charlm(*commands[name]), f"{name}:1", "nested more than 100 levels deep")


@pytest.mark.parametrize(
    "deep", [DEEP_LIST, "{a = " * 5_000 + "1" + "}" * 5_000], ids=["list", "table"]
)
def test_a_recipe_nested_ten_thousand_deep_is_one_line(charlm, tmp_path, deep):
    (tmp_path / "recipe.toml").write_text(f"[corpus]\npaths = {deep}\n")

    is_one_line(charlm("train", "--recipe", "recipe.toml"), "nested more than 100 levels deep")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "adaptation.json"])
def test_a_file_that_is_far_too_large_is_refused_before_it_is_read(charlm, checkpoint, name):
    with (checkpoint / name).open("wb") as file:
        file.truncate(1 << 32)  # takes no room on the disk

    is_one_line(charlm("info", checkpoint), name, "larger than")


def test_what_a_run_writes_stays_in_its_folder(charlm, corpus, tmp_path, checkpoint):
    """A link to somebody's file in a folder from elsewhere is replaced, not followed."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (checkpoint / "adaptation.json").symlink_to(precious)

    tuned = charlm("eval", checkpoint, "--cache", "--tune", "--text", corpus)

    assert tuned.status == 0, tuned.err
    assert precious.read_text() == "mine"
    assert not (checkpoint / "adaptation.json").is_symlink()
