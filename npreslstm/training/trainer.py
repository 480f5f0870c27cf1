"""One training run: from z-scored features and a recipe to a model. Bit-reproducible from its seed on one
machine.
"""

import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from npreslstm.errors import InputError, SnapshotError
from npreslstm.files import atomic_write
from npreslstm.formats.npy import read_npz
from npreslstm.formats.plain_data import parse_json
from npreslstm.layers.activations import softmax
from npreslstm.layers.loss import cross_entropy, one_hot
from npreslstm.memory import keep_freed_memory
from npreslstm.model import ResLSTM
from npreslstm.training import augment
from npreslstm.training.batches import make_batches, pad
from npreslstm.training.optimizer import Adam, clip_gradient, learning_rate
from npreslstm.training.priors import anchor, class_log_prior, class_priors, smoothed_targets
from npreslstm.training.snapshot import checksum, other_run, require
from npreslstm.training.vocal_tract import VocalTract, warp_cepstra


class View(NamedTuple):
    """The clips that are trained on in features of one kind."""

    clips: Sequence[Sequence[np.ndarray]]  # of each clip its z-scored variants, as `Trainer` takes them
    tracts: Sequence[VocalTract] = ()  # of these features


class _Drawn(NamedTuple):
    """What was drawn for N clips of a batch."""

    variants: np.ndarray  # (N,) int
    spans: np.ndarray  # (N, 2), first frame and end of what is kept, as shares of the clip
    tracts: np.ndarray | None  # (N,) int
    mixture: augment.Mixture | None


