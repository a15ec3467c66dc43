"""Writes fixtures/autodiff/operators.json: values and gradients as PyTorch computes them in float64.

Operators at points where a derivative is a matter of convention (ties and kinks), and the losses. Needs torch 2.x.
Run from the project's root: python scripts/make-fixtures/operators.py
"""
import json
import os

import torch
import torch.nn.functional as F

torch.manual_seed(11)
operators, losses = [], []


def array(t, parameter=True):
    return {"shape": list(t.shape), "values": t.detach().flatten().tolist(), "parameter": parameter}


def operator(title, op, function, *inputs, constants=(), attributes=None, dtype="float64"):
    """One operator on parameters, then constants; the cotangent is fixed and no two of its elements are equal."""
    points = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    fixed = [torch.tensor(x, dtype=torch.float64) for x in constants]
    y = function(*points, *fixed)
    cotangent = torch.arange(1, y.numel() + 1, dtype=torch.float64).reshape(y.shape) / 4 - 1.125
    (y * cotangent).sum().backward()
    operators.append({
        "title": title, "op": op, "attributes": attributes or {}, "dtype": dtype,
        "inputs": [array(x) for x in points] + [array(x, False) for x in fixed],
        "output": array(y), "cotangent": array(cotangent), "gradients": [x.grad.flatten().tolist() for x in points],
    })


def loss(title, name, function, prediction, target, weights=None, options=None, end=()):
    """A loss of a prediction; samples of weight 0 are left out of what PyTorch sees. `end` are operators at the network's
    end, before which the prediction stands: [operator, attributes] or, where it has none, its name."""
    z = prediction.double().requires_grad_()
    weights = weights or [1] * len(target)
    kept = torch.tensor(weights).nonzero().flatten()
    value = function(z[kept], target[kept])
    value.backward()
    single = [function(z[i:i + 1], target[i:i + 1]).item() for i in range(len(target))]
    losses.append({
        "title": title, "loss": name, "options": options or {}, "end": [[op, {}] if isinstance(op, str) else op for op in end],
        "prediction": array(z), "target": array(target.double(), False), "weights": weights, "value": value.item(),
        "single": [0 if s != s else s for s in single], "gradient": z.grad.flatten().tolist(),
    })


kinks = [[-1.0, 0.0, 2.0], [0.0, -0.5, 0.0]]
operator("at 0", "Relu", torch.relu, kinks)
operator("at 0", "Abs", torch.abs, kinks)
operator("at 0", "LeakyRelu", lambda x: F.leaky_relu(x, 0.25), kinks, attributes={"alpha": {"float": 0.25}}, dtype="float32")
operator("at 0", "Elu", lambda x: F.elu(x, 0.5), kinks, attributes={"alpha": {"float": 0.5}}, dtype="float32")
operator("at 0", "Celu", lambda x: F.celu(x, 2.0), kinks, attributes={"alpha": {"float": 2.0}}, dtype="float32")
operator("at 0", "Selu", torch.selu, kinks, dtype="float32")
operator("at 0", "PRelu", torch.prelu, kinks, [0.25], dtype="float32")
operator("at the threshold", "ThresholdedRelu", lambda x: F.threshold(x, 0.5, 0.0), [[0.5, 0.25, 1.0]],
         attributes={"alpha": {"float": 0.5}}, dtype="float32")
operator("at its bounds", "HardSigmoid", F.hardsigmoid, [-3.0, 3.0, 0.0, -4.0],
         attributes={"alpha": {"float": 1 / 6}, "beta": {"float": 0.5}}, dtype="float32")
