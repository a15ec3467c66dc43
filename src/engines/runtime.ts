/**
 * ONNX Runtime, silenced: from 1.29 on its Linux builds report every session, the network's name and a hash of its
 * weights among the rest, to their maker unless this variable is set, which it reads when the first session is made.
 * Nothing that retrograd is given leaves the machine; all of it imports ONNX Runtime from here.
 */
process.env.ORT_DISABLE_TELEMETRY ??= '1'

export { env, InferenceSession, listSupportedBackends, Tensor } from 'onnxruntime-node'
