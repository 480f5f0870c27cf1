"""C text: literals that read back as the same bits, arrays, generated files."""

import numpy as np

C_TYPES = {
    "float32": "float",
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "int64": "int64_t",
    "uint8": "uint8_t",
    "uint16": "uint16_t",
}
LINE = 118


def literal(value):
    """One number of a NumPy type as C99: nine digits give a float32 back exactly."""
    if isinstance(value, np.floating):
        text = f"{value:.9g}"
        return text + ("f" if any(mark in text for mark in ".e") else ".0f")
    if value == -(1 << 31):
        return "(-2147483647 - 1)"  # 2147483648 has no 32-bit type, and the minus sign is not part of it
    return str(int(value)) + ("LL" if abs(int(value)) >> 31 else "")


def wrapped(items, indent="    "):
    """Comma-separated items in lines of bounded length."""
    lines, line = [], indent
    for item in items:
        if len(line) + len(item) + 2 > LINE and line != indent:
            lines.append(line.rstrip())
            line = indent
        line += item + ", "
    return "\n".join([*lines, line.rstrip().removesuffix(",")])


def array(name, values, storage="const"):
    """Definition of an array of one or two dimensions, in the C type of its dtype."""
    values = np.asarray(values)
    shape = "".join(f"[{n}]" for n in values.shape)
    rows = [wrapped([literal(v) for v in row]) for row in values.reshape(-1, values.shape[-1])]
    body = rows[0] if values.ndim == 1 else ",\n".join("    {\n" + row + "}" for row in rows)
    return f"{storage} {C_TYPES[values.dtype.name]} {name}{shape} = {{\n{body}}};\n"


def string(text):
    """A string literal; only printable ASCII goes in as it is."""
    escaped = (
        c if 32 <= ord(c) < 127 and c not in '"\\?' else "".join(f"\\{byte:03o}" for byte in c.encode())
        for c in text
    )
    return '"' + "".join(escaped) + '"'