operator("at both bounds", "Clip", torch.clamp, [-1.0, -0.5, 0.0, 0.75, 1.0], constants=[-0.5, 0.75])
operator("with trained bounds, at them and beyond", "Clip", torch.clamp, [-1.0, -0.5, 0.0, 0.75, 1.0], -0.5, 0.75)
operator("of ties", "Max", torch.maximum, [[1.0, 2.0, 3.0], [0.0, 0.0, -1.0]], [[1.0, 1.0, 4.0], [0.0, 1.0, -1.0]])
operator("of ties that are repeated", "Max", torch.maximum, [[1.0, 2.0, 3.0], [0.0, 0.0, -1.0]], [1.0, 0.0, 3.0])
operator("of ties", "Min", torch.minimum, [[1.0, 2.0, 3.0], [0.0, 0.0, -1.0]], [[1.0, 1.0, 4.0], [0.0, 1.0, -1.0]])
operator("of ties with a constant 0", "Max", torch.maximum, kinks, constants=[0.0])
operator("of ties over an axis", "ReduceMax", lambda x: torch.amax(x, 1, keepdim=True), [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]], attributes={"axes": [1]})
operator("of ties over all axes", "ReduceMin", lambda x: torch.amin(x, (0, 1), keepdim=True), [[1.0, 3.0, 1.0], [2.0, 1.0, 2.0]], attributes={"axes": [0, 1]})
ties = [[[[1.0, 2.0, 2.0, 0.0], [2.0, 2.0, 0.0, 2.0], [3.0, 3.0, 1.0, 1.0], [3.0, 3.0, 1.0, 1.0]]]]
operator("of ties", "MaxPool", lambda x: F.max_pool2d(x, 2), ties, attributes={"kernel_shape": [2, 2], "strides": [2, 2]}, dtype="float32")
operator("of ties in overlapping windows", "MaxPool", lambda x: F.max_pool2d(x, 3, 1, 1), ties,
         attributes={"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1]})
operator("at base 0 with constant exponents", "Pow", torch.pow, [0.0, 0.0, 0.0, 2.0], constants=[[0.0, 1.0, 2.0, 0.0]])
operator("at base 0 with a trained exponent", "Pow", torch.pow, [0.0, 2.0, 0.5], [2.0, 2.0, 1.5])

operator("by a number", "Div", torch.div, [[1.0, -2.0], [3.0, 0.5]], [[4.0], [-0.25]])
operator("over the last axis", "Softmax", lambda x: F.softmax(x, -1), [[1.0, 2.0, -30.0], [0.0, 0.0, 0.0]])
operator("over the last axis, far apart", "LogSoftmax", lambda x: F.log_softmax(x, -1), [[100.0, -100.0, 0.0], [0.0, 0.5, 1.0]])
operator("far from 0", "Erf", torch.erf, [-3.0, 0.0, 0.5, 4.0], dtype="float32")
operator("far from 0", "Softplus", F.softplus, [-20.0, 0.0, 15.0], dtype="float32")

images, kernel, bias = torch.randn(2, 3, 6, 5), torch.randn(4, 3, 3, 2), torch.randn(4)
operator("with stride, padding and dilation", "Conv", lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 2), (1, 2)),
         images.tolist(), kernel.tolist(), bias.tolist(), dtype="float32",
         attributes={"strides": [2, 1], "pads": [1, 2, 1, 2], "dilations": [1, 2]})
