"""State dicts in NumPy archives: what ``np.savez(path, **state)`` wrote."""

from npreslstm.formats.npy import read_npz

UNPACKED = 1 << 26  # bytes that compressed tensors may unpack to


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
    return read_npz(path, "fetch it again, or save the tensors alone: np.savez(path, **state)", UNPACKED)
