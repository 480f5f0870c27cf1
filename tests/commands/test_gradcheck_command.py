"""`gradcheck`: what it prints and refuses; the arithmetic is tested in test_gradient_check.py."""

import pytest


class TestGradcheck:
    """The command; the arithmetic is tested in test_gradcheck.py."""

    @pytest.mark.parametrize(
        "options",
        [
            [],
            ["--kind", "lstm-sa", "--vectors", "2"],
            ["--layers", "2", "--padding", "original", "--seed", "3"],
        ],
    )
    def test_passes(self, run, options):
        status, out, _ = run("gradcheck", "--input", "2", "--hidden", "1", *options)
        assert status == 0 and "tolerance 4e-07: passed" in out
        assert all(name in out for name in ("attention_vector", "fc.bias", "bn.weight", "bias_hh_l0", "\nx "))

    def test_fails_on_a_wrong_gradient(self, run, monkeypatch):
        from npreslstm.model import ResLSTM

        backward = ResLSTM.backward

        def wrong(*args, **options):
            grads, dx = backward(*args, **options)
            grads["fc.bias"][0] *= 1.01
            return grads, dx

        monkeypatch.setattr(ResLSTM, "backward", wrong)
        status, out, _ = run("gradcheck", "--input", "2", "--hidden", "1")
        assert status == 1 and "(fc.bias), tolerance 4e-07: FAILED in 1 of 16" in out
        assert [line.split()[0] for line in out.splitlines() if line.endswith("FAILED")] == ["fc.bias"]

    @pytest.mark.parametrize("backend", ["fast", "reference"])
    def test_shows_one_entry(self, run, backend):
        status, out, _ = run("gradcheck", "--backend", backend, "--show", "lstm1.weight_hh_l0[3,2]")
        lines = out.splitlines()
        assert (
            status == 0
            and lines[0].startswith("lstm1.weight_hh_l0[3,2] = ")
            and lines[-1].endswith(": passed")
        )
        losses = {line[8:11].strip(): float(line.split()[-1]) for line in lines if line.startswith("loss at")}
        numeric, analytic = (
            float(line.split()[1]) for line in lines if line.startswith(("numeric", "analytic"))
        )
        slope = 8 * (losses["+d"] - losses["-d"]) - (losses["+2d"] - losses["-2d"])
        assert numeric == pytest.approx(slope / (12 * 3e-4), abs=1e-11) and analytic == pytest.approx(
            numeric, abs=1e-9
        )
        assert "dW_hh = da.T @ h_before  in npreslstm/layers/lstm.py" in out

    def test_leaves_a_term_out(self, run):
        small = "--input", "2", "--hidden", "1", "--kind", "lstm-sa"
        status, out, _ = run("gradcheck", *small, "--break", "dc")
        assert (
            status == 1 and "- dc = dc + dh * o * (1 - tanh_c**2)\n+ dc = dh * o * (1 - tanh_c**2)\n" in out
        )
        failed = [line.split()[0] for line in out.splitlines() if line.endswith("FAILED")]
        assert failed == [
            "x",
            *(f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
        ]
        status, out, _ = run("gradcheck", *small, "--break", "dc", "--show", "lstm.weight_hh_l0[0,0]")
        assert (
            status == 1 and out.startswith("without the gradient of the cell") and out.endswith(": FAILED\n")
        )
        assert run("gradcheck", *small)[0] == 0

    @pytest.mark.parametrize(
        "options, message",
        [
            (["--backend", "slow"], "backend is 'slow'; expected one of fast, reference"),
            (["--break", "da"], "there is no term 'da' to leave out; expected one of dc, dh, tanh"),
            (["--break", "dc", "--backend", "fast"], "--break with --backend fast; expected reference"),
            (
                ["--show", "fc.bias[6]"],
                "'fc.bias[6]' is not in fc.bias, which is (6,); expected up to fc.bias[5]",
            ),
            (["--show", "fc.bias"], "'fc.bias' is no entry of a tensor"),
        ],
    )
    def test_bad_use_is_one_line(self, run, options, message):
        status, out, err = run("gradcheck", *options)
        assert (status, out) == (2, "") and len(err) == 1 and message in err[0]
