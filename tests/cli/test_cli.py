"""The command: what it prints, writes and refuses."""

import errno
import io
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from skdfal import __version__, cli
from skdfal.cli import _comparison, _reproduce, main
from skdfal.cli._names import strategy_names
from skdfal.cli._parser import make_parser
from skdfal.cli._work import run
from skdfal.experiment import (
    DATASETS,
    NETS,
    PAPER_STRATEGIES,
    TrialError,
    _workers,
    read_records,
)
from skdfal.reproduce import (
    ABLATION_DATASETS,
    PAPER_DATASETS,
    PAPER_NETS,
    SCALES,
    TASK_AWARE_DATASETS,
    _files,
    _tables,
    load_protocol,
)
from skdfal.reproduce._command import _REPORTS
from skdfal.reproduce._task_aware import TASK_AWARE
from skdfal.strategies import STRATEGIES, register, unregister
from tests.experiment.test_experiment import MINE

ROOT = Path(__file__).parents[2]

TINY = (
    "compare --n-pool 30 --n-test 30 --n-initial 4 --n-instances 4 "
    "--max-annotations 12 --n-candidates 10 --epochs 1 --trials 1 "
    "--strategies dfal,random --jobs 1"
).split()


@pytest.fixture(scope="module")
def folder(quick_processes, tmp_path_factory):
    """Folder of one comparison by the command."""
    folder = tmp_path_factory.mktemp("cli") / "results"
    assert main([*TINY, "--out", str(folder)]) == 0
    return folder


