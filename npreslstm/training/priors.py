"""How frequent the classes are, in the loss, and targets that know of it."""

import numpy as np

RAREST = 1e-30  # prior of a class that a corpus lacks: its logarithm is finite, and the class has no say


def class_log_prior(labels, C):
    """Logarithms of the shares of the classes (C,) float32, less their mean; a class without clips counts as
    one of a single clip.
    """
    logarithms = np.log(np.maximum(np.bincount(labels, minlength=C), 1))
    return (logarithms - logarithms.mean()).astype(np.float32)


def class_priors(labels, corpora, heard, prior):
    """How frequent the classes are in each of several corpora, for the loss.

    The loss of a clip of corpus k is the cross-entropy of softmax(logits + log prior_k) (Menon et al. 2021).
    So the logits themselves are for classes that are all alike, whatever each corpus has many of; and a class
    that a corpus lacks, of which its clips say nothing, is left out of its softmax.

    Parameters
    ----------
    labels, corpora : (N,) int arrays
    heard : (K, C) bool array
        Whether corpus k has clips of a class.
    prior : {'uniform', 'training'}
        'training': classes that a corpus has count alike in its prior, so that the logits keep the shares of
        the clips.

    Returns
    -------
    (K, C) float32 array
        At least RAREST.
    """
    counts = np.zeros(heard.shape)
    np.add.at(counts, (corpora, labels), 1)
    counts = np.where(heard, np.maximum(counts, 1) if prior == "uniform" else 1, 0)
    return np.maximum(counts / counts.sum(axis=1, keepdims=True), RAREST).astype(np.float32)


def smoothed_targets(labels, priors, smoothing):
    """Targets (N, C) that spread the share `smoothing` evenly over the classes that a clip's corpus has."""
    possible = priors > RAREST
    targets = possible * (smoothing / possible.sum(axis=1, keepdims=True))
    targets[np.arange(len(labels)), labels] += 1 - smoothing
    return targets.astype(np.float32)


def anchor(targets, said, share):
    """Move targets (N, C) by a share towards other ones (N, C), in place; rows of NaN have no say."""
    known = ~np.isnan(said).any(axis=1)
    targets[known] += np.float32(share) * (said[known] - targets[known])
