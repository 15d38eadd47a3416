"""Recorded rows and the parts of the numerics on emulated processors: equal digits with AVX2, and the rule without it.

Each is `python -m tools.systems` in an interpreter that an emulator runs, which takes some minutes on a free core.
"""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig

import pytest

from errref import numerics, pins
from tests.conftest import ROOT
from tools import systems

pytestmark = pytest.mark.long
X86 = platform.machine().lower() in ("x86_64", "amd64")
EMULATOR = "is not here: Debian's package qemu-user has it"


def tried(interpreter, packages, table, **variables):
    """The entry that the tool writes where it is run by an interpreter, with these folders of packages."""
    path = os.pathsep.join([str(ROOT), *map(str, packages)])
    clean = {name: value for name, value in pins.cleared(os.environ).items() if not name.startswith("PYTHON")}
    environment = clean | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"} | variables
    # the pins are chosen within the emulator, by what the processor says that it emulates
    pinned = [*interpreter, "-m", "errref.pins", *interpreter]
    command = [*pinned, "-m", "tools.systems", "--emulated", "qemu", "--table", str(table)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=7200)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    (entry,) = systems.load(table)
    return entry


@pytest.fixture
def emulated_x86(tmp_path):
    """A function that tries a kind of x86-64 processor, by its name for the emulator."""
    emulator = shutil.which("qemu-x86_64")
    if not X86:
        pytest.skip("this is no x86-64 system, whose packages the emulated processor would run")
    if emulator is None:
        pytest.skip(f"qemu-x86_64 {EMULATOR}")

    def run(kind):
        # an emulated interpreter does not find its environment by itself
        packages = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
        interpreter = [emulator, "-cpu", kind, os.path.realpath(sys.executable)]
        return tried(interpreter, packages, tmp_path / "systems.yml", NUMBA_CACHE_DIR=str(tmp_path / "compiled"))

    return run


@pytest.mark.parametrize("kind", ["Haswell", "EPYC"])
def test_a_processor_with_avx2_gives_equal_digits(kind, emulated_x86):
    entry = emulated_x86(kind)
    assert entry["avx2"] and entry["unpinned"] == [] and entry["outcome"] == "equal digits", systems.as_yaml([entry])
    if pins.has_avx2() and not pins.departures(os.environ):
        assert entry["numerics"] == numerics.numerics(entry["numerics"]), "torch among them"


def test_a_processor_without_avx2_gets_no_kernel_that_it_lacks_and_agrees_by_the_rule(emulated_x86):
    entry = emulated_x86("Nehalem")
    assert not entry["avx2"] and entry["unpinned"] == [] and entry["refused"] == [], systems.as_yaml([entry])


# -- 64-bit Arm --------------------------------------------------------------------------------------------------------

DEBIAN = """python3.11 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libgcc-s1 libstdc++6 libgomp1
zlib1g libexpat1 libssl3 libffi8 libbz2-1.0 liblzma5 libsqlite3-0 libuuid1 libcrypt1""".split()
PACKAGES = """numpy scipy scikit-learn numba llvmlite joblib cloudpickle threadpoolctl narwhals pooch platformdirs
packaging requests charset-normalizer idna urllib3 certifi pyyaml tqdm""".split()
WHEELS = [f"--platform=manylinux_2_{version}_aarch64" for version in (28, 27, 17)]


def got(*command, **how):
    """Run a command that gets something from elsewhere; where it cannot, the test is skipped with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, **how)
    if done.returncode:
        pytest.skip(f"what 64-bit Arm needs cannot be had here: {done.stderr.strip()[-200:]}")


@pytest.fixture
def arm(tmp_path):
    """An emulated interpreter for 64-bit Arm, the folder of what the project needs, at its pins, and Python's own."""
    emulator = shutil.which("qemu-aarch64")
    if emulator is None:
        pytest.skip(f"qemu-aarch64 {EMULATOR}")
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        pytest.skip("an Arm interpreter is unpacked from Debian's packages, which takes apt-get and dpkg")
    debs, root, site = (tmp_path / name for name in ("debs", "root", "site"))
    debs.mkdir()
    apt = ["apt-get", "-qq", *private(tmp_path / "apt")]
    got(*apt, "update")
    got(*apt, "download", *DEBIAN, cwd=debs)
    for deb in debs.iterdir():
        subprocess.run(["dpkg", "-x", deb, root], check=True, timeout=60)
    wanted = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if name_of(line) in PACKAGES]
    install = ["install", "-q", "--no-deps", "--only-binary=:all:", "--python-version=3.11", "--implementation=cp"]
    got(sys.executable, "-m", "pip", *install, *WHEELS, "--target", str(site), *wanted)
    return [emulator, "-L", str(root), str(root / "usr" / "bin" / "python3.11")], site, str(root / "usr")


def private(folder):
    """Options by which apt keeps its lists of Arm's packages in a folder, and leaves those of the system alone."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    names = {"APT::Architecture": "arm64", "APT::Architectures": "arm64", "Dir::State": folder / "state"}
    names |= {"Dir::State::status": folder / "status", "Dir::Cache": folder / "cache"}
    return [word for name, value in names.items() for word in ("-o", f"{name}={value}")]


def name_of(pin):
    return pin.partition("==")[0].lower().replace("_", "-")


def test_arm_agrees_by_the_rule(arm, tmp_path):
    interpreter, site, home = arm
    where = {"PYTHONHOME": home, "NUMBA_CACHE_DIR": str(tmp_path / "compiled")}
    entry = tried(interpreter, [site], tmp_path / "systems.yml", **where)
    assert "aarch64" in entry["system"] and entry["refused"] == [], systems.as_yaml([entry])


def test_what_the_emulated_arm_needs_is_pinned():
    assert set(PACKAGES) <= {name_of(line) for line in (ROOT / "constraints.txt").read_text().splitlines()}
