"""TensorFlow's own checkpoints: tf.train.CheckpointManager with Keras 3, with tf-keras and with a plain tf.Module, and
the Saver of TensorFlow 1.

Values are read back by tf.train.load_checkpoint, under the keys that the files have.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from common import EPOCHS, KERAS, STEPS, channels_last, check_same, folder, register, weights
from keras_network import build, channels_last_data, expected, put

WRITER = f"tensorflow {tf.__version__}"
SAVES = (1, 2, 3, 4)


def full_names(prefix):
    """{the name of a variable: its key in the file}, from the graph of objects that the checkpoint has in itself."""
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    graph.ParseFromString(tf.train.load_checkpoint(prefix).get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    return {one.full_name: one.checkpoint_key for node in graph.nodes for one in node.attributes}


def check_values(prefix, step, find):
    """`find(layer, key)` is the name in the file of a layer's variable."""
    reader = tf.train.load_checkpoint(prefix)
    names = {f"{layer}/{key}": find(layer, key) for layer, variables in KERAS.items() for key in variables}
    check_same({name: reader.get_tensor(key) for name, key in names.items()}, expected(step), prefix)


def managed(id, keras, optimizer, writer, scope):
    """With an optimizer of Keras 3 in the checkpoint, trainable variables are kept under the optimizer's keys, such as
    optimizer/_trainable_variables/0: only the graph of objects tells which they are."""
    path = folder(id)
    model = build(keras)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, step=tf.Variable(0, dtype=tf.int64))
    manager = tf.train.CheckpointManager(checkpoint, path, max_to_keep=None)
    model.compile(optimizer=optimizer, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = channels_last_data()
    for step in STEPS:
        model.fit(x, y, batch_size=32, verbose=0)
        put(model, step)
        checkpoint.step.assign(step)
        prefix = manager.save()
        names = full_names(prefix)
        check_values(prefix, step, lambda layer, key: names[f"{scope}{layer}/{key}"])
    # A counter inside, `step`, tells more than the number of the save in the name.
    register(id, id, writer, "step", STEPS, full_names(prefix)[f"{scope}conv1/kernel"], model="tf-keras-unfused.onnx",
             counters={"save": SAVES}, counter="step/.ATTRIBUTES/VARIABLE_VALUE", full_name=f"{scope}conv1/kernel")


class Layer(tf.Module):
    def __init__(self, name, arrays):
        super().__init__(name=name)
        for key, array in arrays.items():
            setattr(self, key, tf.Variable(array, name=key))


class Network(tf.Module):
    def __init__(self, step):
        super().__init__(name="network")
        recorded = weights(step)
        for layer, names in KERAS.items():
            setattr(self, layer, Layer(layer, {key: channels_last(recorded[name]) for key, name in names.items()}))


def module():
    """A tf.Module, saved without any counter but the save's own."""
    path = folder("tf-module")
    network = Network(STEPS[0])
    checkpoint = tf.train.Checkpoint(net=network)
    for step in STEPS:
        for layer, names in KERAS.items():
            for key, name in names.items():
                getattr(getattr(network, layer), key).assign(channels_last(weights(step)[name]))
        prefix = checkpoint.save(f"{path}/ckpt")
        check_values(prefix, step, lambda layer, key: f"net/{layer}/{key}/.ATTRIBUTES/VARIABLE_VALUE")
    register("tf-module", "tf-module", WRITER, "save", SAVES, "net/conv1/kernel/.ATTRIBUTES/VARIABLE_VALUE",
             model="tf-keras-unfused.onnx")


def saver():
    """TensorFlow 1: names of variables, slots beside them, a global_step, and a .meta with the graph (kept for the
    last save only)."""
    path = folder("tf1-saver")
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        variables = {}
        for layer, names in KERAS.items():
            with v1.variable_scope(layer):
                for key, name in names.items():
                    array = channels_last(weights(0)[name])
                    variables[f"{layer}/{key}"] = v1.get_variable(key, shape=array.shape, dtype=tf.float32, trainable="moving" not in key)
        counter = v1.train.get_or_create_global_step()
        # Slots for two variables only: every one more makes the graph in the .meta larger.
        loss = tf.add_n([tf.reduce_sum(variables[name] ** 2) for name in ("conv1/kernel", "fc1/kernel")])
        v1.train.MomentumOptimizer(0.1, 0.5).minimize(loss, global_step=counter)
        saver = v1.train.Saver(max_to_keep=None)
        session.run(v1.global_variables_initializer())
        for step in STEPS:
            for name, array in expected(step).items():
                variables[name].load(array, session)
            counter.load(step, session)
            prefix = saver.save(session, f"{path}/model.ckpt", global_step=counter, write_meta_graph=step == STEPS[-1])
            check_values(prefix, step, lambda layer, key: f"{layer}/{key}")
    register("tf1-saver", "tf1-saver", f"{WRITER}, tf.compat.v1", "step", STEPS, "conv1/kernel", model="tf-keras-unfused.onnx")


def model_only(keras):
    path = folder("keras-checkpoint")
    model = build(keras)
    checkpoint = tf.train.Checkpoint(model=model)
    for epoch, step in zip(EPOCHS, STEPS):
        put(model, step)
        prefix = checkpoint.write(f"{path}/epoch-{epoch}")
        names = full_names(prefix)
        check_values(prefix, step, lambda layer, key: names[f"network/{layer}/{key}"])
    register("keras-checkpoint", "keras-checkpoint", f"{WRITER} with keras {keras.__version__}", "epoch", EPOCHS,
             names["network/conv1/kernel"], model="tf-keras-unfused.onnx", full_name="network/conv1/kernel")


if __name__ == "__main__":
    if "tf-keras" in sys.argv:
        import tf_keras

        managed("tf-keras-manager", tf_keras, tf_keras.optimizers.legacy.Adam(0.01),
                f"{WRITER} with tf-keras {tf_keras.__version__}", "")
    else:
        import keras

        managed("keras-manager", keras, keras.optimizers.Adam(0.01), f"{WRITER} with keras {keras.__version__}", "network/")
        model_only(keras)
        module()
        saver()
