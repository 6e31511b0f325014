from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from inpars_plus.corpora import open_corpus
from inpars_plus.corpora.readers.html_text import html_to_text
from inpars_plus.foundation.errors import CorpusError


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_every_text_file_below_the_folder_is_a_document(tmp_path: Path):
    _write(tmp_path / "docs/b.txt", "\ufeffPlain.\r\nText.\n")
    _write(tmp_path / "docs/a/page.HTML", "<title>Page</title><p>Body.")
    _write(tmp_path / "docs/a/note.md", "# Note\n\nBody.\n")
    _write(tmp_path / "docs/image.png", b"\x89PNG")
    _write(tmp_path / "docs/empty.txt", "")
    documents = list(open_corpus(f"{tmp_path / 'docs'}", language="fr"))
    assert [(document.id, document.title, document.text) for document in documents] == [
        ("a/note.md", "Note", "Body."),
        ("a/page.HTML", "Page", "Body."),
        ("b.txt", "", "Plain.\nText."),
        ("empty.txt", "", ""),
    ]
    assert {(document.doc_type, document.language) for document in documents} == {("docs", "fr")}


def test_a_single_text_file_is_a_corpus_of_one(tmp_path: Path):
    _write(tmp_path / "book.txt", "Cells divide in two. Proteins fold into shapes.")
    assert [document.id for document in open_corpus(str(tmp_path / "book.txt"))] == ["book.txt"]
    chunks = open_corpus(f"{tmp_path / 'book.txt'}:book", max_characters=30)
    assert [document.id for document in chunks] == ["book.txt#1", "book.txt#2"]
    assert chunks.types() == {"book": 2}


def test_hidden_files_and_folders_are_skipped(tmp_path: Path):
    for name in ("a.txt", ".hidden.txt", ".git/b.txt"):
        _write(tmp_path / name, "text")
    assert [document.id for document in open_corpus(str(tmp_path))] == ["a.txt"]


def test_loops_of_links_and_broken_links_are_harmless(tmp_path: Path):
    _write(tmp_path / "in/a.txt", "text")
    (tmp_path / "in/up").symlink_to(tmp_path / "in")
    (tmp_path / "in/self").symlink_to(tmp_path / "in/self")
    (tmp_path / "in/gone.txt").symlink_to(tmp_path / "nowhere.txt")
    _write(tmp_path / "elsewhere/b.txt", "text")
    (tmp_path / "in/linked").symlink_to(tmp_path / "elsewhere")
    assert [document.id for document in open_corpus(str(tmp_path / "in"))] == ["a.txt", "linked/b.txt"]


def test_a_folder_without_text_files_is_empty(tmp_path: Path):
    _write(tmp_path / "a.pdf", b"%PDF")
    with pytest.raises(CorpusError, match=r"the corpus is empty.*\.txt, \.md or \.html"):
        open_corpus(str(tmp_path))


def test_a_file_in_another_encoding_is_named(tmp_path: Path):
    _write(tmp_path / "a.txt", "café".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"byte 3 .*encoding=\"latin-1\"") as caught:
        open_corpus(str(tmp_path))
    assert caught.value.place == str(tmp_path / "a.txt")
    assert [document.text for document in open_corpus(str(tmp_path), encoding="latin-1")] == ["café"]


def test_a_page_that_declares_its_encoding_is_read_in_it(tmp_path: Path):
    _write(tmp_path / "a.html", '<meta charset="iso-8859-1"><p>café'.encode("latin-1"))
    _write(tmp_path / "b.html", '<meta charset="x-unknown"><p>café')
    assert [document.text for document in open_corpus(str(tmp_path))] == ["café", "café"]


@pytest.mark.parametrize("declared", ["utf-16", "UTF-16LE", "utf-32", "hex", "rot13", "base64"])
def test_a_page_in_utf_8_that_declares_what_it_cannot_be_is_read_as_browsers_do(tmp_path: Path, declared: str):
    _write(tmp_path / "a.html", f'<meta charset="{declared}"><p>café')
    assert [document.text for document in open_corpus(str(tmp_path))] == ["café"]


def test_utf_16_without_a_byte_order_mark_is_named(tmp_path: Path):
    _write(tmp_path / "a.txt", "café".encode("utf-16-le"))
    with pytest.raises(CorpusError, match=r"not UTF-16 text .*encoding=\"utf-16-le\"") as caught:
        open_corpus(str(tmp_path), encoding="utf-16")
    assert caught.value.place == str(tmp_path / "a.txt")
    assert [document.text for document in open_corpus(str(tmp_path), encoding="utf-16-le")] == ["café"]


def test_a_file_whose_name_is_not_utf_8_is_named(tmp_path: Path):
    try:
        _write(tmp_path / os.fsdecode(b"caf\xe9.txt"), "text")
    except OSError:
        pytest.skip("this disk has names in UTF-8 only")
    with pytest.raises(CorpusError, match="the name of the file is not UTF-8 text") as caught:
        open_corpus(str(tmp_path))
    assert caught.value.place == f"{tmp_path}/caf\\xe9.txt"


