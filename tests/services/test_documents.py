"""The home's folder of rules: what is judged is what was read, once, and what is put is whole."""

import os
import threading
from pathlib import Path

import pytest

from gateway.errors import Fault
from gateway.services.documents import (
    SignedDocument,
    read_cases,
    read_document,
    read_documents,
    stage_document,
)

TOO_LARGE = 10_000_000
DOCUMENT = SignedDocument(name="clinic", text=b"text", note=b"note", cases=b"cases")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    stage_document(tmp_path / "policies", DOCUMENT).put()
    return tmp_path / "policies"


def test_what_was_put_is_read_again(folder: Path) -> None:
    found = read_documents(folder)["clinic"]

    assert found == SignedDocument(name="clinic", text=b"text", note=b"note")
    assert read_cases(folder / "clinic.yaml") == b"cases"
    stage_document(folder, SignedDocument(name="clinic", text=b"other", note=b"note 2")).put()
    assert read_documents(folder) == {"clinic": SignedDocument(name="clinic", text=b"other", note=b"note 2")}
    assert read_cases(folder / "clinic.yaml") is None
    assert sorted(path.name for path in folder.rglob("*")) == ["clinic.yaml", "clinic.yaml.sig", "tests"]


def test_a_document_that_nobody_signed_is_read_as_such(folder: Path) -> None:
    (folder / "clinic.yaml.sig").unlink()

    assert read_document(folder / "clinic.yaml").note is None


@pytest.mark.parametrize("name", ["clinic.yaml", "clinic.yaml.sig"])
@pytest.mark.parametrize("what", ["a link", "a broken link", "a folder", "a pipe", "ten megabytes"])
def test_what_is_no_small_plain_file_is_not_read_nor_waited_for(
    folder: Path, tmp_path: Path, name: str, what: str
) -> None:
    path = folder / name
    path.rename(tmp_path / "elsewhere")
    match what:
        case "a link":
            path.symlink_to(tmp_path / "elsewhere")
        case "a broken link":
            path.symlink_to(tmp_path / "nowhere")
        case "a folder":
            path.mkdir()
        case "a pipe":
            os.mkfifo(path)
        case _:
            path.write_bytes(b" " * TOO_LARGE)

    (found,) = read_documents(folder).values()

    assert isinstance(found, Fault)
    assert (found.file, found.message[:24]) == (name, "the file cannot be read:")


def test_a_file_that_is_swapped_while_it_is_read_comes_whole_or_not_at_all(folder: Path) -> None:
    """Each read is one state of each file; a pair that does not belong together fails its signature."""
    texts = {bytes([65 + number]) * 300_000 for number in range(2)}
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for text in sorted(texts):
                stage_document(folder, SignedDocument(name="clinic", text=text, note=b"note")).put()

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        seen = {read_document(folder / "clinic.yaml").text for _ in range(200)}
    finally:
        done.set()
        thread.join()

    assert seen <= texts | {b"text"}
