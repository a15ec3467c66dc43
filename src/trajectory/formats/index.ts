import { hdf5 } from './hdf5.js'
import { huggingFace, huggingFaceBin } from './hugging-face.js'
import { keras, kerasFolder } from './keras.js'
import { onnx } from './onnx.js'
import { pytorch } from './pytorch.js'
import { safetensors } from './safetensors.js'
import type { CheckpointFormat, FolderFormat } from './format.js'

/** Every format that is read, in the order in which a file is tried. */
export const FORMATS: readonly CheckpointFormat[] = [keras, pytorch, hdf5, onnx, safetensors]

/** Every layout that is read of a folder for each checkpoint. */
export const FOLDER_FORMATS: readonly FolderFormat[] = [huggingFace, huggingFaceBin, kerasFolder]

/** The formats as an error message lists them. */
export const FORMATS_READ =
  'safetensors (.safetensors), PyTorch (.pt, .pth, .ckpt, .bin), ONNX (.onnx), ' +
  'Keras (.keras, .weights.h5, .h5, shards with .weights.json), HDF5 of the LCA paper (all_weights), ' +
  'folders for each checkpoint (checkpoint-N/model.safetensors, pytorch_model.bin, shards with their index, or one such file)'
