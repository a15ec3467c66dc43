import { flax, flaxFolder } from './flax.js'
import { hdf5 } from './hdf5.js'
import { huggingFace, huggingFaceBin } from './hugging-face.js'
import { keras, kerasFolder } from './keras.js'
import { npyFolder } from './npy-folder.js'
import { npz } from './npz.js'
import { onnx } from './onnx.js'
import { pytorch } from './pytorch.js'
import { safetensors } from './safetensors.js'
import { tensorflow, tensorflowFolder } from './tensorflow.js'
import { tfjs, tfjsFolder } from './tfjs.js'
import type { CheckpointFormat, FolderFormat } from './format.js'

/** Every format that is read, in the order in which a file is tried. */
export const FORMATS: readonly CheckpointFormat[] = [
  keras,
  pytorch,
  hdf5,
  onnx,
  safetensors,
  npz,
  tensorflow,
  tfjs,
  flax,
]

/** Every layout that is read of a folder for each checkpoint. */
export const FOLDER_FORMATS: readonly FolderFormat[] = [
  huggingFace,
  huggingFaceBin,
  tensorflowFolder,
  tfjsFolder,
  flaxFolder,
  kerasFolder,
  npyFolder,
]

/** The formats as an error message lists them. */
export const FORMATS_READ =
  'safetensors, PyTorch (.pt, .pth, .ckpt, .bin), Keras (.keras, .weights.h5, .h5), TensorFlow (ckpt-1.index), ' +
  'TensorFlow.js (model.json), Flax (.msgpack), ONNX, NumPy (.npz, folders of .npy), HDF5 of the LCA paper, ' +
  'each as files or with a folder for each checkpoint (docs/checkpoints.md has them all)'
