import { BindingError } from '../errors.js'
import { isInvented } from './invented.js'
import type { UsedShape } from './layout.js'
import type { NameMap } from './map-file.js'
import { isAverage } from './names.js'
import type { BoundCheckpoint, NetworkTensor } from './network.js'
import { pairLayout } from './pair-layout.js'

/** The part of the checkpoints that a network was exported from. */
export interface Submodule {
  /** The checkpoints with its tensors only, and those that a map names. */
  readonly checkpoints: readonly BoundCheckpoint[]
  /** What stands before its tensors' names: `generator.`; empty where the network is the whole. */
  readonly prefix: string
  /** How many tensors are outside of it. */
  readonly outside: number
}

interface Options {
  readonly model: string
  readonly map?: NameMap
}

/**
 * The submodule of the checkpoints that a network is: the generator of a GAN, a policy beside its critic, the network
 * inside a training module that holds more. It is one where every weight of the network has its place under one prefix,
 * with the prefix taken off: whoever exported it exported that module by itself, so that what lies outside is no part of
 * it. Names without a prefix come first: then nothing is set aside.
 *
 * @throws BindingError where two submodules are the network equally well
 */
export function submoduleOf(
  parameters: readonly NetworkTensor[],
  checkpoints: readonly BoundCheckpoint[],
  { model, map }: Options,
): Submodule {
  const first = checkpoints[0]!
  const mapped = tensorsIn(map ?? {})
  const all = prefixesOf(parameters, first)
  const chosen = all.filter((prefix) => mapped.some((name) => name.startsWith(prefix)))
  const [prefix, rival] = chosen.length > 0 ? chosen : all
  if (prefix === undefined || prefix === '') return { checkpoints, prefix: '', outside: 0 }
  if (rival !== undefined)
    throw new BindingError(
      `${first.path} fits ${model} in more than one way: with its tensors under '${prefix}' or under '${rival}'; ` +
        `name one of those that are meant in a file for --map: {"NAME": "${prefix}NAME"}`,
    )
  const belongs = (name: string): boolean => name.startsWith(prefix) || mapped.includes(name)
  const inside = checkpoints.map((one) => only(one, belongs))
  const outside = first.tensors.size - inside[0]!.tensors.size
  return outside === 0 ? { checkpoints, prefix: '', outside } : { checkpoints: inside, prefix, outside }
}

function tensorsIn(map: NameMap): string[] {
  return Object.values(map).flatMap((entry) => {
    if (entry === null) return []
    return [typeof entry === 'string' ? entry : entry.tensor]
  })
}

/**
 * The prefixes under which all named weights of the network are found, averages only where there is nothing else; the
 * empty one alone where that does.
 */
function prefixesOf(parameters: readonly NetworkTensor[], { tensors }: BoundCheckpoint): string[] {
  const named = new Map<string, UsedShape>(
    parameters.filter((one) => one.literal !== true && !isInvented(one.name)).map((one) => [one.name, one]),
  )
  if (named.size === 0) return []
  const counts = new Map<string, number>()
  for (const { name, shape } of tensors.values())
    for (const start of startsOf(name)) {
      const parameter = named.get(name.slice(start))
      if (parameter === undefined || pairLayout(parameter, { name, shape }) === undefined) continue
      const prefix = name.slice(0, start)
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1)
    }
  const complete = [...counts].filter(([, count]) => count === named.size).map(([prefix]) => prefix)
  if (complete.includes('')) return ['']
  const raw = complete.filter((prefix) => !isAverage(prefix))
  return raw.length > 0 ? raw : complete
}

/** Where a name, and every part of it, begins. */
function startsOf(name: string): number[] {
  return [0, ...[...name.matchAll(/[./]/g)].map(({ index }) => index + 1)]
}

function only(checkpoint: BoundCheckpoint, belongs: (name: string) => boolean): BoundCheckpoint {
  const { path, step, tensors } = checkpoint
  return {
    path,
    step,
    tensors: new Map([...tensors].filter(([name]) => belongs(name))),
    read: (name) => checkpoint.read(name),
  }
}
