"""An LSTM stack forwards and back, clip by clip, as from a textbook, with mistakes to choose from.

`npreslstm.testing` names mistakes by data that it changes; here the same mistakes are made where people make
them, in code that shares nothing with it. Every mistake is an `if` that is off by default.
"""

import numpy as np

GATES = "ifgo"


class Naive:
    """A backward pass with one mistake, in the layers and directions `where` (default: in all).

    `order` and `k` belong to mistakes about gates and lost frames, `starts_kept` to states that are kept
    where they are not carried, or where the last frames are lost.
    """

    def __init__(self, mistake=None, where=None, order="ifgo", k=1, starts_kept=False):
        self.starts_kept = starts_kept
        self.mistake, self.where, self.order, self.k = mistake, where, order, k

    def makes(self, *mistakes):
        """Whether the mistake is one of these, for all layers together."""
        return self.mistake in mistakes

    def in_(self, name, *mistakes):
        """Whether it is one of these, in this layer and direction."""
        return self.mistake in mistakes and (self.where is None or name in self.where)

    def gradients(self, weights, x, dy, lengths, h0, c0, dh_n, dc_n):
        """{name: gradient}: of every weight, dx, dh0 and dc0."""
        names = [name.removeprefix("weight_ih_") for name in weights if name.startswith("weight_ih")]
        total = {name: np.zeros_like(w) for name, w in weights.items()}
        total |= {"dx": np.zeros_like(x), "dh0": np.zeros_like(h0), "dc0": np.zeros_like(c0)}
        if self.makes("zero h0", "zero states"):
            h0 = 0 * h0
        if self.makes("zero c0", "zero states"):
            c0 = 0 * c0
        if self.makes("exchanged states"):
            h0, c0 = c0, h0
        if self.makes("no dh_n", "no final states"):
            dh_n = 0 * dh_n
        if self.makes("no dc_n", "no final states"):
            dc_n = 0 * dc_n
        for n in range(len(x)):
            T = x.shape[1] if self.makes("lengths ignored") else lengths[n]
            self.padding = x.shape[1] - T
            states = h0[:, n], c0[:, n], dh_n[:, n], dc_n[:, n]
            found = self.clip(names, weights, x[n, :T], dy[n, :T], *states)
            for name, gradient in found.items():
                if name == "dx":
                    total["dx"][n, :T] = gradient
                elif name in ("dh0", "dc0"):
                    total[name][:, n] = gradient
                else:
                    total[name] += gradient
        return self.handed_over(names, total, lengths, x.shape)

    def clip(self, names, weights, x, dy, h0, c0, dh_n, dc_n):
        """The gradients of one clip."""
        runs, inputs = {}, x
        layers = sorted({name.split("_")[0] for name in names})
        for layer in layers:
            outputs = []
            for name in (name for name in names if name.split("_")[0] == layer):
                k, turn = names.index(name), self.turn(name)
                params = [
                    weights.get(f"{w}_{name}", 0.0) for w in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                ]
                runs[name] = self.forward(name, inputs[::turn], params, h0[k], c0[k])
                outputs.append(np.array([frame["h"] for frame in runs[name]])[::turn])
            inputs = np.concatenate(outputs, axis=1)
        found = {"dh0": np.zeros_like(h0), "dc0": np.zeros_like(c0)}
        for layer in reversed(layers):
            of_layer = [name for name in names if name.split("_")[0] == layer]
            dx = 0
            for name, d in zip(of_layer, np.split(dy, len(of_layer), axis=1)):
                k, turn = names.index(name), self.turn(name)
                if not (name.endswith("reverse") and self.in_(name, "dy not turned")):
                    d = d[::turn]
                grads, back, found["dh0"][k], found["dc0"][k] = self.backward(
                    name, runs[name], d, dh_n[k], dc_n[k]
                )
                if not (name.endswith("reverse") and self.in_(name, "dx not turned")):
                    back = back[::turn]
                dx = dx + back
                found |= {f"{w}_{name}": g for w, g in grads.items() if f"{w}_{name}" in weights}
            dy = dx
        return found | {"dx": dy}

    def turn(self, name):
        """The step through the frames."""
        return -1 if name.endswith("reverse") and not self.in_(name, "runs forwards") else 1

    def blocks(self, name, w, *mistakes):
        """{gate: its rows}, read in another order by some mistakes."""
        order = self.order if self.in_(name, *mistakes) else GATES
        return dict(zip(order, np.split(w, 4)))

    def forward(self, name, x, params, h, c):
        """The frames of one layer and direction, with all that they compute."""
        W, U = (self.blocks(name, w, "gates read in another order") for w in params[:2])
        biases = [np.zeros(4 * len(h)) + b for b in params[2:]]
        b, d = (self.blocks(name, b, "gates read in another order") for b in biases)
        frames = []
        for x_t in x:
            a = {gate: W[gate] @ x_t + b[gate] + U[gate] @ h + d[gate] for gate in GATES}
            i, f, o = (1 / (1 + np.exp(-a[gate])) for gate in "ifo")
            g = np.tanh(a["g"])
            frame = {"x": x_t, "h_before": h, "c_before": c, "i": i, "f": f, "g": g, "o": o, "W": W, "U": U}
            c = f * c + i * g
            h = o * np.tanh(c)
            frames.append(frame | {"c": c, "h": h})
        return frames

    def backward(self, name, frames, dy, dh, dc):
        """Gradients of one layer and direction: of its weights, dx (T, D), dh0 and dc0."""
        T, H = len(frames), len(dh)
        start = T
        if self.makes("last frames missed"):
            start = T - self.k
        if self.makes("batch's last frames missed"):
            start = min(T, T + self.padding - self.k)
        if start < T and not self.starts_kept:
            dh, dc = 0 * dh, 0 * dc  # the final state's gradients go with the frames
        stop = self.k if self.makes("first frames missed") else 0
        dx = np.zeros((T, len(frames[0]["x"])))
        dW, dU, db = {}, {}, {}
        for gate in GATES:
            dW[gate], dU[gate], db[gate] = np.zeros((H, dx.shape[1])), np.zeros((H, H)), np.zeros(H)
        for t in range(max(start, 0) - 1, stop - 1, -1):
            v = frames[t]
            dh = dh + dy[t]
            da, dc = self.through_the_gates(name, v, dh, dc)
            at = dict(zip(self.order, GATES)) if self.in_(name, "da stacked in another order") else {}
            W = {gate: v["W"][at.get(gate, gate)] for gate in GATES}
            U = {gate: v["U"][at.get(gate, gate)] for gate in GATES}
            dh = np.zeros(H)
            for gate in GATES:
                W_T = W[gate] if self.in_(name, "weight_ih not transposed") else W[gate].T
                U_T = U[gate] if self.in_(name, "weight_hh not transposed") else U[gate].T
                dx[t] += W_T @ da[gate]
                dh += U_T @ da[gate]
                h_before = v["h"] if self.in_(name, "h for h_before") else v["h_before"]
                dW[gate] += np.outer(da[gate], v["x"])
                dU[gate] += np.outer(da[gate], h_before)
                db[gate] += da[gate]
            dc = dc * v["f"]
            if self.in_(name, "no dh carried", "nothing carried"):
                dh = dh if self.kept_at_the_start(t, stop) else np.zeros(H)
            if self.in_(name, "no dc carried", "nothing carried"):
                dc = dc if self.kept_at_the_start(t, stop) else np.zeros(H)
        rows = self.order if self.makes("gates read in another order") else GATES
        rows = rows if self.in_(name, "gates read in another order") else GATES
        if self.in_(name, "da stacked in another order"):
            rows = self.order
        stacked = [np.concatenate([d[gate] for gate in rows]) for d in (dW, dU, db)]
        return dict(zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), (*stacked, stacked[2]))), dx, dh, dc

    def kept_at_the_start(self, t, stop):
        """Whether dh0 and dc0 are what the first frame gives, though frames do not hand it on."""
        return self.starts_kept and t == stop

    def through_the_gates(self, name, v, dh, dc):
        """{gate: da}, and dc with what came through h."""
        i, g, o, tanh_c = v["i"], v["g"], v["o"], np.tanh(v["c"])
        s = {gate: v[gate] * (1 - v[gate]) for gate in "ifo"}  # sigmoid's derivative
        tanh_g, tanh_of_c = 1 - g * g, 1 - tanh_c * tanh_c
        for gate in "ifo":
            if self.in_(name, f"no sigmoid' in {gate}", "no sigmoid'", "no derivative at all"):
                s[gate] = 1.0
        if self.in_(name, "no tanh' in g", "no tanh'", "no derivative at all"):
            tanh_g = 1.0
        if self.in_(name, "no tanh' in c", "no tanh'", "no derivative at all"):
            tanh_of_c = 1.0
        if not self.in_(name, "nothing through h"):
            dc = dc + dh * o * tanh_of_c
        c_before = v["c"] if self.in_(name, "c for c_before") else v["c_before"]
        return {
            "i": dc * g * s["i"],
            "f": dc * c_before * s["f"],
            "g": dc * i * tanh_g,
            "o": dh * tanh_c * s["o"],
        }, dc

    def handed_over(self, names, total, lengths, shape):
        """The sums over all clips, with mistakes in what is made of them."""
        N, T, _ = shape
        divisors = {"clips": N, "frames": T, "clips and frames": int(np.sum(lengths))}
        for name in names:
            for w in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                key = f"{w}_{name}"
                if key not in total:
                    continue
                grad = total[key]
                if self.in_(name, f"{w} zero"):
                    grad = 0 * grad
                if w.startswith("bias") and self.in_(name, "biases twice"):
                    grad = 2 * grad
                if w.startswith("bias") and self.in_(name, "biases halved"):
                    grad = grad / 2
                if self.in_(name, f"d{w} transposed"):
                    grad = np.concatenate([block.T for block in np.split(grad, 4)])
                if self.in_(name, "rows in another order"):
                    blocks = dict(zip(GATES, np.split(grad, 4)))
                    grad = np.concatenate([blocks[gate] for gate in self.order])
                for words, n in divisors.items():
                    if self.in_(name, f"mean over {words}"):
                        grad = grad / n
                total[key] = grad
        for words, n in divisors.items():
            if self.makes(f"all divided by {words}"):
                total = {name: grad / n for name, grad in total.items()}
        if self.makes("dh0 and dc0 exchanged"):
            total["dh0"], total["dc0"] = total["dc0"], total["dh0"]
        return total
