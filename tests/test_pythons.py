"""What is pinned can be installed on every Python that the project promises, the first of each version included.

A release says itself which Pythons it takes and what it needs there, and says it in what is installed of it: so no
package index is asked. Whether an index has a wheel of it for each Python, this cannot see; `make test-long` installs
the package on each.
"""

import importlib.metadata
import sys
from functools import cache

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.test_project import PINNED, PROJECT, PYTHONS

LOWEST = PROJECT["requires-python"].removeprefix(">=")


@cache
def release(name):
    """The installed release of a pinned package; None where this Python needs it not, of which nothing can be told."""
    try:
        installed = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    here = installed.version.partition("+")[0]
    assert here == PINNED[name], f"{name} {here} is installed, {PINNED[name]} is pinned: set .venv up again"
    return installed


def needed(python):
    """Names of all packages that `make` installs on a Python, each with what asks for it and the versions asked for."""
    here = default_environment() | {"python_version": python.rpartition(".")[0], "python_full_version": python}
    extras = PROJECT["optional-dependencies"]
    texts = [*PROJECT["dependencies"], *(text for name in extras if name != "bench" for text in extras[name])]
    waiting, seen = [("errref", Requirement(text)) for text in texts], set()
    while waiting:
        by, asked = waiting.pop()
        if asked.name == PROJECT["name"] or (by, str(asked)) in seen:
            continue
        seen.add((by, str(asked)))
        name = canonicalize_name(asked.name)
        yield by, name, asked.specifier
        for extra in ("", *asked.extras):
            for text in (name in PINNED and release(name) and release(name).requires) or ():
                requirement = Requirement(text)
                if requirement.marker is None or requirement.marker.evaluate(here | {"extra": extra}):
                    waiting.append((name, requirement))


@pytest.mark.parametrize("python", [f"{version}.0" for version in PYTHONS])
def test_every_pin_can_be_installed_on_each_python(python):
    faults = set()
    for by, name, asked in needed(python):
        if name not in PINNED:
            faults.add(f"{by} needs {name}, which is not pinned")
        elif not asked.contains(PINNED[name], prereleases=True):
            faults.add(f"{by} needs {name}{asked}, which is pinned at {PINNED[name]}")
        elif release(name) and not SpecifierSet(release(name).metadata.get("Requires-Python") or "").contains(python):
            faults.add(f"{name} {PINNED[name]} needs Python {release(name).metadata.get('Requires-Python')}")
    assert sum(release(name) is None for name in PINNED) < len(PINNED) / 4, "set .venv up again"
    assert not faults, f"on Python {python}: {'; '.join(sorted(faults))}"


def test_every_pin_is_needed_on_some_python():
    # by which the test above sees them all
    names = {name for version in PYTHONS for _, name, _ in needed(f"{version}.0")}
    assert not PINNED.keys() - names


def test_the_lowest_python_is_the_first_of_those():
    assert f"{LOWEST}.0" == f"{PYTHONS[0]}.0" and sys.version_info >= tuple(map(int, LOWEST.split(".")))
