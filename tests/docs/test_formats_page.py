"""What docs/formats.md says of .pt files: an example, limits and names."""

import pickletools
import re
import zipfile
from pathlib import Path

from npreslstm.formats import closed_pickle, plain_data, state_dicts, torch_pt, torch_tensors, torch_zip

DOCUMENT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


def test_the_example_in_the_document_prints_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out.strip() == code.rsplit("# ", 1)[1].strip()


def test_the_document_states_the_limits_and_names_that_the_code_has():
    limits = [
        torch_zip.MAX_FILE_BYTES,
        torch_zip.MAX_RECORDS,
        closed_pickle.MAX_PROGRAM_BYTES,
        closed_pickle.MAX_OPCODES,
    ]
    limits += [plain_data.MAX_DEPTH, torch_tensors.MAX_DIMENSIONS, torch_pt.ALLOWANCE]
    table = DOCUMENT[DOCUMENT.index("| limit |") : DOCUMENT.index("A checkpoint of this model")]
    assert all(f" {limit:,} " in table for limit in limits) and f"{torch_pt.EXPANSION} times" in table
    assert f"{len(closed_pickle._OPCODES) + 1} of the 68 opcodes" in DOCUMENT  # and PROTO, which comes first
    assert all(f"`{key}`" in DOCUMENT for key in state_dicts.MODEL_KEYS)


def test_a_checkpoint_of_the_original_model_has_the_opcodes_that_the_document_says(golden):
    with zipfile.ZipFile(golden / "reslstm_sa_h64_checkpoint.pt") as archive:
        program = archive.read("reslstm_sa_h64_checkpoint/data.pkl")
    assert f"uses {sum(1 for _ in pickletools.genops(program)):,} opcodes" in DOCUMENT
