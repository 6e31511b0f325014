"""Large pages: what is left out of them so that they are read in time, and what is read as in a small one."""

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
def test_ordinary_entries_are_not_deep_however_many_there_are(kind: str) -> None:
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
        "<ul><li>a<ul><li>b</ul>c<li><p>d<div>e</ul>f<dl><dt>g<dd>h<dd>i</dl>",
        "<table><caption>a<tr><th>b<td>c<table><td>d</table>e<tbody><tr>f<td>g</table>h",
        "<div><table><tr><td>a</div>b</td></tr></table></div><pre>c\nd</pre>",
        "<p>a<object><p>b<div>c</object>d<p>e<button>f<p>g</button>h</p>i",
        "<svg><title>a</title><style/><text>b</text></svg>c<svg/>d<svg><g>e<p>f",
        "<svg><g>a<span>b</span>c<pre>d\ne</pre>",
        "<svg><foreignObject><div>a<p>b</div></foreignObject><text>c</text></svg>d",
        "<template><div>a</template>b<noscript><p>c</noscript>d<script>'<div>'</script><!-- <div> --!>e",
        "<form>a<form>b<div>c</form>d</div>e<select><optgroup><option>f<option>g</select>h",
        "a<td>b<tr>c</p>d</br>e<hr>f<details><summary>g</summary>h</details>i<center>j",
        "<a href='>'>a</a><img alt='<p>'>b<!---->c<!--->d<title>no</title>e<textarea><p>f</textarea>",
    ],
)
def test_a_large_page_is_read_as_a_small_one(html: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small = html_to_text(html)
    monkeypatch.setattr(html_text, "_QUICK", -1)
    assert html_to_text(html) == small


@pytest.mark.parametrize("closed", ["</div>", "</DIV >"])
def test_a_drawing_below_the_deepest_block_is_not_read_and_ends_with_a_block(closed: str) -> None:
    deep = f"{'<br>' * 8_000}{'<div>' * 600}"
    assert html_to_text(f"{deep}<svg><text>a</text></svg>b<svg><text>c</text><p>d{closed * 600}<pre>e\nf") == (
        "",
        "b\nd\ne\nf",
    )
