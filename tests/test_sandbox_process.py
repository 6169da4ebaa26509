"""When plain processes are refused; the rest is in the conformance suite."""

from __future__ import annotations

import sys
import tempfile

import pytest

from grader.errors import InputError
from grader.sandbox.process import LONGEST_TEMPORARY, ProcessSandbox


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere kernels listen on ports")
def test_a_temporary_folder_whose_path_is_too_long_for_sockets_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = "/" + "t" * LONGEST_TEMPORARY
    monkeypatch.setattr(tempfile, "tempdir", folder)
    says = f"at most {LONGEST_TEMPORARY} bytes, as sockets below it can have no longer name; found"
    with pytest.raises(InputError, match=f"TMPDIR: expected .* {says} {folder}"):
        ProcessSandbox()
    monkeypatch.setattr(tempfile, "tempdir", folder[:-1])
    ProcessSandbox()
