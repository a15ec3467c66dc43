import { BindingError } from '../errors.js'
import { formatShape, isFloat, type DType } from '../tensor.js'
import { describeMismatch, type Mismatch } from './bind-report.js'
import type { TensorInfo } from './checkpoint.js'
import { keepsMeaning, renamings, type Renaming } from './rename.js'

/** An initializer of the network. */
export interface NetworkTensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: DType
}

/** Which tensor of the checkpoints is which parameter of the network. */
export interface Binding {
  /** The network's name and the checkpoint's name of each tensor, in the order of the network. */
  readonly pairs: readonly { readonly parameter: string; readonly tensor: string }[]
  /** How the names were brought together: `by name`, or what was stripped from them. */
  readonly how: string
  /** Float initializers of the network that the checkpoints don't hold: they keep the values of the model file. */
  readonly constants: readonly string[]
  /** Integer and boolean tensors of the checkpoints without a place in the network, such as counters. */
  readonly ignored: readonly string[]
}

/** A try: where each float tensor of the checkpoint goes under a pair of renamings. */
interface Attempt {
  readonly how: string
  /** Checkpoint's name by network's name. */
  readonly places: ReadonlyMap<string, string>
  readonly leftOver: readonly string[]
}

/**
 * Ties the checkpoint's float tensors to the network's float initializers by name: equal names, else the names
 * without what all of one side share in front (`module.`, `model.`, a scope), a wrapper's component, or `:0`. Every
 * float tensor of the checkpoint must find its place, in its shape.
 * @param where the two files, for messages
 * @throws BindingError that lists what did not fit and the likely reason
 */
export function bind(
  network: readonly NetworkTensor[],
  checkpoint: ReadonlyMap<string, TensorInfo>,
  where: { readonly model: string; readonly checkpoint: string },
): Binding {
  const parameters = network.filter(({ dtype }) => isFloat(dtype))
  const tensors = [...checkpoint.values()].filter(({ dtype }) => isFloat(dtype))
  if (tensors.length === 0)
    throw new BindingError(`${where.checkpoint}: holds no float tensors to bind to ${where.model}`)
  const attempts = allAttempts(parameters, tensors)
  const complete = attempts.filter((attempt) => isComplete(attempt, parameters, checkpoint))
  const [best] = complete
  if (best === undefined) {
    throw new BindingError(describeMismatch(mismatchOf(closest(attempts), parameters, checkpoint), where))
  }
  rejectAmbiguity(complete, best, where)
  return {
    pairs: parameters.flatMap(({ name }) => {
      const tensor = best.places.get(name)
      return tensor === undefined ? [] : [{ parameter: name, tensor }]
    }),
    how: best.how,
    constants: parameters.map(({ name }) => name).filter((name) => !best.places.has(name)),
    ignored: [...checkpoint.values()].filter(({ dtype }) => !isFloat(dtype)).map(({ name }) => name),
  }
}

/** Tries in the order in which they change the fewest names: the checkpoint's side first, then a prefix of the network's. */
function allAttempts(parameters: readonly NetworkTensor[], tensors: readonly TensorInfo[]): Attempt[] {
  const names = tensors.map(({ name }) => name)
  const present = new Set(parameters.map(({ name }) => name))
  return renamings(names).flatMap((renaming) =>
    networkPrefixes(renaming, names[0]!, present).map((prefix) => attempt(names, present, renaming, prefix)),
  )
}

/**
 * What stands before a tensor's name in the network's names: nothing, or whole leading components (a wrapper module).
 * A name that someone chose is not exchanged for another: `encoder.` of one side does not become `decoder.`.
 */
function networkPrefixes(renaming: Renaming, tensor: string, present: ReadonlySet<string>): string[] {
  if (!keepsMeaning(renaming)) return ['']
  const name = renaming.rename(tensor)
  const wrapped = [...present].filter((place) => place.endsWith(`.${name}`) || place.endsWith(`/${name}`))
  return ['', ...wrapped.map((place) => place.slice(0, -name.length))]
}

function attempt(
  names: readonly string[],
  present: ReadonlySet<string>,
  renaming: Renaming,
  prefix: string,
): Attempt {
  const places = new Map<string, string>()
  const leftOver: string[] = []
  for (const name of names) {
    const place = prefix + renaming.rename(name)
    if (present.has(place) && !places.has(place)) places.set(place, name)
    else leftOver.push(name)
  }
  return { how: wording(renaming, prefix), places, leftOver }
}

function wording({ removed }: Renaming, prefix: string): string {
  const quote = (parts: readonly string[]): string => parts.map((part) => `'${part}'`).join(' and ')
  const stripped = [
    ...(removed.length === 0 ? [] : [`${quote(removed)} from the checkpoint's names`]),
    ...(prefix === '' ? [] : [`${quote([prefix])} from the network's names`]),
  ]
  return stripped.length === 0 ? 'by name' : `by name, after stripping ${stripped.join(' and ')}`
}

function isComplete(
  attempt: Attempt,
  parameters: readonly NetworkTensor[],
  checkpoint: ReadonlyMap<string, TensorInfo>,
): boolean {
  return attempt.leftOver.length === 0 && mismatchOf(attempt, parameters, checkpoint).shapes.length === 0
}

function mismatchOf(
  { places, leftOver }: Attempt,
  parameters: readonly NetworkTensor[],
  checkpoint: ReadonlyMap<string, TensorInfo>,
): Mismatch {
  const shapes = parameters.flatMap((parameter) => {
    const tensor = checkpoint.get(places.get(parameter.name) ?? '')
    if (tensor === undefined || formatShape(tensor.shape) === formatShape(parameter.shape)) return []
    return [{ parameter, tensor }]
  })
  return {
    shapes,
    missing: parameters.filter(({ name }) => !places.has(name)),
    leftOver: leftOver.map((name) => checkpoint.get(name)!),
  }
}

function closest(attempts: readonly Attempt[]): Attempt {
  return attempts.reduce((best, next) => (next.places.size > best.places.size ? next : best))
}

/** Two ways that place the same tensor differently are a guess, unless nothing at all had to be stripped. */
function rejectAmbiguity(
  complete: readonly Attempt[],
  best: Attempt,
  where: { readonly model: string; readonly checkpoint: string },
): void {
  if (best.how === 'by name') return
  const other = complete.find(({ places }) =>
    [...places].some(([name, tensor]) => best.places.get(name) !== tensor),
  )
  if (other === undefined) return
  throw new BindingError(
    `${where.checkpoint} fits ${where.model} in more than one way: ${best.how}; or ${other.how}; ` +
      'export the model with the names of the checkpoint',
  )
}
