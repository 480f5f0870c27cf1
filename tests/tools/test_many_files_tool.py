"""`tools/many_files.py` with 200 files: processes and workers that are killed."""

import os
import random

import pytest

from tools import many_files


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="there is no /proc")
class TestKilled:
    """As `tools/many_files.py` shows it of 20,000 files."""

    @pytest.fixture(scope="class")
    @staticmethod
    def folder(tmp_path_factory):
        folder = tmp_path_factory.mktemp("many")
        (folder / "clips").mkdir()
        many_files.make_clips(folder / "clips", 200, 0)
        _, early, late = many_files.undisturbed(
            folder / "clips", folder / "whole.csv", many_files.COMMANDS["predict, CSV"], 200
        )
        assert late < early + 3  # MB; 0 to 1 is usual
        return folder

    def test_killed_again_and_again(self, folder):
        command = many_files.COMMANDS["predict, CSV"]
        places = many_files.killed(folder / "clips", folder / "killed.csv", command, 200, 2, random.Random(0))
        assert len(set(places)) == 2 and 0 < places[0] < places[1] < 200
        assert (folder / "killed.csv").read_bytes() == (folder / "whole.csv").read_bytes()

    def test_one_of_two_processes_killed(self, folder):
        many_files.with_two_processes(
            folder / "clips", folder / "two.csv", many_files.COMMANDS["predict, CSV"], 200
        )
        assert (folder / "two.csv").read_bytes() == (folder / "whole.csv").read_bytes()

    @pytest.mark.oracle
    @pytest.mark.filterwarnings("ignore")  # of distributed, about the worker that was killed
    def test_one_of_two_workers_of_a_cluster_killed(self, folder):
        pytest.importorskip("distributed")
        command = many_files.COMMANDS["predict, CSV"]
        assert many_files.with_a_cluster(folder / "clips", folder / "cluster.csv", command, 200)
        assert (folder / "cluster.csv").read_bytes() == (folder / "whole.csv").read_bytes()
