"""State dicts in NumPy archives: what ``np.savez(path, **state)`` wrote."""

import io
import zipfile
import zlib

import numpy as np

from npreslstm.errors import InputError

LARGEST = 1 << 28  # bytes unpacked; an archive beyond that is not one of this model
_DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, NotImplementedError, RuntimeError)


def read_state_dict(path):
    """Read all arrays of an .npz file, stored or deflated; nothing is unpickled.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    dict of str to numpy.ndarray

    Raises
    ------
    InputError
        If the file is damaged or too large, or holds Python objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > LARGEST:
                raise InputError(f"{path} unpacks to more than {LARGEST} bytes; expected the weights alone")
            return {member.filename.removesuffix(".npy"): _array(path, archive, member) for member in members}
    except InputError:
        raise
    except _DAMAGED as error:
        remedy = "it is truncated or damaged, fetch it again"
        raise InputError(f"{path} is not a readable .npz file ({error}): {remedy}") from None


def _array(path, archive, member):
    stream = io.BytesIO(archive.read(member))
    try:
        return np.lib.format.read_array(stream, allow_pickle=False, max_header_size=10_000)
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
    name = member.filename.removesuffix(".npy")
    remedy = "save the tensors themselves: np.savez(path, **state)"
    raise InputError(f"{path}: {name!a:.60} holds Python objects, which are not unpickled; {remedy}")
