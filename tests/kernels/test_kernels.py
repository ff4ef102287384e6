"""step.c: its structures are those ctypes knows, and it compiles to the model's own numbers."""

import ast
import ctypes
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import charlm.kernels
from charlm.cells import CELLS
from charlm.errors import ConfigError
from charlm.kernels import (
    DEPTH,
    KINDS,
    LANES,
    WIDTH,
    InstructionSet,
    KernelLayer,
    KernelModel,
    KernelWindow,
    Speed,
    load_kernel,
    lstm_library,
    max_instruction_set,
    step_instruction_set,
    step_library,
)
from charlm.kernels.step_library import LIBRARIES, declare, find_kernel
from charlm.model import LanguageModel, ModelConfig, fastest_steps

SOURCE = Path(charlm.kernels.__file__).with_name("step.c")
COMPILER = shutil.which("cc")


def compile_c(*arguments):
    command = [str(COMPILER), "-std=gnu11", "-ffp-contract=fast", "-Wno-psabi", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def layout(structure, name):
    """What ctypes says of a structure, as assertions in C."""
    yield f"sizeof({name}) == {ctypes.sizeof(structure)}"
    for field, _ in structure._fields_:
        at = getattr(structure, field)
        yield f"offsetof({name}, {field}) == {at.offset}"
        yield f"sizeof((({name} *)0)->{field}) == {at.size}"


@pytest.fixture(scope="module", params=[None, *reversed(LIBRARIES)], ids=str)
def compiled(request, tmp_path_factory):
    """The step as installed, for each instruction set here, and compiled anew without any.

    None, which steps with torch, where there is no compiler.
    """
    name = "step.so" if request.param is None else LIBRARIES[request.param]
    folder = Path(step_library.__file__).parent
    if request.param is None:
        if COMPILER is None:
            return None
        folder = tmp_path_factory.mktemp("kernels")
        arguments = ("-Og", "-fPIC", "-shared", "-pthread", str(SOURCE))
        made = compile_c(*arguments, "-o", str(folder / name))
        assert made.returncode == 0, made.stderr
    elif request.param > (step_instruction_set() or InstructionSet.BASELINE):
        pytest.skip("not an instruction set of this processor, or beyond CHARLM_MAX_CPU_ISA")
    elif not (folder / name).exists():
        return None
    return declare(ctypes.PyDLL(str(folder / name)))


def said_of(claims, source, folder):
    """What the compiler says of claims about a source."""
    program = folder / "claims.c"
    lines = [f'#include "{source}"', "#include <stddef.h>"]
    lines += [f'_Static_assert({claim}, "{claim}");' for claim in claims]
    program.write_text("\n".join(lines) + "\n")
    return compile_c("-fsyntax-only", str(program)).stderr


def test_the_window_and_numbers_of_the_lstm_are_those_of_its_source(tmp_path):
    claims = list(layout(KernelWindow, "Window"))
    if lstm_library.lstm_speed():  # other processors have the window alone
        claims += [f"LANES == {LANES}", f"DEPTH == {DEPTH}"]
        claims += [f"{speed.name} == {speed.value}" for speed in Speed]

    said = said_of(claims, SOURCE.with_name("lstm.c"), tmp_path) if COMPILER else ""

    assert "error" not in said, said


def test_the_structures_numbers_and_names_are_those_of_the_c_source(tmp_path):
    kinds = {"lstm": "LSTM", "gru": "GRU", "rnn": "TANH", "rnn-relu": "RELU", "head": "HEAD"}
    claims = [*layout(KernelLayer, "Layer"), *layout(KernelModel, "Model"), f"WIDTH == {WIDTH}"]
    claims += [f"{kinds[kind]} == {number}" for kind, number in KINDS.items()]
    claims += [f"{name.name} == {name.value}" for name in LIBRARIES]

    said = said_of(claims, SOURCE, tmp_path) if COMPILER else ""

    assert "error" not in said, said
    assert set(KINDS) - set(CELLS) == {"head"}


@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize("cell", [kind for kind in KINDS if kind != "head"])
def test_what_a_compiler_here_makes_of_it_steps_like_the_model(
    cell, num_threads, compiled, monkeypatch
):
    for module in ("packed", "stepping"):
        monkeypatch.setattr(f"charlm.model.{module}.load_kernel", lambda: compiled)
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=70, cell=cell, embedding_size=40, hidden_size=40, num_layers=2)
    model = LanguageModel(config).eval()
    steps = fastest_steps(model, num_threads)
    tokens = torch.randint(70, (10, 7))

    with torch.inference_mode():
        state, expected_state = steps.initial_state(7), model.initial_state(7)
        for column in tokens:
            logits, state = steps.step(column, state)
            expected, expected_state = model.step(column, expected_state)

    torch.testing.assert_close(logits, expected)


def test_without_a_library_there_is_no_kernel(tmp_path, monkeypatch):
    monkeypatch.setattr(step_library, "__file__", str(tmp_path / "__init__.py"))

    assert find_kernel.__wrapped__() is None


