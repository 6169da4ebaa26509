"""No answer is in a layer of the runner image, nor in what it is built from."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from conftest import require

from grader.sandbox import docker as engine
from grader.sandbox import image
from grader.sandbox.engine import connect
from grader.sandbox.wheels import Wheels
from hostile.planting import ROOT, environment_of, plant


def telling_lines() -> list[str]:
    """Lines of references and rubrics, and names of wrong answers, that stand nowhere else."""
    paths = [*(ROOT / "reference").glob("*/*.py"), *(ROOT / "rubrics").glob("*.yaml")]
    lines = {line.strip() for path in paths for line in path.read_text().splitlines()}
    names = {
        name
        for path in (ROOT / "rubrics").glob("*.yaml")
        for name in re.findall(r"reference: (\w{20,})", path.read_text())
    }
    assert len(names) > 50
    written = {line for line in lines if len(line) > 60 and " import " not in line}
    return sorted(names | written)


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.threat("AL-01", "AL-10", where="docker")
def test_no_layer_of_the_image_holds_an_answer() -> None:
    require("docker", engine.why_not())
    ours = max((ROOT / "grader/guest/main.py").read_text().splitlines(), key=len).strip()
    with tempfile.NamedTemporaryFile("w") as patterns, closing(connect()) as client:
        patterns.write("\n".join([*telling_lines(), ours]))
        patterns.flush()
        saved = client.images.get(image.runner_image(client, lambda _: None)).save()
        found = grepped(saved, patterns.name)
    assert found == {ours}  # all layers, also of what was removed again; ours shows that it sees


def grepped(chunks: Iterable[bytes], patterns: str) -> set[str]:
    command = ["grep", "--text", "--only-matching", "--fixed-strings", "--file", patterns]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"LC_ALL": "C"}
    ) as search:
        assert search.stdin
        assert search.stdout
        for chunk in chunks:
            search.stdin.write(chunk)
        search.stdin.close()
        return set(search.stdout.read().decode().splitlines())


@pytest.mark.threat("AL-01", "AL-10")
def test_nothing_of_a_course_gets_into_what_the_image_is_built_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plant(tmp_path, "nyu_hw4", "s09")
    with environment_of(made), tempfile.TemporaryFile() as context:
        monkeypatch.chdir(tmp_path)
        recipe = image.read_recipe(image.OFFICIAL_BASE, {})
        image._pack(recipe, Wheels(files=(), packages=(), unlocked=()), context)
        context.seek(0)
        packed = context.read()
        assert made.markers.found(packed + repr(recipe).encode()) == set()
    assert b"guest/main.py" in packed
    answers = [line.encode() for line in telling_lines()]
    assert [line for line in answers if line in packed] == []
