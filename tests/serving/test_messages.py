"""The wire: every request has an example that it reads, refuses what it does not know, and holds every text, list and number to a limit."""

import inspect
from typing import Any

import msgspec
import pytest
from msgspec import inspect as shapes

from banyan.serving import messages
from banyan.serving.examples import EXAMPLES

STRUCTS = [
    each for _, each in inspect.getmembers(messages, inspect.isclass) if issubclass(each, msgspec.Struct) and each.__module__.startswith(messages.__name__)
]
BODIES = [each for each in STRUCTS if each.__name__.endswith("Body") and each not in (messages.FiltersBody, messages.LimitBody)]


@pytest.mark.parametrize("body", BODIES)
def test_every_request_has_an_example_that_it_reads(body: type[msgspec.Struct]) -> None:
    read = msgspec.json.decode(msgspec.json.encode(EXAMPLES[body]), type=body)
    assert msgspec.convert(msgspec.to_builtins(read), body) == read


@pytest.mark.parametrize("body", BODIES)
def test_a_field_that_is_not_known_is_refused(body: type[msgspec.Struct]) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `surplus`"):
        msgspec.convert(EXAMPLES[body] | {"surplus": 1}, body)


@pytest.mark.parametrize("answer", [each for each in STRUCTS if issubclass(each, messages.Answer)])
def test_every_answer_says_which_request_model_and_value_it_is_of(answer: type[msgspec.Struct]) -> None:
    assert {"request_id", "model", "value"} <= {field.name for field in msgspec.structs.fields(answer)}


def unlimited(shape: Any, at: str) -> list[str]:
    """Where a request takes texts, lists or maps of any size."""
    match shape:
        case shapes.StrType() | shapes.ListType() | shapes.DictType() if shape.max_length is None:
            return [at]
        case shapes.ListType():
            return unlimited(shape.item_type, f"{at}[]")
        case shapes.DictType():
            return unlimited(shape.value_type, f"{at}{{}}")
        case shapes.UnionType():
            return [found for each in shape.types for found in unlimited(each, at)]
        case shapes.StructType():
            return [found for field in shape.fields for found in unlimited(field.type, f"{at}.{field.name}")]
    return []


@pytest.mark.parametrize("body", BODIES)
def test_every_text_and_list_of_a_request_has_a_limit(body: type[msgspec.Struct]) -> None:
    assert unlimited(shapes.type_info(body), body.__name__) == []
