"""The command line: finding commands, failing in one line, exit statuses."""

import importlib
import os
import re
import signal
import subprocess
import sys
import warnings

import pytest
from samples import write_clips, write_weights

from npreslstm import __version__, cli


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(write_weights(tmp_path_factory.mktemp("weights") / "w.npz"))


@pytest.fixture
def clips(tmp_path):
    return write_clips(tmp_path / "clips")


class TestMain:
    """Help, errors and exit status."""

    def test_no_arguments_print_help(self, run):
        assert run() == run("--help")
        status, out, err = run()
        assert status == 0 and not err and all(name in out for name in cli.COMMANDS)

    def test_version(self, run):
        assert run("--version") == (0, f"npreslstm {__version__}\n", [])

    @pytest.mark.parametrize("name", cli.COMMANDS)
    def test_every_command_has_help_with_examples(self, run, name):
        status, out, err = run(name, "--help")
        assert (
            (status, err) == (0, [])
            and "examples:" in out
            and f"npreslstm {name}" in out.partition("examples:")[2]
        )

    @pytest.mark.parametrize("name", cli.COMMANDS)
    def test_examples_are_understood(self, name):
        import shlex

        module = importlib.import_module(f"npreslstm.commands.{name}")
        lines = module.EXAMPLES.replace("\\\n      ", "").splitlines()
        examples = [re.split("   | > ", line)[0] for line in lines if line.startswith("  npreslstm ")]
        understood = [cli._parser().parse_args(shlex.split(example)[1:]).execute for example in examples]
        assert understood and understood[0] is module.execute

    @pytest.mark.parametrize(
        "argv, words",
        [
            (["frobnicate"], "invalid choice: 'frobnicate'"),
            (["--frobnicate"], "the following arguments are required: COMMAND"),
            (["predict"], "the following arguments are required: PATH"),
            (["predict", "a.wav", "--window", "long"], "--window: invalid float value: 'long'"),
            (["predict", "a.wav", "--form", "csv"], "unrecognized arguments: --form"),
            (["predict", "a.wav", "--jobs", "0"], "--jobs is 0; expected at least 1"),
            (["predict", "a.wav", "--window", "0"], "window is 0.0; expected seconds above 0"),
            (["gradcheck", "--hidden", "0"], "hidden_size is 0"),
            (["gradcheck", "--seed", "-1"], "--seed is -1"),
        ],
    )
    def test_bad_use_is_one_line(self, run, argv, words):
        status, out, err = run(*argv)
        assert status == 2 and out == "" and len(err) == 1
        assert err[0].startswith("npreslstm: error: ") and words in err[0]

    @pytest.mark.parametrize(
        "error, status, words",
        [
            (KeyboardInterrupt(), 130, "interrupted"),
            (OSError(28, "No space left on device", "out.csv"), 2, "error: out.csv: No space left on device"),
            (OSError("cannot"), 2, "error: cannot"),
            (MemoryError(), 2, "error: MemoryError"),
            (cli.InputError("two\nlines"), 2, "error: two lines"),
        ],
    )
    def test_failures(self, run, monkeypatch, error, status, words):
        def fail(args):
            raise error

        monkeypatch.setattr("npreslstm.commands.gradcheck.execute", fail)
        assert run("gradcheck") == (status, "", [f"npreslstm: {words}"])

    def test_a_bug_is_not_hidden(self, monkeypatch):
        monkeypatch.setattr("npreslstm.commands.gradcheck.execute", lambda args: {}["key"])
        with pytest.raises(KeyError):
            cli.main(["gradcheck"])

    def test_warnings_are_one_line_each_and_once(self, run, monkeypatch):
        def warn(args):
            for k in (1, 2, 2):
                warnings.warn(f"number {k}", UserWarning, stacklevel=1)
            warnings.warn("for developers", DeprecationWarning, stacklevel=1)

        monkeypatch.setattr("npreslstm.commands.gradcheck.execute", warn)
        assert run("gradcheck") == (0, "", ["npreslstm: warning: number 1", "npreslstm: warning: number 2"])

    def test_python_m_and_the_short_form(self, weights, clips, run):
        done = subprocess.run(
            [sys.executable, "-m", "npreslstm", clips / "a.wav", "--weights", weights],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        assert run(clips / "a.wav", "--weights", weights) == (0, done.stdout, [])
        assert run("predict", clips / "a.wav", "--weights", weights) == (0, done.stdout, [])

    def test_a_closed_pipe_is_quiet(self):
        command = [
            sys.executable,
            "-c",
            "import sys, npreslstm.cli as c; sys.exit(c.main(['gradcheck', '--help']))",
        ]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == 141
        process.stderr.close()

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
    @pytest.mark.parametrize("unbuffered", ["", "1"])
    @pytest.mark.parametrize("argument", ["--help", "--version", "info", "predict --help"])
    def test_a_full_disk_is_one_line(self, argument, unbuffered):
        command = [sys.executable, "-m", "npreslstm", *argument.split()]
        environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
        with open("/dev/full", "wb") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
        assert done.returncode == 2
        assert done.stderr == "npreslstm: error: standard output: No space left on device\n"

    def test_closed_streams(self):
        done = subprocess.run(["sh", "-c", f"{sys.executable} -m npreslstm --version >&- 2>&-"])
        assert done.returncode == 0

    def test_help_loads_nothing_heavy(self):
        script = (
            "import sys, npreslstm.cli as c\nc.main(['--help'])\nc.main(['predict', '--help'])\nprint('numpy'"
            " in sys.modules, file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stderr == "False\n"


def test_without_numpy_it_says_so(tmp_path):
    code = "import sys; sys.modules['numpy'] = None; import npreslstm.cli as c; sys.exit(c.main(['info']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        2,
        "npreslstm: error: npreslstm needs NumPy: pip install numpy\n",
    )


@pytest.mark.skipif(not hasattr(signal, "SIGTERM") or os.name == "nt", reason="signals of POSIX")
def test_termination_leaves_no_half_written_file(tmp_path):
    """A program that is terminated while it writes ends by an exception, as one that is interrupted does."""
    code = """
import sys, time
from npreslstm.cli import guarded
from npreslstm.files import atomic_write
def run():
    with atomic_write(sys.argv[1]) as file:
        file.write(b"half")
        print("writing", flush=True)
        time.sleep(60)
sys.exit(guarded(run))
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "writing\n"
        process.terminate()
    assert process.returncode == 143 and list(tmp_path.iterdir()) == []
