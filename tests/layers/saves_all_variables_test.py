"""Variables beside kernel and bias are saved, too."""

import keras
import numpy as np

from tfcl.layers.saves_all_variables import SavesAllVariables


class _Dense(SavesAllVariables, keras.layers.Dense):
    def build(self, input_shape):
        super().build(input_shape)
        self.extra = self.add_weight(name="extra", shape=(2,))


def test_a_saved_file_gives_every_variable_back(tmp_path):
    path = tmp_path / "net.weights.h5"
    models = [keras.Sequential([keras.Input((3,)), _Dense(4)]) for _ in "ab"]
    models[0].layers[0].extra.assign([5.0, -7.0])
    models[0].save_weights(path)
    models[1].load_weights(path)
    assert len(models[0].weights) == 3
    for saved, loaded in zip(models[0].weights, models[1].weights):
        np.testing.assert_array_equal(loaded, saved)
    np.testing.assert_array_equal(models[1].layers[0].extra, [5.0, -7.0])
