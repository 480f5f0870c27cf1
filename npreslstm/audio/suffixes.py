"""Endings of names: what counts as sound when folders are searched, and what is passed over whatever its
ending.
"""

AUDIO_SUFFIXES = (  # of what libsndfile reads
    *(
        ".flac",
        ".wav",
        ".wave",
        ".bwf",
        ".rf64",
        ".bw64",
        ".amb",
        ".w64",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".mp2",
        ".mp1",
        ".mpga",
    ),
    *(
        ".aif",
        ".aiff",
        ".aifc",
        ".au",
        ".snd",
        ".caf",
        ".sph",
        ".nist",
        ".voc",
        ".ircam",
        ".sf",
        ".iff",
        ".8svx",
        ".16sv",
        ".svx",
    ),
    *(".paf", ".fap", ".pvf", ".mat", ".htk", ".avr", ".sds", ".sd2", ".wve", ".xi", ".gsm", ".vox"),
)
MEDIA_SUFFIXES = (  # of what the extra `media` reads, or nothing here does; sound of a video too
    *(
        ".m4a",
        ".m4b",
        ".m4r",
        ".m4p",
        ".mp4a",
        ".mp4",
        ".m4v",
        ".mov",
        ".qt",
        ".3gp",
        ".3gpp",
        ".3g2",
        ".3ga",
        ".qcp",
        ".aac",
        ".adts",
        ".amr",
        ".awb",
    ),
    *(
        ".webm",
        ".weba",
        ".mka",
        ".mkv",
        ".wma",
        ".wmv",
        ".asf",
        ".avi",
        ".flv",
        ".f4v",
        ".mpg",
        ".mpeg",
        ".mts",
        ".m2ts",
        ".vob",
        ".mxf",
        ".ogm",
    ),
    *(".ac3", ".eac3", ".dts", ".ape", ".wv", ".tta", ".mpc", ".ra", ".rm", ".ogv", ".ogx", ".spx"),
    *(".dss", ".ds2", ".dsf", ".dff", ".aax", ".oma", ".shn", ".tak", ".sox", ".g722"),
)


def is_audio_name(name: str) -> bool:
    """Whether a file counts as sound by its name: an ending of the list, and no dot in front."""
    return not name.startswith(".") and name.lower().endswith(AUDIO_SUFFIXES + MEDIA_SUFFIXES)


def is_hidden(folder: str) -> bool:
    """Whether a folder in a folder is passed over: hidden ones (``.ipynb_checkpoints``), and what archivers
    of a Mac leave.
    """
    return folder.startswith(".") or folder == "__MACOSX"
