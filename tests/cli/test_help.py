"""Help comes at once, is complete, and says what the library does."""

import dataclasses
import inspect
import itertools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
import typer

import audiomend
from audiomend.audio.output import CLIP_MODES
from audiomend.cli import mend, options
from audiomend.cli.app import app
from audiomend.evaluation.benchmark import benchmark
from audiomend.evaluation.damages import SEVERITIES
from audiomend.models.precision import PRECISIONS
from audiomend.restorers.files import Request
from audiomend.restorers.methods import AUTO, METHODS, names
from audiomend.restorers.options import QUALITY_STEPS, Options

HEAVY = ("torch", "numpy", "scipy", "soundfile", "soxr", "PIL", "safetensors")
HELP_CPU_S = 0.5
WALKED = ("steps", "preset", "guidance", "solver", "sampler")
ROOT = Path(__file__).parents[2]
SET = {
    "$POSTER": "--data DIR",
    "$ROWS": "damaged",
    "$NAMES": "",
    "$STEPS": "",
    "$MORE": "",
    "$PIANO": "--data DIR",
}  # the pages' variables
PROGRAM = [sys.executable, "-m", "audiomend.cli.main"]


def commands() -> list[list[str]]:
    """Every command that has a help page."""
    group = typer.main.get_command(app)
    found: list[list[str]] = [[]]
    for name, command in group.commands.items():
        found.append([name])
        found += [[name, inner] for inner in getattr(command, "commands", {})]
    return found


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_help_has_an_example_and_explains_every_option(command: list[str], cli: Callable) -> None:
    result = cli(*command, "--help")
    assert result.code == 0
    text = result.out.decode()
    assert re.search(r"Examples?:\s+audiomend", text)
    found = typer.main.get_command(app)
    for name in command:
        found = found.commands[name]
    for parameter in found.params:
        assert parameter.help, parameter.name


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_help_names_values_in_words_and_not_as_types(command: list[str], cli: Callable) -> None:
    """IN, DB, COUNT or the choices themselves; a flag takes nothing, so nothing stands beside it."""
    text = cli(*command, "--help").out.decode()
    assert not re.search(r"[<>{}]", text.replace("{input}", "").replace("{output}", ""))
    found = typer.main.get_command(app)
    for name in command:
        found = found.commands[name]
    for option in found.params:
        if option.param_type_name == "option":
            takes = (
                "|".join(option.type_descriptor.choices or ()) if option.metavar is None else option.metavar
            )
            assert option.is_flag or re.fullmatch(r"[A-Z].*|.*\|.*", takes), option.name
            shown = option.help.split()[0] if option.is_flag else takes
            assert re.search(rf"{max(option.opts, key=len)} +(-\w +)?{re.escape(shown)} ", text), option.name
    assert re.search("--help +-h +Show", text)


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_paragraphs_of_help_are_as_wide_as_the_terminal(command: list[str]) -> None:
    found = typer.main.get_command(app)
    for name in command:
        found = found.commands[name]
    assert "\n" not in found.help.replace("\n\n", "")


def written_commands() -> list[str]:
    """Command lines of the README and the docs: in blocks, and in the text with their arguments (IN, OUT)."""
    found: set[str] = set()
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = page.read_text().replace("\\\n", "")
        blocks = "".join(re.findall(r"^```sh$(.*?)^```$", text, re.DOTALL | re.MULTILINE))
        lines = re.findall(r"^audiomend .*$", blocks, re.MULTILINE)
        lines += re.findall(r"^ {4}(audiomend .*)$", text, re.MULTILINE)
        lines += re.findall(r"`(audiomend [^`\n]*\b[A-Z]{2,}\b[^`\n]*)`", text)
        for line in lines:  # a\\|b in a table are two of them
            found |= {" ".join(words) for words in itertools.product(*(w.split("\\|") for w in line.split()))}
    return sorted(found)


@pytest.mark.parametrize("line", written_commands())
def test_commands_of_the_docs_are_command_lines(line: str) -> None:
    """They name commands and options that there are, and leave out nothing that is required."""
    for name, value in SET.items():
        line = line.replace(name, value)
    _, *words = shlex.split(line)
    command = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    command.make_context(line, words)


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    script = (
        "import sys, resource\n"
        "from audiomend.cli import interrupts, main\n"
        "from audiomend.cli.app import run\n"
        "assert run(['declip', '--help']) == 0\n"
        f"print('loaded:', *(name for name in {HEAVY} if name in sys.modules))\n"
        "use = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print('seconds:', use.ru_utime + use.ru_stime)\n"
    )
    took = []
    for _ in range(3):
        run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        *_, loaded, seconds = run.stdout.splitlines()
        assert loaded.strip() == "loaded:"
        took.append(float(seconds.removeprefix("seconds: ")))
    assert min(took) < HELP_CPU_S  # of the processor: the clock also counts what else the machine does


def test_the_version_is_the_package_s(cli: Callable) -> None:
    assert cli("--version").out.decode() == f"audiomend {audiomend.__version__}\n"


