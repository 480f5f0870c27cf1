"""Bars, sparklines and tables."""

from npreslstm.report import text


class TestText:
    """Bars and sparklines."""

    def test_bar(self):
        assert (text.bar(0, 4), text.bar(1, 4), text.bar(0.5, 4), text.bar(0.53125, 4)) == (
            "",
            "████",
            "██",
            "██▏",
        )
        assert text.bar(0.5, 4, blocks=False) == "##"

    def test_sparkline(self):
        assert text.sparkline([0, None, 0.5, 1.0]) == "▁ ▅█"
        assert text.sparkline([0, None, 0.5, 1.0], blocks=False) == "_ =#"
        assert text.sparkline([0.0, 0.0]) == "▁▁" and text.sparkline([]) == ""

    def test_table(self):
        assert text.table(("a", "bb"), [("xyz", "1")], right={1}) == "a    bb\nxyz   1"