operator("with ceil_mode and padding that is not counted", "AveragePool",
         lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False), images.tolist(), dtype="float32",
         attributes={"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1})

logits, labels = torch.randn(5, 4), torch.tensor([0, 3, 1, 3, 2])
loss("of five samples", "cross-entropy", F.cross_entropy, logits, labels)
loss("of logits far apart", "cross-entropy", F.cross_entropy, logits * 100, labels)
loss("without the samples of weight 0", "cross-entropy", F.cross_entropy, logits, labels, [1, 0, 1, 1, 0])
for shape in [(5,), (5, 3), (2, 3, 4), (2, 3, 2, 2)]:
    loss(f"of rank {len(shape)}", "mse", F.mse_loss, torch.randn(shape), torch.randn(shape))
loss("without the samples of weight 0", "mse", F.mse_loss, torch.randn(4, 3), torch.randn(4, 3), [0, 1, 1, 0])

classes = torch.tensor([0.5, 2.0, 0.0, 1.25])
some = torch.tensor([0, -100, 1, 3, -100])


def over(axis, function=F.cross_entropy, **arguments):
    """A loss whose classes are an axis of ours; PyTorch has them at axis 1."""
    arguments = {k: v.double() if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}
    soft = lambda t: t.movedim(axis, 1).double() if t.is_floating_point() else t
    return lambda z, t: function(z.movedim(axis, 1), soft(t), **arguments)


def labelled(title, options, arguments, logits, labels, axis=1, weights=None, end=(), name="cross-entropy"):
    function = F.nll_loss if name == "nll" and not end else F.cross_entropy
    loss(title, name, over(axis, function, **arguments), logits, labels, weights, options, end)


listed = {"classWeights": classes.tolist()}
labelled("with labels that are ignored", {}, {}, logits, some)
labelled("with ignored labels and samples of weight 0", {}, {}, logits, some, weights=[0, 1, 1, 1, 0])
labelled("with a class that is ignored", {"ignoreIndex": 3}, {"ignore_index": 3}, logits, labels)
labelled("with smoothing", {"labelSmoothing": 0.1}, {"label_smoothing": 0.1}, logits, labels)
labelled("with nothing but smoothing", {"labelSmoothing": 1}, {"label_smoothing": 1.0}, logits, labels)
labelled("with smoothing and ignored labels", {"labelSmoothing": 0.3}, {"label_smoothing": 0.3}, logits, some, weights=[1, 1, 0, 1, 1])
labelled("with class weights", listed, {"weight": classes}, logits, labels)
labelled("with class weights and ignored labels", {**listed, "ignoreIndex": 1}, {"weight": classes, "ignore_index": 1}, logits, labels)
labelled("with class weights, smoothing and ignored labels", {**listed, "labelSmoothing": 0.2}, {"weight": classes, "label_smoothing": 0.2},
         logits, some, weights=[1, 1, 1, 0, 1])

sequences, words = torch.randn(3, 5, 4), torch.randint(0, 4, (3, 5))
words[0, 3:] = -100
words[1, 0] = -100
labelled("of positions, classes last", {}, {}, sequences, words, axis=2)
labelled("of positions, without a sample", {}, {}, sequences, words, axis=2, weights=[1, 0, 1])
labelled("of positions, with smoothing and weights", {**listed, "labelSmoothing": 0.1}, {"weight": classes, "label_smoothing": 0.1},
         sequences, words, axis=2)
labelled("of positions, a sample without any", {}, {}, sequences, torch.where(torch.arange(3)[:, None] == 1, -100, words), axis=2)
labelled("of positions, classes at axis 1", {"classAxis": 1}, {}, torch.randn(3, 4, 5), words)
images, pixels = torch.randn(2, 4, 3, 2), torch.randint(0, 4, (2, 3, 2))
pixels[0, 1] = 255
labelled("of pixels, classes at axis 1", {"ignoreIndex": 255}, {"ignore_index": 255}, images, pixels)
labelled("of pixels, with everything", {**listed, "ignoreIndex": 255, "labelSmoothing": 0.2},
         {"weight": classes, "ignore_index": 255, "label_smoothing": 0.2}, images, pixels, weights=[1, 1])
labelled("of pixels, classes last", {"classAxis": -1, "ignoreIndex": 255}, {"ignore_index": 255}, images.movedim(1, 3), pixels, axis=3)
soft = lambda *shape, axis=1: torch.softmax(torch.randn(shape), axis)
labelled("of probabilities", {"softLabels": True}, {}, logits, soft(5, 4))
labelled("of probabilities, with smoothing and weights", {**listed, "softLabels": True, "labelSmoothing": 0.1},
         {"weight": classes, "label_smoothing": 0.1}, logits, soft(5, 4), weights=[1, 0, 1, 1, 1])
labelled("of probabilities of pixels", {"softLabels": True}, {}, images, soft(2, 4, 3, 2))
labelled("of probabilities of positions", {"softLabels": True}, {}, sequences, soft(3, 5, 4, axis=2), axis=2)
labelled("before Softmax", {}, {}, logits, some, end=["Softmax"])
labelled("before LogSoftmax", {}, {}, logits, some, end=[["LogSoftmax", {"axis": 1}], "Identity"])
labelled("before the logarithm of Softmax", {}, {}, logits, some, end=["Softmax", "Log"])
labelled("before Softmax over axis 1 of three", {}, {}, torch.randn(3, 4, 5), words, end=[["Softmax", {"axis": 1}]])
labelled("before Softmax over axis 1 of four", {"ignoreIndex": 255}, {"ignore_index": 255}, images, pixels, end=[["Softmax", {"axis": 1}]])

labelled("of five samples", {}, {}, F.log_softmax(logits, 1), labels, name="nll")
labelled("with class weights and ignored labels", listed, {"weight": classes}, logits, some, name="nll", weights=[1, 1, 1, 0, 1])
labelled("of pixels", {"ignoreIndex": 255}, {"ignore_index": 255}, images, pixels, name="nll")
labelled("of positions", {}, {}, sequences, words, axis=2, name="nll")
labelled("before LogSoftmax", listed, {"weight": classes}, logits, some, end=["LogSoftmax"], name="nll")


def binary(title, logits, target, weights=None, end=(), options=None, weight=None):
    weight = None if weight is None else torch.tensor(weight, dtype=torch.float64)
    function = lambda z, t: F.binary_cross_entropy_with_logits(z, t.double(), pos_weight=weight)
    loss(title, "bce-with-logits", function, logits, target, weights, options, end)


for shape in [(5,), (5, 3), (2, 3, 4), (2, 3, 2, 2)]:
    binary(f"of rank {len(shape)}", torch.randn(shape), torch.randint(0, 2, shape))
binary("of logits far apart and at 0", torch.tensor([[-800.0, 800.0, 0.0], [40.0, -40.0, 1e-3]]), torch.tensor([[0, 0, 1], [1, 1, 0]]))
binary("of probabilities", torch.randn(4, 3), torch.rand(4, 3), [0, 1, 1, 0])
binary("before Sigmoid", torch.randn(4, 3), torch.rand(4, 3), end=["Sigmoid"])
binary("with one weight", torch.randn(4, 3), torch.rand(4, 3), [1, 1, 0, 1], options={"positiveWeights": [2.5]}, weight=2.5)
binary("with a weight for each class", torch.randn(4, 3), torch.rand(4, 3), options={"positiveWeights": [2.5, 0.5, 1.0]}, weight=[2.5, 0.5, 1.0])
binary("with a weight for each channel", torch.randn(2, 3, 2, 2), torch.rand(2, 3, 2, 2), options={"positiveWeights": [2.5, 0.5, 1.0]},
       weight=[[[2.5]], [[0.5]], [[1.0]]])

os.makedirs("fixtures/autodiff", exist_ok=True)
with open("fixtures/autodiff/operators.json", "w") as file:
    lines = lambda cases: ",\n".join(json.dumps(case) for case in cases)
    file.write(f'{{"torch": "{torch.__version__}",\n"operators": [\n{lines(operators)}\n],\n"losses": [\n{lines(losses)}\n]}}\n')
