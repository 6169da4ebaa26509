import json
from typing import Any

import numpy as np
import pytest

from grader.errors import InputError
from grader.readable import from_json, to_json
from grader.values import Formula, Made, Opaque, Tensor

VALUES: dict[str, Any] = {
    "scalars": [None, True, 3, 0.5, "text"],
    "names": {"a": [1], "b": {"c": 2}},
    "other keys": {1: "one", ("rnn", "time"): "t", None: 0},
    "names that stand for something": {"pairs": [["a", 1]], "set": [1], "made": "x", "with": {}},
    "a set": {1, 2},
    "a formula": Formula("n*(n + 1)/2"),
    "a mask": Tensor(np.tri(3, dtype=bool), "bool", "torch"),
    "an empty tensor": Tensor(np.zeros((0, 3), np.float32), "float32", "torch"),
    "a half": Tensor(np.array([1.5], np.float32), "bfloat16", "torch"),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_public_result_survives_its_file(value: Any) -> None:
    assert from_json(json.loads(json.dumps(to_json(value)))) == value


def test_an_object_to_make_survives_its_file() -> None:
    read = from_json(json.loads(json.dumps(to_json(Made("Config", {"set": [1], "n_layer": 2})))))
    assert (read.of, read.args) == ("Config", {"set": [1], "n_layer": 2})


def test_a_function_is_no_public_result() -> None:
    with pytest.raises(InputError, match="the function f cannot be given to students"):
        to_json(Opaque("function", "f"))


def test_a_malformed_tensor_is_refused() -> None:
    with pytest.raises(InputError, match="a tensor of the self-check is malformed"):
        from_json({"tensor": [[1], [2, 3]], "dtype": "float32", "shape": [2]})
