import { BindingError } from '../errors.js'
import { listNames } from '../listing.js'
import { isFloat } from '../tensor.js'
import { describeMismatch } from './bind-report.js'
import type { Attempt } from './bind-names.js'
import { withReshape } from './layout.js'
import type { NameMap } from './map-file.js'
import { mismatchOf } from './mismatch.js'
import {
  floatTensors,
  type BoundCheckpoint,
  type BoundPair,
  type Evidence,
  type NetworkTensor,
} from './network.js'
import { submoduleOf } from './submodule.js'
import { tie, type Tie, type Ties } from './tie.js'
import { findTied, type TiedTensor } from './tied.js'
import { findUnmoved } from './unmoved.js'

export type { BoundPair, Evidence, NetworkTensor } from './network.js'

/** Which tensor of the checkpoints is which parameter of the network. */
export interface Binding {
  /** In the order of the network. */
  readonly pairs: readonly BoundPair[]
  /** How they were brought together: `by name`, or `8 by name, 2 by value from step 30, 2 transposed`. */
  readonly how: string
  /** Float initializers of the network that the checkpoints don't hold: they keep the values of the model file. */
  readonly constants: readonly string[]
  /** Integer and boolean tensors of the checkpoints without a place in the network, such as counters. */
  readonly ignored: readonly string[]
  /** Tensors that the checkpoints hold a second time, under another name: weights with two uses. */
  readonly tied: readonly TiedTensor[]
  /** Tensors without a place in the network that hold the same numbers throughout, such as class weights of the loss. */
  readonly unmoved: readonly string[]
  /** The submodule of the checkpoints that the network is, and how many tensors lie outside of it. */
  readonly submodule?: { readonly prefix: string; readonly outside: number }
  /** The checkpoint whose numbers the model file holds, where that had to be found. */
  readonly origin?: { readonly path: string; readonly step: number }
}

export interface BindOptions {
  /** The model's file, for messages. */
  readonly model: string
  /** What a user says of some names; the others are found as without it. */
  readonly map?: NameMap
  /** What the checkpoints' numbers count, for messages. */
  readonly stepUnit?: string
  /** Checkpoints of the run that are not replayed: the model may have been exported from one of them. */
  readonly others?: readonly BoundCheckpoint[]
  /** Names of the graph's values, which no renamed weight can have. */
  readonly taken?: ReadonlySet<string>
}

/**
 * Ties the checkpoints' float tensors to the network's float initializers. In this order: what a map says; equal names,
 * also without what all of one side share in front (`module.`, a scope), a wrapper's component, or `:0`; names in another
 * framework's words (`conv1/kernel` is `conv1.weight`), with the transposition that goes with them; equal numbers, where
 * the model was exported from one of the checkpoints; shapes, for matrices that an exporter transposed and renamed. Every
 * float tensor of the checkpoints must find its place, be another name of one that has, or never move; where the network
 * is a submodule of what was saved, that holds for the submodule's.
 *
 * @param recorded checkpoints of one run, all with the same tensors; values are read only where names don't do
 * @throws BindingError that lists what did not fit and the likely reason
 * @throws UsageError for an entry of the map that is wrong
 */
export async function bind(
  network: readonly NetworkTensor[],
  recorded: readonly BoundCheckpoint[],
  options: BindOptions,
): Promise<Binding> {
  const where = { model: options.model, checkpoint: recorded[0]!.path }
  const parameters = network.filter(({ dtype }) => isFloat(dtype))
  const { checkpoints, prefix, outside } = submoduleOf(parameters, recorded, options)
  const [first] = checkpoints
  const tensors = floatTensors(first!)
  if (tensors.length === 0)
    throw new BindingError(`${where.checkpoint}: holds no float tensors to bind to ${where.model}`)
  const ties = await tie(parameters, checkpoints, options)
  const [rival] = ties.rivals
  if (rival !== undefined) throw twoWays(ties.attempt, rival, where)
  if (ties.undecided.length > 0) throw eitherWay(ties.undecided, where)
  const bound = ties.ties.map(({ tensor }) => tensor)
  const tied = await findTied(ties.leftOver, bound, checkpoints)
  const untied = ties.leftOver.filter(({ name }) => !tied.some(({ tensor }) => tensor === name))
  const unmoved = await findUnmoved(untied, ties.missing, checkpoints)
  const leftOver = untied.filter(({ name }) => !unmoved.includes(name))
  if (leftOver.length > 0) {
    const mismatch = await mismatchOf({ ...ties, leftOver }, checkpoints, options)
    throw new BindingError(describeMismatch(mismatch, where))
  }
  const binding = bindingOf(ties, parameters, first!, options)
  return { ...binding, tied, unmoved, ...(prefix !== '' && { submodule: { prefix, outside } }) }
}

