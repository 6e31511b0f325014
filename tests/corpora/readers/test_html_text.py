"""Pages as they are found: long ones, broken ones, and what in them is not for readers."""

from __future__ import annotations

import time

import pytest

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
    ("html", "title", "text"),
    [
        (
            "<h1>T <i>i</i></h1><p>a <b>bold</b>\nword<p>two<br>lines<my-el>x</my-el>y",
            "T i",
            "T i\na bold word\ntwo\nlinesxy",
        ),
        ("<ul><li>a<ul><li>b</ul>c<li><p>d<div>e</ul>f<dl><dt>g<dd>h<dd>i</dl>", "", "a b c d e f g h i"),
        (
            "<table><caption>a<tr><th>b<td>c<table><td>d</table>e<tbody><tr>f<td>g</table>h",
            "",
            "a b c d e f g h",
        ),
        ("<div><table><tr><td>a</div>b</td></tr></table></div><pre>c\nd</pre>", "", "a b c d"),
        ("<svg><title>a</title><style/><text>b</text></svg>c<svg/>d", "", "cd"),
        ("<svg><foreignObject><div>a<p>b</div></foreignObject><text>c</text></svg>d", "", "d"),
        ("<svg><g>a<svg>b</svg>c</svg>d<template>e<template>f</template>g</template>h", "", "dh"),
        ("<template><div>a</template>b<noscript><p>c</noscript>d<script>'<div>'</script><!-- <div> --!>e", "", "bde"),
        ("<form>a<form>b<div>c</form>d</div>e<select><optgroup><option>f<option>g</select>h", "", "a b c d e f g h"),
        ("a<td>b<tr>c</p>d</br>e<hr>f<details><summary>g</summary>h</details>i<center>j", "", "a b c d e f g h i j"),
        (
            "<a href='>'>a</a><img alt='<p>'>b<!---->c<!--->d<title>no</title>e<textarea><p>f</textarea>",
            "",
            "abcdnoe<p>f",
        ),
        ("<?xml version='1.0'?><!doctype html><title>T</title><title>U</title></>a</ x>b<![CDATA[c]]>", "T", "ab"),
        ("<title></title><h2></h2><h2>a<br>b</h2><h1>c</h1>", "c", "a b c"),
        ("<noscript><h1>a</h1></noscript><script src=x />b<style>c", "", "b"),
    ],
)
def test_what_is_read_of_a_page(html: str, title: str, text: str) -> None:
    found = html_to_text(html)
    assert (found[0], found[1].replace("\n", " ")) == (title, text.replace("\n", " "))


@pytest.mark.parametrize("hidden", ["svg", "template", "noscript"])
def test_what_never_ends_hides_nothing(hidden: str) -> None:
    assert html_to_text(f"<{hidden}>a</span>b<p>c")[1] == "ab\nc"
    assert html_to_text(f"<{hidden}>a<{hidden}>b</{hidden}>c</{hidden}x>d")[1] == "acd"
    assert html_to_text(f"a</{hidden}>b")[1] == "ab"


@pytest.mark.parametrize(
    "tags",
    [
        "<svg><title>w{}</title>",
        "<title>w{}",
        "<!--w{}",
        "<a b='w{}",
        "<h1>w{}</h2>",
        "<svg></template>w{}",
        "<w{}",
        "<pre>w{}</h1>\n",
    ],
)
def test_no_page_takes_longer_for_what_is_in_it(tags: str) -> None:
    html = "".join(tags.format(number) for number in range(60_000))
    started = time.process_time()
    html_to_text(html)
    assert time.process_time() - started < 2.5
