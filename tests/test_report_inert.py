"""Text that others wrote is harmless to look at."""

import time

import pytest

from grader.report.inert import MAX_CHARS, block, line, visible


@pytest.mark.threat("RI-04")
@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain text", "plain text"),
        ("a\x1b[31;1mred\x1b[0m", "ared"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"),
        ("bell\x07 nul\x00", "bell\N{SYMBOL FOR BELL} nul\N{SYMBOL FOR NULL}"),
        ("left\u202eright\u2066", "left\ufffdright\ufffd"),
        ("no\xa0break\u2028line", "no break line"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("half \ud800 pair", "half \ufffd pair"),
        ("a" + "\u0301" * 9, "a" + "\u0301" * 4),
    ],
    ids=["plain", "colour", "title", "link", "control", "bidi", "space", "joiner", "half", "marks"],
)
def test_what_cannot_be_seen_is_removed_or_made_visible(written: str, shown: str) -> None:
    assert visible(written) == shown


def test_a_line_has_an_end() -> None:
    assert line("word\n\n  word") == "word word"
    assert line("x" * 1_000_000, 10) == "x" * 10 + "…"


def test_a_progress_bar_is_shown_as_it_was_left() -> None:
    assert block("epoch\n 10%\r 50%\r100%\r\ndone") == "epoch\n100%\ndone"


def test_a_long_text_is_cut_and_says_so() -> None:
    assert block("a\nb\nc\n", 2) == "a\nb\n[the rest is left out]"
    assert block("a\nb\nc\n", 2, last=True) == "[the beginning is left out]\nb\nc"
    assert block("\n\nonly this\n") == "only this"


@pytest.mark.threat("RI-05")
def test_a_megabyte_takes_no_time_and_little_room() -> None:
    began = time.monotonic()
    for evil in ("\u202e" * 1_000_000, "\x1b]" * 500_000, "x" * 1_000_000, "\n" * 1_000_000):
        assert len(block(evil)) <= MAX_CHARS + 100
        assert len(line(evil)) <= 401
    assert time.monotonic() - began < 2