function bindingOf(
  ties: Ties,
  parameters: readonly NetworkTensor[],
  first: BoundCheckpoint,
  options: BindOptions,
): Omit<Binding, 'tied' | 'unmoved'> {
  const found = new Map(ties.ties.map((one) => [one.parameter.name, one]))
  const taken = new Set([...(options.taken ?? []), ...parameters.map(({ name }) => name)])
  const pairs = parameters.flatMap(({ name }) => {
    const one = found.get(name)
    return one === undefined ? [] : [pairOf(one, ties.attempt, taken)]
  })
  const { origin } = ties
  return {
    pairs,
    how: wording(ties, pairs, options.stepUnit ?? 'step'),
    constants: parameters.map(({ name }) => name).filter((name) => !found.has(name)),
    ignored: [...first.tensors.values()].filter(({ dtype }) => !isFloat(dtype)).map(({ name }) => name),
    ...(origin && { origin: { path: origin.path, step: origin.step } }),
  }
}

function pairOf(
  { parameter, tensor, layout, by }: Tie,
  attempt: Attempt,
  taken: ReadonlySet<string>,
): BoundPair {
  return {
    parameter: parameter.name,
    tensor: tensor.name,
    name: tableName(parameter.name, tensor.name, by, attempt, taken),
    shape: tensor.shape,
    ...withReshape(layout, tensor, parameter),
    by,
  }
}

/** The network's name, where it is the checkpoint's but for what tools add; else the checkpoint's, where it is free. */
function tableName(
  parameter: string,
  tensor: string,
  by: Evidence,
  attempt: Attempt,
  taken: ReadonlySet<string>,
): string {
  if (by === 'name') return parameter
  const name = attempt.rename(tensor)
  return taken.has(name) ? parameter : name
}

/** The kinds of evidence in the order in which a report counts them. */
const ORDER: readonly Evidence[] = ['map', 'name', 'translated name', 'value', 'shape']

function wording({ attempt, origin }: Ties, pairs: readonly BoundPair[], unit: string): string {
  const after = attempt.stripped === '' ? '' : `, after stripping ${attempt.stripped}`
  const words: Readonly<Record<Evidence, string>> = {
    map: 'by --map',
    name: `by name${after}`,
    'translated name': `by translated name${after}`,
    value: `by value${origin === undefined ? '' : ` from ${unit} ${origin.step}`}`,
    shape: 'by shape',
  }
  const kinds = ORDER.map((by) => ({ by, count: pairs.filter((pair) => pair.by === by).length }))
  const present = kinds.filter(({ count }) => count > 0)
  const transposed = pairs.filter(({ permutation }) => permutation !== undefined).length
  const [only] = present
  if (present.length === 1 && transposed === 0) return words[only!.by]
  return [
    ...present.map(({ by, count }) => `${count} ${words[by]}`),
    ...(transposed > 0 ? [`${transposed} transposed`] : []),
  ].join(', ')
}

function twoWays(best: Attempt, other: Attempt, where: { model: string; checkpoint: string }): BindingError {
  const say = ({ stripped }: Attempt): string =>
    stripped === '' ? 'by name' : `by name, after stripping ${stripped}`
  return new BindingError(
    `${where.checkpoint} fits ${where.model} in more than one way: ${say(best)}; or ${say(other)}; ` +
      'export the model with the names of the checkpoint, or name the tensors in a file for --map',
  )
}

function eitherWay(undecided: Ties['undecided'], where: { model: string; checkpoint: string }): BindingError {
  const names = undecided.map(({ parameter, tensor }) => `${tensor.name} as ${parameter.name}`)
  return new BindingError(
    `${where.checkpoint}: ${listNames(names)} may lie either way in ${where.model}, being square: other kernels of these ` +
      'checkpoints lie otherwise than their names say; export the model from one of the checkpoints, so that numbers tell, ' +
      'or write "transpose" in a file for --map',
  )
}
