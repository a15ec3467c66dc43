"""Checkpoints of TensorFlow in forms that a whole run does not show: every element type, averages, slices, shards.

    python scripts/make-fixtures/tensorflow-forms.py

writes fixtures/trajectory/tensorflow/ and, as TensorFlow reads them back, expected.json in it.
Made with Python 3.11, TensorFlow 2.21.0 and Keras 3.15.1.
"""

import json
import os
import shutil

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

OUT = "fixtures/trajectory/tensorflow"
v1 = tf.compat.v1
expected = {}


def note(id, values):
    expected[id] = {name: np.asarray(value, np.float64).ravel().tolist() for name, value in values.items()}


def save(id, build, **options):
    """A file by TensorFlow 1's Saver of what `build` makes and runs."""
    with tf.Graph().as_default(), v1.Session() as session:
        build(session)
        v1.train.Saver(**options).save(session, f"{OUT}/{id}.ckpt", global_step=7, write_meta_graph=False,
                                       write_state=False)


def types(session):
    values = [-1.5, 0.1, 3.0]
    for name in ("float64", "float32", "float16", "bfloat16"):
        v1.get_variable(name, initializer=tf.cast(tf.constant(values, tf.float64), name))
    for name in ("int64", "int32", "int16", "int8", "uint8", "uint16"):
        v1.get_variable(name, initializer=tf.cast(tf.constant([1, 2]), name))
    v1.get_variable("bool", initializer=tf.constant([True, False]))
    v1.get_variable("complex64", initializer=tf.constant([1 + 2j], tf.complex64))
    v1.get_variable("string", initializer=tf.constant(["a", "longer"]))
    v1.get_variable("empty", initializer=tf.zeros([0, 3]))
    session.run(v1.global_variables_initializer())
    reader = {variable.op.name: session.run(variable) for variable in v1.global_variables()}
    note("types", {name: reader[name] for name in ("float64", "float32", "float16", "bfloat16", "empty")})


def averages(session):
    with v1.variable_scope("net"):
        kernel = v1.get_variable("kernel", initializer=tf.constant([1.0, 2.0]))
        mean = v1.get_variable("moving_mean", initializer=tf.constant([5.0]), trainable=False)
        adam = v1.get_variable("Adam", initializer=tf.constant([9.0]))  # a weight that is called like a slot
    step = v1.train.get_or_create_global_step()
    with v1.variable_scope("training"):
        train = v1.train.AdamOptimizer(0.5).minimize(tf.reduce_sum(kernel**2) + tf.reduce_sum(adam), step)
    average = tf.train.ExponentialMovingAverage(0.5)
    with tf.control_dependencies([train]):
        train = average.apply([kernel])
    session.run(v1.global_variables_initializer())
    for _ in range(3):
        session.run(train)
    note("averages", dict(zip(("net/kernel", "net/moving_mean", "net/Adam"), session.run([kernel, mean, adam]))))
    note("averages.ema", dict(zip(("net/kernel", "net/moving_mean", "net/Adam"),
                                  session.run([average.average(kernel), mean, adam]))))


def sharded(session):
    for i, device in enumerate(("cpu:0", "cpu:1")):
        with tf.device(device):
            v1.get_variable(f"part{i}", initializer=tf.constant([1.0 + i, 2.0]))
    session.run(v1.global_variables_initializer())
    note("sharded", {"part0": [1, 2], "part1": [2, 2]})


def sliced(session):
    v1.get_variable("kernel", shape=[4, 2], partitioner=v1.fixed_size_partitioner(2), use_resource=False)
    session.run(v1.global_variables_initializer())


def keras_averages():
    """An optimizer of Keras 3 that keeps an average of every weight."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="dense"),
                              keras.layers.BatchNormalization(name="bn")], name="net")
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    model.compile(optimizer, "mse")
    for _ in range(3):  # fit would end by writing the averages over the weights
        model.train_on_batch(np.ones((4, 2), np.float32), np.ones((4, 1), np.float32))
    tf.train.Checkpoint(model=model, optimizer=optimizer).save(f"{OUT}/keras-averages")
    note("keras-averages", {variable.path: variable.numpy() for variable in model.weights})
    averaged = dict(zip((variable.path for variable in model.trainable_variables),
                        optimizer._model_variables_moving_average))
    note("keras-averages.ema", {variable.path: averaged.get(variable.path, variable).numpy()
                                for variable in model.weights})
    os.remove(f"{OUT}/checkpoint")


if __name__ == "__main__":
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0],
                                               [tf.config.LogicalDeviceConfiguration()] * 2)
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    keras.utils.set_random_seed(1)
    save("types", types)
    save("averages", averages)
    save("sharded", sharded, sharded=True)
    save("sliced", sliced)
    keras_averages()
    with open(f"{OUT}/expected.json", "w") as file:
        json.dump(expected, file, indent=1)
        file.write("\n")
