"""Convert PyTorch weights without PyTorch: `python tools/convert_torch.py model.pt model.npz --like paper`,
as `npreslstm convert`.
"""

import sys

from npreslstm.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert", *sys.argv[1:]]))
