import { CheckpointError } from '../errors.js'
import { formatShape } from '../tensor.js'
import type { Checkpoint, StepUnit } from './checkpoint.js'

/**
 * Checks that all checkpoints hold the same tensors in the same shapes: they record one network.
 * @throws CheckpointError that names the step, the file, the tensor and both shapes
 */
export function checkSameTensors(checkpoints: readonly Checkpoint[], unit: StepUnit): void {
  const [first, ...others] = checkpoints
  for (const other of others) compareTensors(first!, other, unit)
}

function compareTensors(first: Checkpoint, other: Checkpoint, unit: StepUnit): void {
  const here = `${unit} ${other.step} (${other.path})`
  const there = `${unit} ${first.step} (${first.path})`
  for (const [name, { shape }] of first.tensors) {
    const tensor = other.tensors.get(name)
    if (tensor === undefined) {
      throw new CheckpointError(`${here}: tensor ${name} is missing, which ${there} holds; ${REMEDY}`)
    }
    if (formatShape(shape) !== formatShape(tensor.shape)) {
      throw new CheckpointError(
        `${here}: tensor ${name} is ${formatShape(tensor.shape)}, but ${formatShape(shape)} in ${there}; ${REMEDY}`,
      )
    }
  }
  for (const name of other.tensors.keys()) {
    if (!first.tensors.has(name)) {
      throw new CheckpointError(`${here}: holds tensor ${name}, which ${there} does not; ${REMEDY}`)
    }
  }
}

const REMEDY = 'keep the checkpoints of one run, of one network, in the folder'