@pytest.mark.parametrize("content", [b"", b"a library of another machine", b"\x7fELF" + bytes(60)])
def test_a_library_that_cannot_be_loaded_is_no_kernel(content, tmp_path, monkeypatch):
    (tmp_path / "step.so").write_bytes(content)
    monkeypatch.setattr(step_library, "__file__", str(tmp_path / "__init__.py"))

    assert find_kernel.__wrapped__() is None


@pytest.mark.parametrize("limit", LIBRARIES, ids=str)
def test_the_variable_limits_the_instruction_set_of_the_step(limit, monkeypatch):
    monkeypatch.setenv("CHARLM_MAX_CPU_ISA", limit.name)
    found = find_kernel.__wrapped__()
    unlimited = step_instruction_set()

    assert (found is None) == (unlimited is None)
    assert found is None or found[0] <= limit
    assert unlimited is None or limit > unlimited or found[0] == limit


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("BASELINE", Speed.NONE),
        ("AVX512", Speed.NONE),
        ("AVX512_BF16", Speed.VECTORS),
        ("AMX", Speed.TILES),
    ],
)
def test_the_variable_limits_the_instructions_of_the_lstm(limit, expected, monkeypatch):
    library = SimpleNamespace(charlm_lstm_speed=lambda: Speed.TILES)
    monkeypatch.setattr(lstm_library, "load_lstm", lambda: library)
    monkeypatch.setenv("CHARLM_MAX_CPU_ISA", limit)

    assert lstm_library.lstm_speed.__wrapped__() == expected


def test_an_unknown_instruction_set_is_one_clear_line(monkeypatch):
    monkeypatch.setenv("CHARLM_MAX_CPU_ISA", "AVX1024")

    with pytest.raises(ConfigError, match=r"must be one of BASELINE, AVX2, .* not 'AVX1024'"):
        max_instruction_set()


def test_a_missing_library_gives_way_to_the_next_instruction_set(tmp_path, monkeypatch):
    if step_instruction_set() is None:
        pytest.skip("nothing is compiled")
    installed = Path(step_library.__file__).with_name("step.so")
    shutil.copy(installed, tmp_path)
    monkeypatch.setattr(step_library, "__file__", str(tmp_path / "__init__.py"))

    assert find_kernel.__wrapped__()[0] is InstructionSet.BASELINE


def test_the_library_is_loaded_once(monkeypatch):
    kernel, instruction_set = load_kernel(), step_instruction_set()
    monkeypatch.setattr(step_library, "open_library", None)  # may not be called again

    assert load_kernel() is kernel
    assert step_instruction_set() is instruction_set


def test_the_step_is_compiled_with_the_instructions_that_are_looked_for():
    """An AVX-512 processor must have those of AVX2 as well."""
    checked = re.findall(r'__builtin_cpu_supports\("(\w+)"\)', SOURCE.read_text())
    build = ast.parse((Path(__file__).parents[2] / "hatch_build.py").read_text())
    flags = {
        node.targets[0].id: [
            part.value.removeprefix("-m") for part in node.value.elts if type(part) is ast.Constant
        ]
        for node in build.body
        if isinstance(node, ast.Assign) and node.targets[0].id in ("AVX2", "AVX512")
    }

    assert checked == flags["AVX2"] + flags["AVX512"]
    assert "-march" not in ast.unparse(build)


@pytest.fixture
def fresh_lstm(monkeypatch):
    """`load_lstm` as if it had never been called."""
    monkeypatch.setattr(lstm_library, "load_lstm", lstm_library.load_lstm.__wrapped__)
    monkeypatch.setattr(lstm_library, "lstm_speed", lstm_library.lstm_speed.__wrapped__)
    return lstm_library


@pytest.mark.parametrize("content", [None, b"", b"no library at all"])
def test_an_lstm_that_cannot_be_loaded_is_one_that_is_not_there(
    fresh_lstm, content, monkeypatch, tmp_path
):
    if content is not None:
        (tmp_path / "lstm.so").write_bytes(content)
    monkeypatch.setattr(fresh_lstm, "__file__", str(tmp_path / "lstm_library.py"))

    assert fresh_lstm.load_lstm() is None
    assert fresh_lstm.lstm_speed() == Speed.NONE


@pytest.mark.parametrize(
    "source",
    [
        "int charlm_lstm_window_bytes(void) { return 8; }",
        "int charlm_lstm_speed(void) { return 1; }",
    ],
    ids=["another layout", "an older version"],
)
def test_an_lstm_of_another_version_is_not_used(fresh_lstm, source, monkeypatch, tmp_path):
    (tmp_path / "lstm.c").write_text(source)
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    command = [compiler, "-shared", "-fPIC", "lstm.c", "-o", "lstm.so"]
    subprocess.run(command, cwd=tmp_path, check=True)
    monkeypatch.setattr(fresh_lstm, "__file__", str(tmp_path / "lstm_library.py"))

    assert fresh_lstm.load_lstm() is None
