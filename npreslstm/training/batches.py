"""Batches of clips of different lengths, and a model's logits of many clips."""

import numpy as np


def make_batches(order, size):
    """Cut clip numbers into batches of `size`; a last batch of one clip, whose statistics would mean nothing,
    joins the one before.
    """
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [np.concatenate(batches[-2:])]
    return batches


def pad(clips, dtype=np.float32):
    """Clips [(T_n, D)] as a batch: x (N, T, D), zero past each end, and lengths (N,)."""
    lengths = np.array([len(frames) for frames in clips])
    x = np.zeros((len(clips), lengths.max(), clips[0].shape[1]), dtype=dtype)
    for row, frames in zip(x, clips):
        row[: len(frames)] = frames
    return x, lengths


def predict(model, clips, padding="masked", batch_size=64):
    """Logits (N, C) of z-scored clips [(T_n, D)], computed in batches of similar length."""
    logits = np.empty((len(clips), model.config.num_classes), dtype=model.dtype)
    order = np.argsort([len(frames) for frames in clips], kind="stable")
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        logits[batch] = model.infer(*pad([clips[n] for n in batch], model.dtype), padding)[0]
    return logits
