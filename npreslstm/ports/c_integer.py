"""What an export with the integer frontend has of its own: sizes and tables."""

from npreslstm.errors import InputError
from npreslstm.integer import frontend_tables
from npreslstm.ports import c_text
from npreslstm.ports.c_tables import has_activity, has_stream

SOURCES = ("npr_frontend.h", "npr_frontend_int.c", "npr_frontend_helium.h")
ARRAYS = (  # of FrontendTables, in npr_tables.c
    *("cosine", "mel_start", "mel_count", "mel_weights", "mel_offset"),
    *("chroma_start", "chroma_count", "chroma_weights", "chroma_down", "log2"),
)


def check(checkpoint, type):
    """Raise InputError unless a checkpoint can be exported with the integer frontend."""
    if type != "int8":
        raise InputError(
            f"the integer frontend is for the integer network, and type is {type!r}; expected int8: --type"
            " int8"
        )
    if checkpoint.features is None:
        raise InputError(
            "the weights do not say how their features are made, so there is no frontend; expected the name"
            " of a configuration: --features mcu"
        )
    frontend_tables.check_supported(checkpoint.features)


def statistics(checkpoint, quantized):
    """{field of npr_model: array}: how features are z-scored."""
    folded = frontend_tables.statistics(checkpoint, quantized.x_bits)
    return {f"feature_{name}": values for name, values in folded._asdict().items()}


def sizes(config):
    """{macro: value} for npr_sizes.h."""
    tables = frontend_tables.tables(config)
    values = {
        "NPR_SAMPLE_RATE": config.sample_rate,
        "NPR_FFT": config.n_fft,
        "NPR_HOP": config.hop_length,
        "NPR_MELS": config.n_mels,
        "NPR_MFCC": config.n_mfcc,
        "NPR_CHROMA": config.n_chroma,
        "NPR_FLOOR": f"({tables.floor})",
        "NPR_UNIT": f"({tables.unit})",
        "NPR_TUNING_FIXED": 1,
    }
    values |= {"NPR_ACTIVITY": 1} if has_activity(config) else {}
    return values | ({"NPR_STREAM": 1} if has_stream(config) else {})


def arrays(config):
    """{name: array} of npr_tables.c."""
    tables = frontend_tables.tables(config)
    names = {"log2": "npr_log2_table"}
    return {names.get(name, f"npr_{name}"): getattr(tables, name) for name in ARRAYS}


def definitions(config):
    """Text of npr_tables.c."""
    return '#include "npr_frontend.h"\n\n' + "\n".join(
        c_text.array(name, values) for name, values in arrays(config).items()
    )


def ledger(config):
    """{what: bytes} of the frontend, for the README."""
    frame = 4 * (config.n_fft + 2 + config.n_mels + 1) + 2 * config.n_fft
    return {
        "tables of the frontend, const": sum(values.nbytes for values in arrays(config).values()),
        "`npr_frontend`": frame,
    }
