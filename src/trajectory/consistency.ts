import { formatShape } from '../tensor.js'
import type { Checkpoint, StepUnit } from './checkpoint.js'

/**
 * In what the tensors of a checkpoint differ from those of the first one, or undefined where they are the same in the
 * same shapes: all checkpoints of a run record one network.
 */
export function differenceBetween(first: Checkpoint, other: Checkpoint, unit: StepUnit): string | undefined {
  const here = `${unit} ${other.step} (${other.path})`
  const there = `${unit} ${first.step} (${first.path})`
  for (const [name, { shape }] of first.tensors) {
    const tensor = other.tensors.get(name)
    if (tensor === undefined) return `${here}: tensor ${name} is missing, which ${there} holds; ${REMEDY}`
    if (formatShape(shape) !== formatShape(tensor.shape))
      return `${here}: tensor ${name} is ${formatShape(tensor.shape)}, but ${formatShape(shape)} in ${there}; ${REMEDY}`
  }
  const extra = [...other.tensors.keys()].find((name) => !first.tensors.has(name))
  return extra === undefined
    ? undefined
    : `${here}: holds tensor ${extra}, which ${there} does not; ${REMEDY}`
}

const REMEDY = 'keep the checkpoints of one run, of one network, in the folder'