def test_without_a_command_there_is_help(cli: Callable) -> None:
    result = cli()
    assert result.code == 2
    assert b"declip" in result.out
    assert result.err == ""


def choices(annotation: object) -> tuple[str, ...]:
    alternatives = get_args(annotation)[0]
    if get_origin(alternatives) is not Literal:  # or None
        alternatives, _ = get_args(alternatives)
    assert get_origin(alternatives) is Literal
    return get_args(alternatives)


def listed_methods(verb: str) -> tuple[str, ...]:
    """The names in the first sentence of the help of --method."""
    found = next(p for p in typer.main.get_command(app).commands[verb].params if p.name == "method")
    return tuple(re.split(", | or ", found.help.split(". ")[0]))


def test_choices_are_those_of_the_library() -> None:
    hints = get_type_hints(options.Settings, include_extras=True)
    assert choices(options.DeclipMethod) == names("declip")
    assert choices(options.InpaintMethod) == names("inpaint")
    assert choices(options.ExtendMethod) == names("extend")
    assert choices(options.DeclickMethod) == names("declick")
    for verb in METHODS:
        assert listed_methods(verb) == names(verb)
    assert choices(hints["quality"]) == tuple(QUALITY_STEPS)
    assert choices(hints["precision"]) == PRECISIONS
    assert choices(hints["clip_mode"]) == CLIP_MODES
    task = inspect.signature(typer.main.get_command(app).commands["benchmark"].callback).parameters["task"]
    assert choices(task.annotation) == tuple(SEVERITIES)


@pytest.mark.parametrize("verb", ["declip", "extend", "inpaint"])
def test_what_the_help_says_of_quality_without_a_network(verb: str) -> None:
    """Less or more work of declip; extend and gaps filled with a similar stretch have one quality."""
    method = METHODS[verb][{**AUTO, "inpaint": "similarity"}[verb]]
    one = all(method.at(quality) is method for quality in QUALITY_STEPS)
    assert one == (verb != "declip")
    described = next(p for p in typer.main.get_command(app).commands[verb].params if p.name == "quality").help
    assert "extend has one quality then, and so have gaps filled with a similar stretch" in described


def test_defaults_are_those_of_the_library() -> None:
    chosen = options.Settings()
    library = {field.name: field.default for field in dataclasses.fields(Options)}
    for name in (*WALKED, "model", "quality", "seed", "strength", "precision", "device"):
        assert getattr(chosen, name) == library[name], name
    assert (chosen.clip_mode, chosen.force, chosen.residue) == ("rescale", False, None)
    request = {field.name: field.default for field in dataclasses.fields(Request)}
    assert (request["clip_mode"], request["force"], request["residue"]) == ("rescale", False, None)
    parameters = inspect.signature(audiomend.declip).parameters
    for name in (*WALKED, "model", "quality", "seed", "strength", "precision", "threads", "device"):
        assert parameters[name].default == getattr(chosen, name), name
    for verb in METHODS:
        ours, theirs = (inspect.signature(getattr(where, verb)).parameters for where in (mend, audiomend))
        assert ours["method"].default == theirs["method"].default == "auto", verb


def test_benchmark_defaults_are_those_of_the_library() -> None:
    ours = inspect.signature(typer.main.get_command(app).commands["benchmark"].callback).parameters
    theirs = inspect.signature(benchmark).parameters
    for mine, name in {
        "split": "split",
        "clip_seconds": "clip_s",
        "seed": "seed",
        "timeout": "timeout_s",
    }.items():
        assert ours[mine].default == theirs[name].default, name


def test_verbs_share_their_options() -> None:
    group = typer.main.get_command(app)
    own = {
        "declip": {"method", "clip_level"},
        "inpaint": {"method", "gap", "band"},
        "extend": {"method", "cutoff_hz"},
    }
    pages = {verb: [p for p in group.commands[verb].params if p.name not in own[verb]] for verb in own}
    for verb in own:
        described = [(p.name, p.opts, p.help, p.default) for p in pages[verb]]
        assert described == [(p.name, p.opts, p.help, p.default) for p in pages["declip"]]


def test_an_unexpected_error_is_one_sentence_too(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str | None) -> None:
        raise KeyError("fault\nof two lines")

    monkeypatch.setattr("audiomend.models.store.card_of", fail)
    monkeypatch.delenv("AUDIOMEND_DEBUG", raising=False)
    result = cli("models", "show")
    assert result.code == 1
    assert result.err.startswith("Error: unexpected KeyError: ")
    assert result.err.count("\n") == 1
    assert "please report it" in result.err
    monkeypatch.setenv("AUDIOMEND_DEBUG", "1")
    assert "Traceback" in cli("models", "show").err


def test_memory_that_is_too_small_is_said(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str | None) -> None:
        raise MemoryError

    monkeypatch.setattr("audiomend.models.store.card_of", fail)
    assert cli("models", "show").err == "Error: the memory of this machine does not suffice.\n"


def test_a_reader_that_leaves_is_no_fault() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        run = subprocess.run([*PROGRAM, "models", "show"], stdout=writer, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writer)
    assert run.stderr == b""
