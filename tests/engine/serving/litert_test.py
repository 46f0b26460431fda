"""Files of LiteRT that are integer throughout, read by LiteRT itself."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from tests.engine.serving.families import FAMILIES, UNUSUAL, family
from tfcl.engine.serving import litert, quantization

# Largest difference of a probability, and the part of the images that are
# named alike: 8 bits for each number in between, of networks that have hardly
# learned, whose classes lie close together.
_CLOSE = {UNUSUAL: (0.1, 0.8)}
_USUAL = (0.03, 0.9)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_network_becomes_integer_throughout(name):
    _, _, model, images, examples = family(name)
    content = litert.converted(model, "full_integer", examples.representative)
    interpreter = Interpreter(model_content=content)
    (taken,) = interpreter.get_input_details()
    (given,) = interpreter.get_output_details()
    # Pixels as they are, probabilities in 256ths.
    assert taken["dtype"] == given["dtype"] == np.uint8
    assert taken["quantization"] == (1.0, 0)
    assert given["quantization"] == (1 / 256, 0)
    run = interpreter.get_signature_runner()
    found = np.concatenate(
        [np.array(run(pixels=each[None])["probabilities"]) for each in images]
    )
    wanted = model.predict(images, verbose=0)
    bound, alike = _CLOSE.get(name, _USUAL)
    np.testing.assert_allclose(found / 256, wanted, atol=bound)
    same = found.argmax(-1) == wanted.argmax(-1)
    assert same.mean() >= alike
    # As the exports measure it.
    again = litert.runner(content)(images[:1])
    np.testing.assert_allclose(again, found[:1] / 256, atol=1 / 256)
    count, floats = litert.operations(content)
    if name == UNUSUAL:
        assert set(floats) == {"NEG", "SQUARE"} and count > 30
        told = quantization.told_operations(content)
        assert told.startswith(f"3 of {count} operations stay in float")
        assert told.endswith("NEG (2), SQUARE (1)")
    else:
        assert not floats and count >= 8
        told = quantization.told_operations(content)
        assert told == f"all {count} operations compute in 8 bits"


def test_in_float_no_operation_computes_in_8_bits():
    count, floats = litert.operations(litert.converted(family("lasem").model))
    assert count == sum(floats.values()) and floats["CONV_2D"] == 2


def test_ranges_are_those_of_the_representative_images():
    model = family("lasem").model
    images = family("lasem").examples.representative
    contents = [
        litert.converted(model, "full_integer", each)
        for each in (images, images, images // 8)
    ]
    ranges = [_scales(content) for content in contents]
    assert ranges[0] == ranges[1]
    # The images themselves are not changed.
    assert ranges[0] != ranges[2] and images.min() >= 0


def _scales(content):
    interpreter = Interpreter(model_content=content)
    return [
        each["quantization"]
        for each in interpreter.get_tensor_details()
        if each["dtype"] == np.int8
    ]


@pytest.mark.parametrize("count", [1, 2])
def test_dark_images_leave_pixels_as_they_are(count):
    dark = np.full((count, 8, 8, 3), 9, np.uint8)
    content = litert.converted(family("lasem").model, "full_integer", dark)
    (taken,) = Interpreter(model_content=content).get_input_details()
    assert taken["quantization"] == (1.0, 0)
    assert (dark == 9).all()
