"""What the tests of exported folders share, where a module has no model of its own."""

import pytest
from c_models import checkpoint
from c_programs import label_of, speech

from npreslstm.ports.c_export import export_c


@pytest.fixture(scope="module")
def model():
    return checkpoint("h32")


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """An int8 export with all names as they are."""
    made = tmp_path_factory.mktemp("export")
    export_c(model, made, "int8")
    return made


@pytest.fixture(scope="module")
def sound():
    return speech()


@pytest.fixture(scope="module")
def label(model, sound):
    return label_of(model, sound)
