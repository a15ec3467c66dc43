import { flax, flaxFolder } from './flax.js'
import { huggingFace } from './hugging-face.js'
import { lcaHdf5 } from './lca-hdf5.js'
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
  pytorch,
  lcaHdf5,
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
  tensorflowFolder,
  tfjsFolder,
  flaxFolder,
  npyFolder,
]

/** The formats as an error message lists them. */
export const FORMATS_READ =
  'safetensors (.safetensors), PyTorch (.pt, .pth, .ckpt), HDF5 of the LCA paper (all_weights), ' +
  'TensorFlow (ckpt-1.index), TensorFlow.js (model.json), Flax (checkpoint_10, .msgpack), ' +
  'NumPy (step_10.npz, or a folder of .npy for each step), ' +
  'folders of the Hugging Face Trainer (checkpoint-N/model.safetensors, or shards with their index)'
