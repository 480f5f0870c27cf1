"""Adam and its schedules, on one flat vector of parameters.

    g <- g + lambda p                                             (O1)   Adam: decay is in the gradient (L2)
    m <- beta1 m + (1 - beta1) g        v <- beta2 v + (1 - beta2) g^2     (O2)
    p <- p - lr lambda p                                          (O3)   AdamW: weight decay by itself
    p <- p - lr (m / (1 - beta1^k)) / (sqrt(v / (1 - beta2^k)) + eps)      (O4)   in step k

Source: Kingma & Ba 2015; Loshchilov & Hutter 2019 (AdamW) and 2017 (warm restarts); as torch.optim computes
them.
"""

import math

import numpy as np

from npreslstm.errors import InputError

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
OPTIMIZERS = ("adam", "adamw")
SCHEDULES = ("constant", "cosine", "warm-restarts")


class Adam:
    """Adam (O1, O2, O4) or, with `decoupled`, AdamW (O2, O3, O4).

    Parameters
    ----------
    size : int
        P, numbers in the parameter vector.
    weight_decay : float
        lambda.
    decoupled : bool
    dtype : dtype of the parameters

    Attributes
    ----------
    m, v : (P,) arrays
        Moments of the gradient.
    steps : int
        Updates made.
    """

    def __init__(self, size, weight_decay=0.0, decoupled=False, dtype=np.float32):
        self.weight_decay, self.decoupled = weight_decay, decoupled
        self.m, self.v = np.zeros(size, dtype=dtype), np.zeros(size, dtype=dtype)
        self.steps = 0

    def update(self, p, g, lr):
        """Change the parameters `p` (P,) in place by their gradient `g` (P,) at the rate `lr`."""
        self.steps += 1
        if self.decoupled:
            p *= 1 - lr * self.weight_decay  # (O3)
        elif self.weight_decay:
            g = g + self.weight_decay * p  # (O1)
        self.m += (1 - BETA1) * (g - self.m)  # (O2)
        self.v *= BETA2
        self.v += (1 - BETA2) * (g * g)
        root = np.sqrt(self.v)  # (O4)
        root *= 1 / math.sqrt(1 - BETA2**self.steps)
        root += EPS
        np.divide(self.m, root, out=root)
        root *= lr / (1 - BETA1**self.steps)
        p -= root


def learning_rate(schedule, lr, epoch, epochs, period=1, floor=0.0):
    """Rate of an epoch.

    Parameters
    ----------
    schedule : {'constant', 'cosine', 'warm-restarts'}
        'cosine' falls from `lr` to `floor` * `lr` over `epochs`; 'warm-restarts' does so every `period`
        epochs and jumps back, as torch's CosineAnnealingWarmRestarts with T_0 = period, T_mult = 1, stepped
        once an epoch.
    lr : float
        The highest rate.
    epoch : float
        Epochs done, in [0, epochs); may be fractional for a rate that changes every step.
    epochs : int
    period : int
        Epochs between restarts.
    floor : float
        Lowest rate as a share of `lr`.

    Returns
    -------
    float
    """
    if schedule not in SCHEDULES:
        raise InputError(f"schedule is {schedule!r}; expected one of {', '.join(SCHEDULES)}")
    if schedule == "constant":
        return lr
    done = epoch / epochs if schedule == "cosine" else epoch % period / period
    return lr * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)))


def clip_gradient(g, max_norm):
    """Scale the gradient vector `g` in place so that its Euclidean norm is at most `max_norm`; returns the
    norm before.
    """
    norm = float(np.sqrt(np.dot(g, g)))
    if norm > max_norm:
        g *= max_norm / norm
    return norm
