#!/usr/bin/env python3
"""The public names and their signatures, as tests/public_names.txt holds them.

    python tools/release/public_names.py > tests/public_names.txt     after a change that is meant

Public is what `npreslstm.__all__` lists, and what the modules of the API reference define without an
underscore, with the methods of the classes. A renamed argument or another default shows in the diff.
"""

import enum
import importlib
import inspect

MODULES = (
    "npreslstm",
    "npreslstm.audio.features",
    "npreslstm.audio.folder",
    "npreslstm.audio.reader",
    "npreslstm.checkpoint",
    "npreslstm.conditions.condition",
    "npreslstm.formats.torch_pt",
    "npreslstm.gradient_check",
    "npreslstm.integer.frontend",
    "npreslstm.integer_recognizer",
    "npreslstm.listening",
    "npreslstm.model",
    "npreslstm.parameters",
    "npreslstm.ports.c_library",
    "npreslstm.recognizer",
    "npreslstm.schema",
    "npreslstm.testing",
)


def names_of(module):
    """The public names of a module: its __all__, or what it defines itself."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    own = [
        name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__
    ]
    return sorted(name for name in own if not name.startswith("_"))


def lines_of(name, value):
    """A line for a function; for a class, one for itself and one for each public attribute of its own."""
    if inspect.isclass(value):
        yield f"class {name}{_bases(value)}{_signature(value)}"
        for member, attribute in sorted(vars(value).items()):
            if not member.startswith("_"):
                yield from _member(f"{name}.{member}", attribute)
    elif callable(value):
        yield f"{name}{_signature(value)}"
    else:
        yield f"{name}: {type(value).__name__}"


def _member(name, attribute):
    if isinstance(attribute, (classmethod, staticmethod)):
        yield f"{type(attribute).__name__} {name}{_signature(attribute.__func__)}"
    elif isinstance(attribute, property):
        yield f"property {name}"
    elif inspect.isfunction(attribute):
        yield f"{name}{_signature(attribute)}"


def _bases(value):
    shown = [base.__name__ for base in value.__bases__ if base is not object]
    return f"[{', '.join(shown)}]" if shown else ""


def _signature(value):
    if inspect.isclass(value) and issubclass(value, (Exception, enum.Enum)):
        return ""
    without_types = [
        parameter.replace(annotation=parameter.empty, default=_plain(parameter.default))
        for parameter in inspect.signature(value).parameters.values()
    ]
    return str(inspect.Signature(without_types))


def _plain(default):
    """A default whose text is the same everywhere: classes and functions by name, objects by type."""
    if default is inspect.Parameter.empty or isinstance(default, (int, float, str, bool, type(None), tuple)):
        return default
    if type(default).__name__ == "_HAS_DEFAULT_FACTORY_CLASS":  # of a dataclass's field
        return _Name("<made anew>")
    return _Name(getattr(default, "__name__", f"<{type(default).__name__}>"))


class _Name:
    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


def public_names():
    """The text of tests/public_names.txt."""
    text, seen = "", []
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        text += f"{module_name}\n"
        for name in names_of(module):
            value = getattr(module, name)
            if not any(value is other for other in seen):
                text += "".join(f"    {line}\n" for line in lines_of(name, value))
            seen.append(value)
    return text


if __name__ == "__main__":
    print(public_names(), end="")
