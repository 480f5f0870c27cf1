"""State dicts in NumPy archives: what ``np.savez(path, **state)`` wrote."""

import io
import zipfile
import zlib

import numpy as np

from npreslstm.errors import InputError

LARGEST = 1 << 28  # bytes unpacked; an archive beyond that is not one of this model


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
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path} is not a readable .npz file ({error}): it is truncated or damaged, fetch it again") from None


def _array(path, archive, member):
    data = archive.read(member)
    if len(data) > LARGEST:
        raise InputError(f"{path} unpacks to more than {LARGEST} bytes; expected the weights alone")
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    if read_header(stream)[2].hasobject:
        name = member.filename.removesuffix(".npy")
        raise InputError(f"{path}: {name} holds Python objects, which are not unpickled; save the tensors: np.savez(path, **state)")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)