def test_compare_writes_tables_and_pictures(folder, capsys):
    pytest.importorskip("matplotlib")
    assert main([*TINY, "--out", str(folder), "--resume"]) == 0
    out = capsys.readouterr().out
    assert "strategy" in out
    assert "Results in" in out
    for name in ("dfal", "random"):
        assert name in out
    records = read_records(folder / "rounds.csv")
    assert [(r["strategy"], r["annotations"]) for r in records] == [
        (name, n) for name in ("dfal", "random") for n in (4, 8, 12)
    ]
    for name in ("learning_curves.png", "twins.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    table = (folder / "table.md").read_text()
    assert "| dfal" in table
    for text in (table, out):  # of nets trained for one epoch
        assert "the accuracy of always predicting the most frequent class" in text
        assert "try more epochs (--epochs)" in text


def test_an_output_without_the_sign_of_deviations(folder, monkeypatch):
    """As of a pipe on Windows, or ``PYTHONIOENCODING=ascii``: the table is printed."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr("skdfal.cli._comparison.draw_or_say", lambda draw: None)
    assert main([*TINY, "--out", str(folder), "--resume"]) == 0
    assert b"mean ? standard deviation" in output.buffer.getvalue()


def test_results_are_never_lost(folder, capsys):
    before = (folder / "rounds.csv").read_bytes()
    assert main([*TINY, "--out", str(folder)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "--resume" in error
    assert "--out" in error
    assert main([*TINY, "--out", str(folder), "--resume", "--epochs", "2"]) == 2
    assert "--epochs was 1, now 2" in capsys.readouterr().err
    assert main([*TINY, "--out", str(folder), "--resume", "--lr", "0.01"]) == 2
    assert "lr was 0.001, now 0.01" in capsys.readouterr().err
    assert (folder / "rounds.csv").read_bytes() == before


def test_a_folder_of_something_else_holds_no_results(tmp_path, capsys):
    (tmp_path / "notes.txt").touch()
    assert main([*TINY, "--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "does not hold an experiment" in line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_help_that_cannot_be_written_says_so(monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # argparse is silent then
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "skdfal", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "No space left on device" in line


def test_without_matplotlib_all_but_pictures(folder, capsys, monkeypatch):
    for name in ("learning_curves.png", "twins.png"):
        (folder / name).unlink(missing_ok=True)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main([*TINY, "--out", str(folder), "--resume"]) == 0
    captured = capsys.readouterr()
    assert "pip install matplotlib" in captured.err
    assert "png" not in captured.out
    assert "dfal" in captured.out


def test_pictures_of_validation_samples_say_so(
    quick_processes, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("matplotlib")
    labels = []
    monkeypatch.setattr(
        "skdfal.cli._comparison.save_learning_curves",
        lambda *args, ylabel, **kwargs: labels.append(ylabel),
    )
    apart = ["--n-validation", "100", "--resume"]
    assert main([*TINY, *apart, "--out", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    assert "Validation accuracy in percent" in captured.out
    assert "Nothing to resume in" in captured.err
    assert labels == ["validation accuracy"]


@pytest.mark.slow
def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path, capsys):
    arguments = [*TINY, "--out", str(tmp_path / "out"), "--resume"]
    assert main(arguments) == 0
    (tmp_path / "out" / "trials" / "random-0.json").unlink()
    (tmp_path / "out" / "trials" / "random-0.checkpoint").write_text("nonsense")
    capsys.readouterr()
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert "random-0.checkpoint" in error.splitlines()[-1]
    assert "Move it away" in error.splitlines()[-1]


def default_folder(*arguments):
    arguments = make_parser().parse_args(["compare", *arguments])
    return _comparison.default_folder(arguments).as_posix()


def test_default_folder_is_named_after_the_settings():
    usual = default_folder()
    assert usual == "skdfal-results/digits-lenet5-100-seed0"
    assert default_folder("--max-annotations", "50", "--seed", "3") == (
        "skdfal-results/digits-lenet5-50-seed3"
    )
    # Fewer annotations than are bought first by default are nothing wrong.
    assert default_folder("--max-annotations", "8", "--n-initial", "4").startswith(
        "skdfal-results/digits-lenet5-8-seed0-"
    )
    # Trials, strategies and processes may grow in the same folder.
    assert default_folder("--trials", "9", "--strategies", "all", "--jobs", "1") == (
        usual
    )
    others = [
        default_folder(*arguments)
        for arguments in [
            *(("--epochs", "7"), ("--epochs", "8"), ("--threads", "3")),
            ("--lr", "0.003"),
        ]
    ]
    assert len(set(others)) == 4
    assert all(other.startswith(f"{usual}-") for other in others)


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["compete"], "compare"),
        (["compare", "--dataset", "imagenet"], "fashion_mnist"),
        (["compare", "--dataset", "minst"], "or module:function. Did you mean 'mni"),
        (["compare", "--dataset", "image_folder"], "a folder of pictures, or module:"),
        (["compare", "--dataset", "."], "is no image in"),
        (["compare", "--size", "32"], "--size applies only to a folder of your own"),
        (["compare", "--columns", "time=when"], "should be like file=image,label=kind"),
        (["compare", "--net", "resnet"], "vgg8"),
        (["compare", "--strategies", "dfal,bayes"], "'bayes' should be one of dfal"),
        (["compare", "--strategies", ""], "should be one of dfal"),
        (["compare", "--strategies", "no_such:f"], "No module named 'no_such'"),
        (["compare", "--dataset", "math:no_such"], "no attribute 'no_such'"),
        (["compare", "--net", "math:pi"], "is a float; it should be a function"),
        (["compare", "--trials", "0"], "'0' should be an integer >= 1"),
        (["compare", "--trials", "many"], "'many' should be an integer >= 1"),
        (["compare", "--jobs", "-1"], "integer >= 1"),
        (["compare", "--seed", "-1"], "integer >= 0"),
        (["compare", "--width", "0"], "number > 0"),
        (["compare", "--lr", "-0.1"], "number > 0"),
        (["compare", "--width", "1e9"], "with width=1e+09 cannot be made for samples"),
        (["compare", "--device", "meta"], "device='meta' cannot be used"),
        (["compare", "--marks", "20,33"], "marks=[33]"),
        (["compare", "--n-initial", "200"], "should be <= --max-annotations 100"),
        (["compare", "--restarts", "5"], "needs patience"),
        (["compare", "--max-annotations", "5000"], "1297 training samples"),
        (["compare", "--n-test", "5000"], "500 test samples"),
        (["compare", "--n-validation", "1297"], "1297"),
        (["compare", "--device", "abacus"], "abacus"),
        (["compare", "--out", ""], "name of a folder"),
        (["reproduce", "table9"], "table1"),
        (["reproduce", "table1", "--scale", "huge"], "smoke"),
        (["reproduce", "table1", "--dataset", "digits"], "quickdraw"),
        (["reproduce", "table2", "--device", "meta"], "device='meta' cannot be used"),
        (["reproduce", "table3", "--jobs", "2"], "--jobs has no effect on table3"),
        (["reproduce", "regions", "--net", "vgg8"], "--net has no effect on regions"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(
    arguments, allowed, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    (line,) = [row for row in captured.err.splitlines() if "error" in row]
    assert allowed in line
    assert captured.err.endswith(line + "\n")
    assert not captured.out
    assert not list(tmp_path.iterdir())


def test_reproduce_prints_ours_beside_the_paper(tmp_path, monkeypatch, capsys):
    """The same command goes on; here with nothing left to run but the report."""
    pytest.importorskip("matplotlib")
    records = [
        {"strategy": name, "trial": trial, "annotations": n, "score": score}
        for name, score in [("dfal", 0.85), ("random", 0.75)]
        for trial in (0, 1)
        for n in load_protocol("mnist", "lenet5", "smoke").protocol.rounds()
    ]
    asked = {}

    def run_nothing(protocol, strategies, n_trials, *, out_dir, **options):
        asked.update(options, strategies=strategies, n_trials=n_trials)
        out_dir.mkdir()
        return records

    monkeypatch.setattr(_files, "run_experiment", run_nothing)
    errors = {"dfal": [0.03], "random": [0.04]}
    monkeypatch.setattr(_tables, "calibration_errors", lambda out_dir: errors)
    out = tmp_path / "out"
    arguments = ["--scale", "smoke", "--strategies", "dfal,random", "--out", str(out)]
    assert main(["reproduce", "table1", *arguments]) == 0
    assert asked["resume"]
    assert asked["n_trials"] == 2
    printed = capsys.readouterr().out
    assert 'Scale "smoke". Departs from the paper: to 100 labels' in printed
    assert "Trials of a strategy: 2, not 5." in printed
    assert "+2.2" in printed  # 85.0 - 82.77
    assert "arXiv:1802.09841" in (out / "table1.md").read_text()
    assert (out / "learning_curves.png").exists()
    assert (out / "learning_curves.svg").exists()


def test_lists_may_have_spaces_after_their_commas():
    given = ["compare", "--strategies", "random, dfal", "--marks", "20, 50"]
    arguments = make_parser().parse_args(given)
    assert arguments.strategies == ("random", "dfal")
    assert arguments.marks == (20, 50)


def test_a_changed_setting_is_named_by_an_option_that_exists(tmp_path, capsys):
    options = "--n-test 50 --n-initial 4 --max-annotations 4 --epochs 1 --trials 1 "
    options += "--strategies random --jobs 1 --out"
    given = ["compare", *options.split(), str(tmp_path / "a")]
    assert main([*given, "--no-even-batches"]) == 0
    assert main([*given, "--resume", "--epochs", "2"]) == 2
    error = capsys.readouterr().err
    assert "even_batches was False, now True; --epochs was 1, now 2. Go" in error


def test_all_means_those_of_the_paper():
    arguments = make_parser().parse_args(["compare", "--strategies", "all"])
    assert strategy_names(arguments.strategies) == PAPER_STRATEGIES
    assert set(PAPER_STRATEGIES) <= set(STRATEGIES)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused_in_one_line(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for command in (["compare"], ["reproduce", "confidence"]):
        assert main([*command, "--device", "cuda"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "device='cuda' cannot be used" in line
    assert not list(tmp_path.iterdir())


def test_the_command_alone_shows_its_help(capsys):
    assert main([]) == 0
    captured = capsys.readouterr()
    assert "compare query strategies" in captured.out
    assert not captured.err


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_options_and_names(shell, capsys):
    pytest.importorskip("shtab")
    assert main(["--print-completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("compare", "reproduce", "--max-annotations", "core_set", "lenet5"):
        assert word in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_completion_in_bash(capsys):
    pytest.importorskip("shtab")
    main(["--print-completion", "bash"])
    script = (
        capsys.readouterr().out
        + """
COMP_WORDS=(skdfal comp); COMP_CWORD=1; _shtab_skdfal skdfal comp skdfal
echo "${COMPREPLY[@]}"
COMP_WORDS=(skdfal compare --net le); COMP_CWORD=3; _shtab_skdfal skdfal le --net
echo "${COMPREPLY[@]}"
"""
    )
    done = subprocess.run(["bash"], input=script, capture_output=True, text=True)
    assert done.stdout.split() == ["compare", "lenet5"], done.stderr


def test_completion_without_shtab_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["--print-completion", "bash"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'pip install "skdfal[completion]"' in line


@pytest.mark.parametrize("command", ["compare", "label"])
def test_help_shows_what_most_need_first(command, capsys):
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    advanced = text.index("\nadvanced: ")
    assert all(
        text.index(f"  --{name}") < advanced
        for name in {"compare": ("dataset", "out", "resume"), "label": ("classes",)}[
            command
        ]
    )


def test_a_line_each_minute_where_there_is_no_terminal(capsys, monkeypatch):
    """A clock that goes 25 seconds from look to look: every third time is a minute."""
    clock = itertools.count(step=25)
    monkeypatch.setattr(_workers.time, "perf_counter", lambda: float(next(clock)))
    tasks = {"trial 1 of dfal": _workers.Task(print, (), n_steps=4, n_done=1)}
    with _workers._Progress(tasks, verbose=1) as progress:
        progress.say_where_it_stands()
        progress.say_where_it_stands()
        assert not capsys.readouterr().err
        progress.say_where_it_stands()
        progress.advance(
            "trial 1 of dfal", 2, "dfal, trial 1: 50.0% with 30 annotations"
        )
        for _ in range(3):
            progress.say_where_it_stands()
    assert capsys.readouterr().err.splitlines() == [
        "[   75 s] 1 of 4 steps done",
        "[  150 s] 2 of 4 steps done; dfal, trial 1: 50.0% with 30 annotations",
    ]


def test_a_full_disk_is_said_without_a_traceback(monkeypatch, capsys, tmp_path):
    def fill_the_disk(*args, **kwargs):
        full = OSError(errno.ENOSPC, "No space left on device", "out/trials/dfal-0.csv")
        raise TrialError(f"Trial 1 of dfal failed: {full}") from full

    monkeypatch.setattr(_comparison, "run_experiment", fill_the_disk)
    assert main([*TINY, "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "Trial 1 of dfal failed" in error
    assert "No space left on device: 'out/trials/dfal-0.csv'" in error
    assert "continue with" in error
    assert "Traceback" not in error


def test_a_trial_that_failed_is_said_with_one_full_stop(monkeypatch, capsys, tmp_path):
    def fail(*args, **kwargs):
        raise TrialError("Trial 1 of mine:f failed: f returned 3.") from ValueError(
            "3."
        )

    monkeypatch.setattr(_comparison, "run_experiment", fail)
    assert main([*TINY, "--out", str(tmp_path / "out")]) == 1
    assert "failed: f returned 3. Finished work is kept" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(
    tmp_path, monkeypatch, capsys
):
    def refuse(path, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert main([*TINY, "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Permission denied" in line
    assert str(tmp_path / "out") in line


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_an_interrupt_while_loading_says_nothing(tmp_path):
    """The command stands still where it imports numpy, as if that took long."""
    slow = "import sys, time\nprint('loading', flush=True)\ntime.sleep(60)\n"
    (tmp_path / "numpy.py").write_text(slow)
    process = subprocess.Popen(
        [sys.executable, "-m", "skdfal", "compare"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert (out, errors) == ("", "")
    assert process.returncode == -signal.SIGINT  # a shell makes it 130


@pytest.mark.parametrize("name", ["STRATEGIES", "PAPER_STRATEGIES", "NETS", "DATASETS"])
def test_no_list_of_names_is_written_twice(name):
    """The command and its help have them from where they are kept."""
    files = Path(cli.__file__).parent.glob("*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    known = {"STRATEGIES": STRATEGIES, "PAPER_STRATEGIES": PAPER_STRATEGIES}
    known |= {"NETS": NETS, "DATASETS": DATASETS}
    quoted = [entry for entry in known[name] if f'"{entry}"' in text]
    assert len(quoted) <= 3, quoted  # the defaults


def test_reproduce_names_all_that_there_is_and_its_help_waits_for_nothing():
    code = (
        "import sys; from skdfal.cli import main; "
        "main(['reproduce', '--help']), main(['reproduce', 'table9']), "
        "main(['reproduce', 'table1', '--scale', 'huge']); "
        "assert not {'torch', 'sklearn', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert [*_REPORTS, "ablation", *TASK_AWARE] == _reproduce._WHAT
    assert SCALES == _reproduce._SCALES
    known = {*PAPER_DATASETS, *ABLATION_DATASETS, *TASK_AWARE_DATASETS, *PAPER_NETS}
    assert known - {*re.findall(r"[\w-]+", done.stdout)} == set()


def test_a_strategy_that_registers_is_known_to_the_command(capsys):
    @register("nearest_first", n_candidates=50)
    def nearest_first(estimator, X, n_instances=1):
        return range(n_instances)

    try:
        assert main(["compare", "--help"]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert strategy_names(["nearest_first"]) == ("nearest_first",)
    finally:
        unregister("nearest_first")
    assert "random, nearest_first, and module:function" in text
    assert ", nearest_first; the others look at the whole pool" in text


def test_things_of_ones_own_are_found_in_the_working_folder(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "of_mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    names = "--dataset of_mine:digits_of_noise --net of_mine:Net --strategies "
    names += "of_mine:last_ones,random --n-initial 4 --max-annotations 8 --epochs 1"
    assert main(["compare", *names.split(), "--trials", "2", "--jobs", "1"]) == 0
    (folder,) = (tmp_path / "skdfal-results").iterdir()
    assert folder.name.startswith("of_mine.digits_of_noise-of_mine.Net-8-seed0")
    table = (folder / "table.md").read_text()
    assert "of_mine:last_ones" in table
    for text in (table, capsys.readouterr().out):  # of two trials, so without p
        assert "minus that of random, in points" in text
        assert "need at least 5 trials" in text


def test_compare_on_a_folder_of_pictures(
    quick_processes, tmp_path, monkeypatch, capsys
):
    """Only the same pictures are gone on with, wherever the command is given."""
    Image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")
    monkeypatch.chdir(tmp_path)
    for i in range(40):
        name = tmp_path / "shades" / ["dark", "light"][i % 2] / f"{i}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), 100 * (i % 2) + i).save(name)
    (tmp_path / "shades" / "dark" / "broken.png").touch()
    assert main(["compare", "--dataset", "shades", "--size", "16"]) == 2
    error = capsys.readouterr().err
    assert "--max-annotations 100 is more than the 32 training samples of" in error
    assert "of shades, whose test set has 8 more. Set --max-annotations to 32" in error
    options = "--size 16 --n-test 10 --n-initial 4 --n-instances 4 --max-annotations 8 "
    options += "--epochs 1 --trials 1 --strategies random --jobs 1"
    arguments = ["compare", "--dataset", "shades", *options.split()]
    with pytest.warns(UserWarning, match="1 unreadable, such as dark/broken.png"):
        assert main(arguments) == 0
    error = capsys.readouterr().err
    assert "random on shades with lenet5, 4 to 8 annotations, 10 test samples" in error
    assert "warning: with only 10 test samples, each of them counts for 10.0%" in error
    (folder,) = (tmp_path / "skdfal-results").iterdir()
    assert folder.name.startswith("shades-lenet5-8-seed0-")
    assert "that are left out" not in error  # said again by a worker
    settings = json.loads((folder / "run.json").read_text())["settings"]
    assert settings["dataset_params"]["n_test"] == 10
    assert len(settings["data_digest"]) == 64

    shades = tmp_path / "elsewhere" / "shades"
    shades.parent.mkdir()
    (tmp_path / "shades").rename(shades)
    (shades / "dark" / "broken.png").unlink()
    again = [*arguments, "--resume", "--cache", "decoded"]
    again[2] = str(shades)
    assert main(again) == 0
    assert "Nothing to resume" not in capsys.readouterr().err
    assert (tmp_path / "decoded" / "pixels.npy").exists()
    Image.new("L", (16, 16), 77).save(shades / "dark" / "0.png")
    assert main(again) == 2
    error = capsys.readouterr().err
    assert "the samples, labels or split of the data set are not the same" in error


@pytest.mark.parametrize("command", ["label", "query", "export"])
def test_help_has_formats_and_the_size_of_pictures(command, capsys):
    from skdfal.label._nets import image_size_for

    assert main([command, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    if command == "export":
        assert "csv (the labels) or label-studio" in text
    else:
        sizes = image_size_for("lenet5"), image_size_for("timm/resnet18")
        assert "default: {}; {} for a pretrained network".format(*sizes) in text


def test_help_and_version(capsys):
    assert main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out
    assert main(["compare", "--help"]) == 0
    text = capsys.readouterr().out
    for name in STRATEGIES:
        assert name in text
    assert max(map(len, text.splitlines())) <= 88


def test_a_warning_is_one_line_that_names_the_command():
    def work(arguments):
        said = warnings.formatwarning("mind the gap", UserWarning, "file.py", 3, "x=1")
        assert said == "skdfal label: warning: mind the gap\n"

    before = warnings.formatwarning
    assert run(work, Namespace(command="label"), ["label"]) == 0
    assert warnings.formatwarning is before


@pytest.mark.skipif(os.name != "posix", reason="pipes of a shell")
def test_a_reader_that_has_gone_ends_the_command_quietly():
    """As ``skdfal --print-completion bash | head -1``."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "skdfal", "--print-completion", "bash"],
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, b"")
