"""Large pages, which are read without a tree: in time, in full, and as small ones are."""

from __future__ import annotations

import time

import pytest

from inpars_plus.corpora.readers import html_text
from inpars_plus.corpora.readers.html_text import html_to_text

ENTRIES = {
    "terms with anchors": '<dt><a id="x{}"/>w{}</dt><dd><pre>a\nb</pre></dd>',
    "cells with fonts": "<tr><td><font color=red>w{1}</td><td><pre>a\nb</pre></td></tr>",
    "paragraphs with bold words": "<p><b>w{1}</p><pre>a\nb</pre>",
    "paragraphs with spans": "<p><span class=s>w{1}</p><pre>a\nb</pre>",
    "paragraphs with anchors": "<p><a name=x{0}>w{1}</p><pre>a\nb</pre>",
    "items with anchors": "<ul><li><a name=x{0}>w{1}<li><pre>a\nb</pre></ul>",
    "headings below anchors": "<a id=x{0}/><h3>w{1}</h3><pre>a\nb</pre>",
    "parts of a description": "<dt>w{1}<dd><p>c<pre>a\nb</pre>",
    "items with paragraphs": "<li><p>w{1}<li><div><p>c</div><pre>a\nb</pre>",
    "forms around rows": "<tr><form><td>w{1}</td></form></tr><tr><td><pre>a\nb</pre>",
    "blocks around forms": "<div><form>w{1}</div></form><pre>a\nb</pre>",
    "choices": "<select><optgroup><option>w{1}<option>c<optgroup></select><pre>a\nb</pre>",
    "buttons": "<button>w{1}<p><button>c</button><pre>a\nb</pre>",
}


@pytest.mark.parametrize("kind", ENTRIES)
def test_the_ends_of_entries_need_not_be_written_however_many_there_are(kind: str) -> None:
    entries = "".join(ENTRIES[kind].format(number, number) for number in range(4_000))
    if "<td>" in entries:
        entries = f"<table>{entries}</table>"
    title, text = html_to_text(f"{entries}<h1>Title</h1><pre>x\ny</pre>")
    assert title == "Title"
    lines = [line for line in text.splitlines() if line != "c"]
    assert lines == [line for number in range(4_000) for line in (f"w{number}", "a", "b")] + ["Title", "x", "y"]


@pytest.mark.parametrize(
    ("before", "tags"),
    [
        ("", "<dd>w{}<li>"),
        ("", "<optgroup>w{} <optgroup>"),
        ("", "<i>w{}<div></div>"),
        ("", "<p><font color=c{0}>w{0}"),
        ("", "<table><td>w{}"),
        ("", "<form><div></form>w{}<div>"),
        ("<!-->", "<div>w{}<div>"),
        ("<!-- x --!>", "<div>w{}<div>"),
        ("<svg><title/></svg>", "<div>w{}<div>"),
        ("<svg>", "<div>w{}<div>"),
    ],
)
def test_blocks_that_are_never_closed_are_read_in_time_and_in_full(before: str, tags: str) -> None:
    html = before + "".join(tags.format(number) for number in range(30_000))
    started = time.process_time()
    _, text = html_to_text(html)
    assert time.process_time() - started < 2.5
    assert text.split() == [f"w{number}" for number in range(30_000)]


@pytest.mark.parametrize(
    "html",
    [
        "<h1>T <i>i</i></h1><p>a <b>bold</b>\nword<p>two<br>lines<my-el>x</my-el>y",
        "<ul><li>a<ul><li>b</ul>c<li><p>d<div>e</div></ul>f<dl><dt>g<dd>h<dd>i</dl>",
        "<table><caption>a<tr><th>b<td>c<table><td>d</table>e<tbody><tr><td>g</table>h",
        "<p>a</p><object><p>b<div>c</div></object>d<p>e<button>f</button>h</p>i",
        "<svg><title>a</title><style/><text>b</text></svg>c<svg/>d",
        "<svg><foreignObject><div>a<p>b</div></foreignObject><text>c</text></svg>d",
        "<template><div>a</template>b<noscript><p>c</noscript>d<script>'<div>'</script><!-- <div> --!>e",
        "a<script>'</scripts>'</script x>b<NOSCRIPT>c</noscript\n>d<!-- e -->f<script src=x />g</script>h",
        "<form>a<div>c</div></form>e<select><optgroup><option>f<option>g</select>h",
        "<p>d<hr>f<details><summary>g</summary>h</details>i<center>j</center>",
        "<a href='>'>a</a><img alt='<p>'>b<!---->c<!--->d<!-->e<a href=?q=\"x>f</a>g<textarea>h</textarea>",
    ],
)
def test_a_large_page_is_read_as_a_small_one(html: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small = html_to_text(html)
    monkeypatch.setattr(html_text, "_QUICK", -1)
    assert html_to_text(html) == small


@pytest.mark.parametrize(
    "html",
    [
        "<table><tr><th>b<td>c</table>e<table><tr>f<td>g</table>h",
        "<div><table><tr><td>a</div>b</td></tr></table></div><pre>c\nd</pre>",
        "<p>a<object><p>b<div>c</object>d<p>e<button>f<p>g</button>h</p>i",
        "<form>a<form>b<div>c</form>d</div>e<select><optgroup><option>f<option>g</select>h",
        "a<td>b<tr>c</p>d</br>e",
        "<p><b>a<p>b</b>c<i>d</b>e</i>f",
    ],
)
def test_of_broken_markup_a_large_page_loses_nothing_that_a_small_one_has(
    html: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = html_to_text(html)[1]
    monkeypatch.setattr(html_text, "_QUICK", -1)
    assert sorted("".join(html_to_text(html)[1].split())) == sorted("".join(small.split()))


@pytest.mark.parametrize(
    ("html", "title", "text"),
    [
        (
            "<h1>T</h1><p>a <b>bold</b>\nword<br>line<pre>x\ny</pre><svg><path/><text>no</text></svg>"
            "<script>'<div>'</script><!-- <div> --><img alt='>'>end<noscript>no</noscript>"
            "<table><tr><th>c1<th>c2</table>",
            "T",
            "T\na bold word\nline\nx\ny\nend\nc1\nc2",
        ),
        ("<title> A &amp;\n B </title><h1>H</h1><p>x", "A & B", "H\nx"),
        ("<h2>Two</h2><h1>One<p>x<h3>y", "One x", "Two\nOne\nx\ny"),
        ("<template><h1>no</h1><pre></template><h1>T</h2><p>a\nb", "T", "T\na b"),
        ("<svg><title>no</title>a<p>b<p>c</svg>d", "", "a\nb\ncd"),
        ("<svg><template></svg><p>a</template>b", "", "ab"),
        (f"a&#{'1' * 5_000} b", "", "a\ufffd b"),
    ],
)
def test_what_is_read_of_a_large_page(html: str, title: str, text: str) -> None:
    assert html_to_text("<br>" * 8_001 + html) == (title, text)


@pytest.mark.parametrize("hidden", ["svg", "template", "style"])
def test_what_never_ends_hides_nothing_of_a_large_page(hidden: str) -> None:
    assert html_to_text("<br>" * 8_001 + f"a<{hidden}>b</span>c")[1] == ("a" if hidden == "style" else "abc")