class Trainer:
    """The state of a run between two epochs.

    Parameters
    ----------
    config : ModelConfig
        Its dropout is replaced by the recipe's.
    recipe : Recipe
    clips : list of lists of (T, D) float32 arrays
        For each clip its z-scored variants: those of ``recipe.speeds`` in their order, then those of
        ``recipe.conditions``.
    labels : (N,) int array
    seed : int
        Everything random follows from it: the weights, and epoch by epoch the order, the distortions and the
        teachers.
    teachers : sequence of ResLSTM, optional
        Distillation (Hinton et al. 2015): the target of a batch is not its labels, but what one of these,
        drawn for each batch, makes of the very same distorted clips. On average over batches that is what all
        of them together make of it. Their prior must be the recipe's.
    views : sequence of (View or None), optional
        For each teacher the same clips in features of its own; None, or no views at all: it hears what the
        student hears.
    tracts : sequence of VocalTract, optional
        Each clip of a batch is spoken by one of these, drawn at random.
    corpora : (N,) int array, optional
        The corpus of each clip; by default all are of one.
    heard : (number of corpora, C) bool array, optional
        Which classes each of several corpora has clips of. What a clip is not asked is then whether it is of
        a class that its corpus lacks: see `class_priors`.
    start : ResLSTM, optional
        The network to begin with, in place of random weights; of the configuration but for dropout.
    opinions : (N, C) float array, optional
        Logits of that network for each clip, of which ``recipe.anchor`` makes part of the target; NaN where
        it has no say.

    Attributes
    ----------
    log_prior : (C,) float32 array
        What is taken out of the logits in the end, see `Recipe.prior`; of mean 0.
    history : list of (float, float)
        Loss and validation UAR (NaN without validation clips) of each epoch so far.
    """

    def __init__(
        self,
        config,
        recipe,
        clips,
        labels,
        seed,
        teachers=(),
        tracts=(),
        corpora=None,
        heard=None,
        start=None,
        opinions=None,
        views=(),
    ):
        if len(clips) < 2:
            raise InputError(f"{len(clips)} clips to train on; expected at least 2, for the batch statistics")
        keep_freed_memory()
        self.recipe, self.labels, self.seed = recipe, np.asarray(labels), seed
        self.view, self.teachers = View(clips, tracts), teachers
        self.views = views or [None] * len(teachers)
        self.model = ResLSTM(replace(config, dropout=recipe.dropout), np.random.default_rng([seed, 0]))
        if start is not None:
            self.model.load_state_dict(start.state_dict())
        self.opinions = opinions
        self.corpora = np.zeros(len(clips), int) if corpora is None else np.asarray(corpora)
        self._set_priors(heard)
        self.gradient = np.empty_like(self.model.vector)
        self.optimizer = Adam(len(self.model.vector), recipe.weight_decay, recipe.optimizer == "adamw")
        self.average = ResLSTM(self.model.config)
        self.average.load_state_dict(self.model.state_dict())
        self.epoch, self.history = 0, []

    def _set_priors(self, heard):
        prior, C = self.recipe.prior, self.model.config.num_classes
        self.priors = None if heard is None else class_priors(self.labels, self.corpora, heard, prior)
        self.log_prior = np.zeros(C, np.float32)
        if prior == "uniform" and heard is None:  # of several corpora the loss itself does it
            self.log_prior = class_log_prior(self.labels, C)

    def run_epoch(self):
        """Train one epoch; returns the mean loss."""
        recipe = self.recipe
        rng = np.random.default_rng([self.seed, 1 + self.epoch])
        lr = learning_rate(recipe.schedule, recipe.lr, self.epoch, recipe.epochs, recipe.period, recipe.floor)
        total = 0.0
        order = self._clips_of_epoch(rng)
        for batch in make_batches(order, recipe.batch_size):
            total += self._step(batch, lr, rng) * len(batch)
        self.epoch += 1
        return total / len(order)

    def _clips_of_epoch(self, rng):
        """Numbers of the clips of an epoch in random order: all, or of each corpus its share."""
        shares = self.recipe.corpus_shares
        if not shares:
            return rng.permutation(len(self.labels))
        unit = np.count_nonzero(self.corpora == 0)
        chosen = []
        for corpus, share in enumerate(shares):
            mine = np.flatnonzero(self.corpora == corpus)
            chosen.append(rng.permutation(mine)[: max(1, round(share * unit))])
        return rng.permutation(np.concatenate(chosen))

    def _step(self, batch, lr, rng):
        drawn = self._draw(batch, rng)
        x, lengths = self._heard(self.view, batch, drawn, rng)
        targets, priors = self._targets(batch, drawn)
        if self.teachers:
            targets = self._taught(batch, drawn, (x, lengths), rng)
        logits, cache = self.model.forward(x, lengths, True, self.recipe.padding, rng)
        if priors is not None and not self.teachers:
            logits = logits + np.log(priors)
        loss, dlogits = cross_entropy(logits, targets)
        self.model.backward(dlogits, cache, out=self.gradient)
        if self.recipe.clip_norm:
            clip_gradient(self.gradient, self.recipe.clip_norm)
        self.optimizer.update(self.model.vector, self.gradient, lr)
        self._update_average()
        return loss

    def _draw(self, batch, rng):
        """What is done to the clips of a batch, whatever their features are."""
        recipe, N = self.recipe, len(batch)
        variants = self._variants(N, rng)
        spans = np.tile([0.0, 1.0], (N, 1))
        if recipe.crop:
            T = [len(self.view.clips[n][variant]) for n, variant in zip(batch, variants)]
            spans = np.array([augment.crop(frames, recipe.crop, rng) for frames in T]) / np.array(T)[:, None]
        tracts = rng.integers(len(self.view.tracts), size=N) if self.view.tracts else None
        mixture = augment.mixup(N, recipe.mixup, rng) if recipe.mixup else None
        return _Drawn(variants, spans, tracts, mixture)

    def _heard(self, view, batch, drawn, rng):
        """The clips of a batch in the features of a view, as they were drawn, with noise and masks: x
        (N, T, D) and lengths (N,).
        """
        recipe = self.recipe
        clips = [view.clips[n][variant] for n, variant in zip(batch, drawn.variants)]
        clips = [
            frames[round(a * len(frames)) : round(b * len(frames))]
            for frames, (a, b) in zip(clips, drawn.spans)
        ]
        if drawn.tracts is not None:
            clips = [warp_cepstra(frames, view.tracts[k]) for frames, k in zip(clips, drawn.tracts)]
        x, lengths = pad(clips)
        if drawn.mixture is not None:
            x = drawn.mixture.of(x)
        if recipe.noise:
            augment.add_noise(x, recipe.noise, rng)
        if recipe.offset:
            augment.add_offset(x, recipe.offset, rng)
        augment.mask_time(x, lengths, recipe.time_masks, recipe.longest_mask, rng)
        augment.mask_columns(x, recipe.column_masks, recipe.widest_mask, rng)
        return x, lengths

    def _targets(self, batch, drawn):
        """Targets (N, C) of a batch by its labels, and priors (N, C) or None."""
        recipe = self.recipe
        C, dtype = self.model.config.num_classes, self.model.vector.dtype
        targets, priors = one_hot(self.labels[batch], C, dtype, recipe.label_smoothing), None
        if self.priors is not None:
            priors = self.priors[self.corpora[batch]]
            targets = smoothed_targets(self.labels[batch], priors, recipe.label_smoothing)
        if self.opinions is not None:
            log_prior = self.log_prior if priors is None else np.log(priors)
            anchor(targets, softmax(self.opinions[batch] + log_prior), recipe.anchor)
        if drawn.mixture is not None:
            targets = drawn.mixture.of(targets)
            priors = None if priors is None else drawn.mixture.of(priors)
        return targets, priors

    def _taught(self, batch, drawn, heard, rng):
        """Targets (N, C) by a teacher, who hears what the student hears, or the same clips in features of its
        own; these have noise and masks of their own.
        """
        k = rng.integers(len(self.teachers))
        if self.views[k] is not None:
            heard = self._heard(self.views[k], batch, drawn, rng)
        logits, _ = self.teachers[k].infer(*heard, self.recipe.padding)
        return softmax(logits + self.log_prior)

    def _variants(self, N, rng):
        """The variant of each of N clips: one of the speeds, or one of the conditions."""
        speeds, conditions = len(self.recipe.speeds), self.recipe.conditions
        chosen = rng.integers(speeds, size=N)
        if conditions:
            under = rng.random(N) < self.recipe.conditioned
            chosen = np.where(under, speeds + rng.integers(conditions, size=N), chosen)
        return chosen

    def _update_average(self):
        """Move the averaged tensors towards the model's; early on faster, so that the first weights are soon
        forgotten.
        """
        k = self.optimizer.steps
        decay = min(self.recipe.ema, (1 + k) / (10 + k)) if self.recipe.ema else 0.0
        mine, theirs = self.average, self.model
        pairs = [(mine.vector, theirs.vector)]
        pairs += [
            (mine.tensors[name], theirs.tensors[name]) for name in theirs.tensors if ".running_" in name
        ]
        for average, current in pairs:
            average += (1 - decay) * (current - average)

    def save(self, path, **more):
        """Write all of the state (with `more` arrays) so that `restore` goes on with the same bits."""
        arrays = {f"model/{name}": tensor for name, tensor in self.model.tensors.items()}
        arrays |= {f"average/{name}": tensor for name, tensor in self.average.tensors.items()}
        with atomic_write(path) as file:
            arrays |= {
                "what": np.array(json.dumps(self._identity())),
                "history": np.array(self.history, float).reshape(-1, 2),
            }
            np.savez(
                file,
                epoch=self.epoch,
                steps=self.optimizer.steps,
                m=self.optimizer.m,
                v=self.optimizer.v,
                **arrays,
                **more,
            )

    def restore(self, path):
        """Go on from a file of `save`; returns {name: array} of what else was in it.

        Raises
        ------
        SnapshotError
            If the file is damaged, or belongs to another run: another recipe, model, seed or other clips.
        """
        try:
            arrays = read_npz(path, "delete it")
            identity = parse_json(str(arrays.pop("what", "")))
        except InputError as error:
            raise SnapshotError(f"{os.fspath(path)} is damaged ({error}): delete it") from None
        if identity != self._identity():
            raise other_run(path)
        expected = {
            f"{prefix}/{name}": tensor
            for prefix in ("model", "average")
            for name, tensor in self.model.tensors.items()
        }
        expected |= {"m": self.optimizer.m, "v": self.optimizer.v, "epoch": np.int64(0), "steps": np.int64(0)}
        require(path, arrays, expected | {"history": np.empty((np.size(arrays.get("history", 0)) // 2, 2))})
        if not len(arrays["history"]) == arrays["epoch"] <= self.recipe.epochs or arrays["steps"] < 0:
            raise SnapshotError(f"{os.fspath(path)} is damaged (its epochs contradict each other): delete it")
        for model, prefix in ((self.model, "model/"), (self.average, "average/")):
            model.load_state_dict(
                {
                    name.removeprefix(prefix): arrays.pop(name)
                    for name in list(arrays)
                    if name.startswith(prefix)
                }
            )
        self.epoch, self.optimizer.steps = int(arrays.pop("epoch")), int(arrays.pop("steps"))
        self.optimizer.m, self.optimizer.v = arrays.pop("m"), arrays.pop("v")
        self.history = list(map(tuple, arrays.pop("history").tolist()))
        return arrays

    def _identity(self):
        clips = _checksum_of(self.view)
        teachers = [zlib.crc32(teacher.vector) for teacher in self.teachers]
        several = [] if self.priors is None else [self.corpora.tolist(), self.priors.tolist()]
        several += [] if self.opinions is None else [checksum([self.opinions])]
        several += [_checksum_of(view) for view in self.views if view is not None]
        return [
            self.recipe.to_dict(),
            self.model.config.to_dict(),
            self.seed,
            self.labels.tolist(),
            clips,
            teachers,
            *several,
        ]


def _checksum_of(view):
    return checksum(variant for clip in view.clips for variant in clip)
