"""What the tool that emulates boards says of what it cannot use; no test waits for the firmware it builds."""

import sys

import pytest

from npreslstm.errors import InputError
from tools.release.micropython_emulated import Board, main


def test_a_folder_that_is_not_micropythons_source_is_named(tmp_path):
    with pytest.raises(InputError, match="has no ports/qemu; expected MicroPython's source tree"):
        main([str(tmp_path)])


def test_a_source_that_does_not_build_says_what_make_said(tmp_path):
    (tmp_path / "ports" / "qemu").mkdir(parents=True)
    (tmp_path / "ports" / "qemu" / "Makefile").write_text("all:\n\t@echo no compiler here; false\n")
    with pytest.raises(InputError, match="the firmware m3 was not built: no compiler here"):
        main([str(tmp_path)])


def test_a_board_that_says_something_else_is_quoted():
    message = "the board says 'panic.*expected '>>> '"
    with pytest.raises(InputError, match=message), Board([sys.executable, "-c", "print('panic')"]):
        pass
