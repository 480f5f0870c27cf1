"""The description of an exported folder as a CMSIS-Pack: what Keil MDK and the CMSIS-Toolbox read.

Zipped with the ending .pack, the folder is such a pack: its one component is the library in ``src/``.
"""

from xml.etree import ElementTree

from npreslstm import __version__

VENDOR = "npreslstm"
SUMMARY = (
    "What emotion is in a voice: a residual LSTM with attention, from 16-bit samples to a label, in"
    " standard C"
)
CATEGORIES = {".c": "sourceC", ".h": "header", ".hpp": "header"}


def file_name(name):
    """What the file must be called, for a package of this name."""
    return f"{VENDOR}.{name}.pdsc"


def description(name, files):
    """The text of the file, for the package `name` with the exported `files`."""
    root = ElementTree.Element("package", schemaVersion="1.7.7")
    for tag, text in (("vendor", VENDOR), ("name", name), ("description", SUMMARY)):
        ElementTree.SubElement(root, tag).text = text
    ElementTree.SubElement(root, "url")  # there is no server that updates it
    ElementTree.SubElement(root, "license").text = "LICENSE"
    releases = ElementTree.SubElement(root, "releases")
    ElementTree.SubElement(releases, "release", version=__version__).text = "As exported."
    components = ElementTree.SubElement(root, "components")
    component = ElementTree.SubElement(
        components, "component", Cclass="Machine Learning", Cgroup=name, Cversion=__version__
    )
    ElementTree.SubElement(component, "description").text = SUMMARY
    inside = ElementTree.SubElement(component, "files")
    ElementTree.SubElement(inside, "file", category="doc", name="README.md")
    ElementTree.SubElement(inside, "file", category="include", name="src/")
    for path in sorted(path for path in files if path.startswith("src/")):
        category = CATEGORIES[path[path.rindex(".") :]]
        ElementTree.SubElement(inside, "file", category=category, name=path)
    ElementTree.indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<!-- SPDX-License-Identifier: MIT -->\n'
    return head + ElementTree.tostring(root, encoding="unicode") + "\n"
