"""The peer of `npm run bench -- gradient`: loss and gradient of a reference network on one batch, in eager PyTorch.

python pytorch-gradient.py NET FOLDER BATCH THREADS [DEVICE]
Answers lines on standard input, one line of JSON each: `norms` with the norm of every parameter's gradient,
a number n with the milliseconds of n evaluations in a row.
"""
import json, os, sys, time

net, folder, batch, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
device = sys.argv[5] if len(sys.argv) > 5 else 'cpu'
os.environ['OMP_NUM_THREADS'] = str(threads)
import numpy as np, onnx, torch, torch.nn.functional as F

sys.path.insert(0, os.path.join(folder, '..'))
import make_reference

torch.set_num_threads(threads)
data = np.load(os.path.join(folder, 'train.npz'))
rows = np.arange(batch) % len(data['y'])
x, y = torch.from_numpy(data['x'][rows]).to(device), torch.from_numpy(data['y'][rows]).to(device)
# as retrograd computes
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
model = getattr(make_reference, net)().eval().to(device)
weights = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(os.path.join(folder, 'model.onnx')).graph.initializer}
names = dict(model.named_parameters())
with torch.no_grad():
    for name, parameter in names.items():
        parameter.copy_(torch.from_numpy(weights[name].copy()))


def gradient():
    logits = model(x)
    loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))
    return torch.autograd.grad(loss, list(names.values()))


def milliseconds():
    start = time.perf_counter()
    gradient()
    if device != 'cpu':
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1e3


for line in sys.stdin:
    if line.strip() == 'norms':
        answer = {name: float(g.norm()) for name, g in zip(names, gradient())}
    else:
        answer = [milliseconds() for _ in range(int(line))]
    print(json.dumps(answer), flush=True)
