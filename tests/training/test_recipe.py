"""Recipes: what may be set, and what settings and files mean."""

from dataclasses import replace

import pytest

from npreslstm.errors import InputError
from npreslstm.training.recipe import Recipe, load_recipe, training_features, with_settings


@pytest.mark.parametrize(
    "setting, message",
    [
        ("speed=1", "the recipe has no field 'speed'; expected one of epochs"),
        ("lr=fast", "lr is 'fast'; expected a value such as 0.002"),
        ("epochs=0", "epochs is 0; expected an integer of at least 1"),
        ("keep=first", "keep is 'first'; expected one of last, best"),
        ("dropout=1", "dropout is 1.0; expected a share"),
        ("warp=0.5", "warp is 0.5; expected a share in"),
        ("lr=-1", "lr is -1.0; expected 0 or more"),
        ("lr=nan", "lr is nan; expected 0 or more"),
        ("speeds=0.9,1.1", "expected 1.0 first"),
    ],
)
def test_wrong_settings_are_refused(setting, message):
    with pytest.raises(InputError, match=message):
        with_settings(Recipe(), [setting])


def test_settings_change_the_recipe():
    recipe = with_settings(Recipe(), ["lr=1e-3", "epochs=7", "speeds=1,1.2", "keep=best"])
    assert (recipe.lr, recipe.epochs, recipe.speeds, recipe.keep) == (1e-3, 7, (1.0, 1.2), "best")


def test_bundled_features():
    assert training_features("paper").trim_db is None and training_features("mcu").trim_db is None
    assert training_features("paper", 30.0).trim_db == 30.0 and training_features("mcu", 30.0).trim_db is None
    assert training_features("paper").n_features == training_features("mcu").n_features == 46


def test_nothing_trimmed_is_none_and_written_as_zero():
    """Files of all versions say 0.0; settings may say either."""
    original = load_recipe("original")
    assert original.trim_db is None and original.to_dict()["trim_db"] == 0.0
    assert Recipe.from_dict(original.to_dict()) == original
    for text in ("0", "0.0", "none", "None"):
        assert with_settings(Recipe(), [f"trim_db={text}"]).trim_db is None
    for value in (0.0, -1.0, float("inf")):
        with pytest.raises(InputError, match="trim_db is .*; expected above 0 and finite, or None"):
            replace(Recipe(), trim_db=value)
