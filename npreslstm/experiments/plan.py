"""What is to be cross-validated: corpus, features, model, recipe, folds, and networks to go on from."""

import glob
import os
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from npreslstm import __version__
from npreslstm.audio.config import FeatureConfig
from npreslstm.checkpoint import load_checkpoint
from npreslstm.errors import InputError
from npreslstm.experiments.corpora import corpus_classes
from npreslstm.experiments.protocol import Fold, check_classes, make_folds
from npreslstm.experiments.store import store_examples
from npreslstm.schema import ModelConfig
from npreslstm.training.conditioned import digest_of
from npreslstm.training.dataset import Dataset
from npreslstm.training.examples import Split
from npreslstm.training.recipe import Recipe


def fold_seed(seed, run, fold):
    """The seed of one training: another one for every run and fold."""
    return int(np.random.SeedSequence([seed, run, fold]).generate_state(1)[0])


@dataclass(frozen=True)
class Plan:
    """What is to be cross-validated.

    Attributes
    ----------
    dataset : Dataset
    features : FeatureConfig
    model : ModelConfig
    recipe : Recipe
    folds : tuple of Fold
    seed : int
    inner : bool
        Score the validation speakers in place of the test speakers, who then have no part in anything but the
        feature statistics of a recipe with ``statistics='all'``: for choosing between recipes.
    hold_validation : bool
        Keep the validation speakers out of training even if the recipe chooses no epoch by them.
    teachers : sequence of str
        Folders of cross-validations of the same folds, whose networks are the teachers of those of this one,
        fold by fold.
    teachers_by_run : bool
        A run learns from the networks of the same run alone; beyond the last run of a folder, from those of
        its first again.
    backgrounds : sequence of str
        Sound files without speech, for conditions with noise; see `conditioned.Draws`.
    start : str, optional
        Folder of a cross-validation of the same folds, from whose networks those of this one go on, fold by
        fold and run by run; runs beyond the last one there begin with its first again.
    """

    dataset: Dataset
    features: FeatureConfig
    model: ModelConfig
    recipe: Recipe
    folds: tuple[Fold, ...]
    seed: int = 0
    inner: bool = False
    hold_validation: bool = False
    teachers: tuple[str, ...] = ()
    teachers_by_run: bool = False
    backgrounds: tuple[str, ...] = ()
    start: str | None = None

    @classmethod
    def make(cls, dataset, folds, features, model, recipe, **options):
        """A plan with folds by name, see `make_folds`, and a model of the sizes of the data."""
        sizes = {
            "input_size": features.n_features,
            "num_classes": len(dataset.classes),
            "dropout": recipe.dropout,
        }
        return cls(dataset, features, replace(model, **sizes), recipe, make_folds(folds, dataset), **options)

    def __post_init__(self):
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; expected 0 or more")
        if self.teachers_by_run and not self.teachers:
            raise InputError("runs are to have teachers of their own, but there are none; give --teachers")
        for k, fold in enumerate(self.folds):
            if set(self.dataset.speakers) <= {*fold.test, *self.validation(fold)}:
                more = "take more folds, or give more corpora" if self.dataset.several else "take more folds"
                raise InputError(
                    f"fold {k} leaves nobody to train on beside its test and validation speakers; {more}"
                )
            check_classes(self.dataset, {*fold.test, *self.validation(fold)}, f"fold {k}: ")
            for folder in [*self.teachers, *([self.start] if self.start else [])]:
                if not _networks(folder, k):
                    raise InputError(
                        f"{folder} has no networks of fold {k}: there is no weights/run-*-fold-{k}.npz in it"
                    )

    def start_of(self, run, k):
        """Weights file that a run goes on from in fold k; None for random weights."""
        if self.start is None:
            return None
        return self._in_turn(self.start, run, k)

    def teachers_of(self, run, k):
        """Weights files of the teachers of a run in fold k."""
        if not self.teachers_by_run:
            return self._teachers_in(k)
        return [self._in_turn(folder, run, k) for folder in self.teachers]

    def _in_turn(self, folder, run, k):
        """The weights file of fold k and the same run; beyond the last run, of the first again."""
        there = _networks(folder, k)
        return there[run % len(there)]

    def _teachers_in(self, k):
        """Weights files of the teachers of fold k, of all runs."""
        return [path for folder in self.teachers for path in _networks(folder, k)]

    @property
    def uses_validation(self):
        """Whether the validation speakers are kept out of training."""
        return self.inner or self.hold_validation or self.recipe.keep == "best"

    def validation(self, fold):
        """The validation speakers of a fold that are kept out of training."""
        return fold.validation if self.uses_validation else ()

    def scored(self, fold):
        """The speakers of a fold whose predictions count."""
        return fold.validation if self.inner else fold.test

    def split(self, fold, speakers):
        """`Split` of clips by their speakers (N,) in a fold."""
        validation, scored = np.isin(speakers, self.validation(fold)), np.isin(speakers, self.scored(fold))
        rest = ~(validation | np.isin(speakers, fold.test))
        return Split(np.flatnonzero(rest), np.flatnonzero(validation), np.flatnonzero(scored))

    def store(self, folder, digest, workers=1, on_clip=None, features=None):
        """The stored examples of the plan, see `store_examples`; by default in its own features."""
        speeds, conditions = self.recipe.speeds, self.recipe.conditions
        return store_examples(
            folder,
            self.dataset,
            digest,
            features or self.features,
            speeds,
            workers,
            on_clip,
            conditions,
            self.backgrounds,
        )

    def features_of_teachers(self):
        """Other features than the plan's that its teachers hear, each once."""
        found = dict.fromkeys(load_checkpoint(path).features for path in self._teachers_in(0))
        return [features for features in found if features not in (None, self.features)]

    def config(self, digest):
        """All that decides the results, as JSON values; `digest` as of `corpus_digest`."""
        config = {
            "npreslstm": __version__,
            "data": self.dataset.name,
            "digest": digest,
            "classes": list(self.dataset.classes),
            "clips": dict(Counter(clip.speaker for clip in self.dataset.clips)),
            "features": self.features.to_dict(),
            "model": self.model.to_dict(),
            "recipe": self.recipe.to_dict(),
            "folds": [{"test": list(fold.test), "validation": list(fold.validation)} for fold in self.folds],
            "scored speakers": [list(self.scored(fold)) for fold in self.folds],
            "validation speakers": "kept out of training" if self.uses_validation else "trained on",
            "seed": self.seed,
        }
        if self.backgrounds:
            config["backgrounds"] = [digest_of(path).hex() for path in self.backgrounds]
        if self.dataset.several:
            config["corpora"] = corpus_classes(self.dataset.corpora, self.dataset.classes)
        if self.start:
            there = [_networks(self.start, k) for k in range(len(self.folds))]
            config["started from"] = [[load_checkpoint(path).sha256 for path in paths] for paths in there]
        if self.teachers:
            config["teachers"] = [
                [load_checkpoint(path).sha256 for path in self._teachers_in(k)]
                for k in range(len(self.folds))
            ]
        if self.teachers_by_run:
            config["teachers by run"] = True
        return config


def _networks(folder, k):
    """Weights files of fold k in a folder of results."""
    return sorted(
        glob.glob(os.path.join(glob.escape(os.path.abspath(folder)), "weights", f"run-*-fold-{k}.npz"))
    )
