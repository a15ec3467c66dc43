"""The network in Keras (3 or tf-keras, which have the same calls), and a fit that saves the recorded numbers."""

import numpy as np

from common import EPOCHS, KERAS, STEPS, data, keras_weights


def build(keras):
    """Channels last, layers named as in the recording, no numbers yet."""
    layers = keras.layers
    return keras.Sequential([
        keras.Input((6, 6, 1), name="x"),
        layers.Conv2D(3, 3, activation="relu", name="conv1"),
        layers.Conv2D(4, 3, padding="same", name="conv2"),
        layers.BatchNormalization(epsilon=1e-5, name="bn"),
        layers.ReLU(name="relu"),
        layers.GlobalAveragePooling2D(name="pool"),
        layers.Dense(4, activation="relu", name="fc1"),
        layers.Dense(3, name="fc2"),
    ], name="network")


def put(model, step):
    for name, arrays in keras_weights(step).items():
        model.get_layer(name).set_weights(arrays)
    return model


def recorded(model):
    """The model's arrays under the names of Keras, for check_same."""
    return {f"{name}/{key}": array for name, keys in KERAS.items()
            for key, array in zip(keys, model.get_layer(name).get_weights())}


def expected(step):
    return {f"{name}/{key}": array for name, arrays in keras_weights(step).items()
            for key, array in zip(KERAS[name], arrays)}


def channels_last_data():
    x, y = data()
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)), y


def compiled(keras, optimizer):
    """A model whose optimizer has made one update, so that it has slots of the shapes of the weights."""
    model = build(keras)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss)
    return model


def fit(keras, model, callbacks):
    """Four epochs of model.fit. At the end of each the recorded numbers are put in before the callbacks save them."""

    class Put(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            put(self.model, STEPS[epoch])
            logs["val_loss"] = self.model.evaluate(x, y, batch_size=32, verbose=0)

    x, y = channels_last_data()
    model.fit(x, y, batch_size=32, epochs=len(EPOCHS), verbose=0, shuffle=False, callbacks=[Put(), *callbacks])
