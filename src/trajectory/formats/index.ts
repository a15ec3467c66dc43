import { huggingFace } from './hugging-face.js'
import { hdf5 } from './hdf5.js'
import { keras, kerasFolder } from './keras.js'
import { pytorch } from './pytorch.js'
import { safetensors } from './safetensors.js'
import type { CheckpointFormat, FolderFormat } from './format.js'

/** Every format that is read, in the order in which a file is tried. */
export const FORMATS: readonly CheckpointFormat[] = [keras, pytorch, hdf5, safetensors]

/** Every layout that is read of a folder for each checkpoint. */
export const FOLDER_FORMATS: readonly FolderFormat[] = [huggingFace, kerasFolder]

/** The formats as an error message lists them. */
export const FORMATS_READ =
  'safetensors (.safetensors), PyTorch (.pt, .pth, .ckpt), ' +
  'Keras (.keras, .weights.h5, .h5, shards with .weights.json), HDF5 of the LCA paper (all_weights), ' +
  'folders of the Hugging Face Trainer (checkpoint-N/model.safetensors, or shards with their index)'
