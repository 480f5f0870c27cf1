#!/usr/bin/env python3
"""Print the options that leave out of a pytest run what took long elsewhere, for machines that are emulated.

On a fast machine, and then on the other one without what took more than a second:

    python -m pytest -m "not oracle" tests --junitxml times.xml -o junit_family=xunit1
    python tools/release/long_tests.py times.xml 1 > /dev/shm/armhf/tmp/long.txt
    tools/release/file_by_file.sh armhf.txt armhf /dev/shm/armhf @/tmp/long.txt tests/formats tests/audio

`@FILE` is how pytest reads options from a file, here one within the other machine's root folder. A test that
has another's whole name as its beginning is left out with it.
"""

import argparse
import sys
import xml.etree.ElementTree as ElementTree


def long_tests(times, at_most):
    """Names of the tests of a JUnit file that took more than some seconds, as pytest calls them."""
    names = []
    for case in ElementTree.parse(times).getroot().iter("testcase"):
        file = case.get("file")
        if file and float(case.get("time")) > at_most:
            classes = (
                case.get("classname").removeprefix(file.removesuffix(".py").replace("/", ".")).split(".")
            )
            names.append("::".join([file, *filter(None, classes), case.get("name")]))
    return names


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("times", help="what pytest wrote with --junitxml")
    parser.add_argument("seconds", type=float, help="what a test may have taken")
    args = parser.parse_args(argv)
    print("\n".join(f"--deselect={name}" for name in long_tests(args.times, args.seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
