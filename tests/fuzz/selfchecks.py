"""The file of a self-check, which students hold and may change."""

from __future__ import annotations

import contextlib
import json

from hypothesis import strategies as st

from fuzz.notebooks import oddities, written
from fuzz.target import Made, Target, encoded, nasty
from fuzz.value import VALUES
from grader.errors import InputError
from grader.readable import WORDS, from_json, to_json


def run(data: bytes) -> None:
    """Read public results; what was read can be written again."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return
    with contextlib.suppress(InputError):
        json.dumps(to_json(from_json(told)))


SEEDS = [json.dumps(to_json(VALUES[n])).encode() for n in (2, 5, 6, 7)]
DTYPES = ("float32", "bfloat16", "int64", "bool", "object", "S10", "M8[ns]", "V9", "O", "<f4,<i4")


def _made() -> Made:
    odd = oddities()
    tensors = st.fixed_dictionaries(
        {
            "tensor": st.one_of(odd, st.lists(st.integers(), max_size=3)),
            "dtype": st.one_of(st.sampled_from(DTYPES), nasty()),
            "shape": st.one_of(odd, st.lists(st.one_of(st.integers(), odd), max_size=3)),
        }
    )
    words = st.dictionaries(st.sampled_from((*sorted(WORDS), "with", "dtype", "shape", "a")), odd)
    inner = st.one_of(odd, tensors, words)
    nested = st.one_of(
        *(inner, st.fixed_dictionaries({"pairs": st.lists(st.lists(inner, max_size=2))})),
        *(st.fixed_dictionaries({"set": st.lists(inner, max_size=3)}),),
        st.fixed_dictionaries({"made": nasty(), "with": st.dictionaries(nasty(), inner)}),
    )
    return nested.map(lambda found: encoded(written(found)))


TARGET = Target(
    name="selfcheck",
    reads="public results in the file of a self-check",
    run=run,
    seeds=SEEDS,
    made=_made(),
    tokens=[json.dumps(word).encode() for word in (*sorted(WORDS), "with", "dtype", "shape")],
)