@pytest.mark.parametrize(
    ("content", "title", "text"),
    [
        ("## Two ##\nBody.", "Two", "Body."),
        ("Intro.\n\n# Later\nBody.", "Later", "Intro.\n\n# Later\nBody."),
        ('---\ntitle: "Front"\ntags: x\n---\n# Head\nBody.', "Front", "# Head\nBody."),
        ("---\ntitle: Same\n---\n# Same\nBody.", "Same", "Body."),
        ("```sh\n# a comment\n```\n# Head\nBody.", "Head", "```sh\n# a comment\n```\n# Head\nBody."),
        ("#hashtag\nBody.", "", "#hashtag\nBody."),
        ("---\nnot front matter", "", "---\nnot front matter"),
        ("---\n---\nBody.", "", "Body."),
    ],
)
def test_the_title_of_a_markdown_file(tmp_path: Path, content: str, title: str, text: str):
    _write(tmp_path / "a.md", content)
    (document,) = open_corpus(str(tmp_path))
    assert (document.title, document.text) == (title, text)


@pytest.mark.parametrize(
    ("html", "title", "text"),
    [
        ("<title> A &amp;\n B </title><h1>H</h1><p>x", "A & B", "H\nx"),
        ("<h1>H <i>i</i></h1><p>x", "H i", "H i\nx"),
        ("<p>a <b>bold</b>\nword</p><p>two<br>lines", "", "a bold word\ntwo\nlines"),
        ("<p>x<script>alert('y')</script><style>p{}</style><noscript>n</noscript>", "", "x"),
        ("<pre>def f():\n    pass</pre>", "", "def f():\npass"),
        ("<ul><li>one<li>two</ul><table><tr><td>c1<td>c2</table>", "", "one\ntwo\nc1\nc2"),
        ("", "", ""),
        ("no markup, 1 < 2", "", "no markup, 1 < 2"),
        ("<svg><title>icon</title></svg><p>x", "", "x"),
        ("<pre>a<br>b<div>c\nd</div></pre>e", "", "a\nb\nc\nd\ne"),
        ("<noscript><p>Turn it on</noscript><h1>H</h1><p>x", "H", "H\nx"),
        ("<details><summary>Why?</summary>Because.</details>", "", "Why?\nBecause."),
    ],
)
def test_the_text_of_a_page(html: str, title: str, text: str):
    assert html_to_text(html) == (title, text)


def test_a_page_of_two_megabytes_is_read():
    title, text = html_to_text("<title>T</title>" + "<p>A <b>bold</b> sentence.</p>" * 70_000)
    assert title == "T"
    assert text == "\n".join(["A bold sentence."] * 70_000)


@pytest.mark.parametrize("tag", ["div", "ul><li", "font", "pre"])
def test_a_page_of_elements_that_are_never_closed_is_read_in_time_and_in_full(tag: str):
    started = time.process_time()
    title, text = html_to_text("<title>T</title>" + "".join(f"<{tag} id={n}>w{n}\n" for n in range(60_000)))
    assert time.process_time() - started < 2.5  # with what is open looked at for each tag: 4 to 14 seconds
    assert title == "T"
    assert text.split() == [f"w{n}" for n in range(60_000)]


LARGE = "<br>" * 8_000
"""Enough tags for a page that is read without a tree."""


def test_what_lies_deep_in_a_large_page_is_read_as_anywhere():
    deep = LARGE + "<div>" * 600
    html = (
        f"{deep}<h1>Deep</h1><p>a <b>bold</b>\nword<br>line<pre>x\ny</pre><svg><path/><text>no</text></svg>"
        f"<script>'<div>'</script><!-- <div> --><img alt='>'>end<noscript>no</noscript><table><tr><th>c1<th>c2</table>"
        f"{'</div>' * 600}<h2>Title</h2><pre>x\ny</pre>"
    )
    title, text = html_to_text(html)
    assert title == "Deep"
    assert text == "Deep\na bold word\nline\nx\ny\nend\nc1\nc2\nTitle\nx\ny"


def test_a_page_of_fewer_than_8_000_tags_may_be_deep():
    title, text = html_to_text(f"{'<div>' * 600}<h1>Title</h1><pre>x\ny")
    assert (title, text) == ("Title", "Title\nx\ny")


def test_many_elements_that_are_closed_or_need_not_be_are_read_as_few():
    rows = "<table>" + "<tr><td><p>a<br><span>b</span>" * 600 + "</table>"
    items = "<ul>" + "<li>c<span>d" * 600 + "</ul>"
    title, text = html_to_text(f"{LARGE}{rows}{items}<h1>Title</h1><pre>x\ny</pre>")
    assert title == "Title"
    assert text.splitlines()[-3:] == ["Title", "x", "y"]
