"""The process that judges submissions (`grader/judging/worker.py`) and makes their pages, too."""

from __future__ import annotations

from grader.judging.worker import main
from grader.report.author import PageAuthor

if __name__ == "__main__":
    main(PageAuthor)
