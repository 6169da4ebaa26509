"""A process that judges and makes pages, but for students who are named after what it does then."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from grader.judging.page import Page
from grader.judging.worker import main
from grader.report.author import PageAuthor
from grader.submission import Submission


class DyingAuthor(PageAuthor):
    """Makes the pages of most."""

    def page(self, question: Mapping[str, Any], submission: Submission) -> Page:
        """As the real one, unless the student's name says otherwise."""
        if submission.student == "aborts":
            os.abort()
        if submission.student == "grows":
            raise MemoryError
        if submission.student == "loops":
            while True:
                pass
        if submission.student == "raises":
            raise KeyError("ours")
        return super().page(question, submission)


if __name__ == "__main__":
    main(DyingAuthor)
