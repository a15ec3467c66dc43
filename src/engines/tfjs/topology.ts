import { ModelError } from '../../errors.js'

/** What a layer begins and is trained with, which is nothing to a network whose weights are given. */
const OF_TRAINING = /^(.*_)?(initializer|regularizer|constraint)$/
const INITIALIZER = /initializer$/

const ZEROS = { class_name: 'Zeros', config: {} }

/**
 * A network's topology without what only training needs: initializers (an orthogonal one takes seconds, and TensorFlow.js
 * warns of it), regularizers and constraints, which may be of classes that nobody has here.
 */
export function withoutTraining(topology: object): object {
  return plain(topology) as object
}

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => {
      if (entry === null || !OF_TRAINING.test(key)) return [key, plain(entry)]
      return [key, INITIALIZER.test(key) ? ZEROS : null]
    }),
  )
}

/** A layer in the topology of a model, whose parts are not trusted. */
interface Entry {
  readonly name: string
  readonly className: unknown
  /** For each call of the layer, what it is called with: [layer, call, output, ...]. */
  readonly calls: readonly (readonly unknown[])[]
}

/** Layers that have one output before they are called in the model. */
const BEGUN = new Set<unknown>(['InputLayer', 'Functional', 'Model', 'Sequential'])

/**
 * Refuses models whose layers wait for each other or for layers that are not there: TensorFlow.js would wait for ever.
 * @param path of the file, for messages
 * @throws ModelError
 */
export function checkWiring(topology: object, path: string): void {
  const stack: unknown[] = [topology]
  while (stack.length > 0) {
    const value = stack.pop()
    if (typeof value !== 'object' || value === null) continue
    const { layers } = value as { readonly layers?: unknown }
    if (Array.isArray(layers)) checkCalls(layers.flatMap(entryOf), path)
    for (const entry of Object.values(value) as unknown[]) stack.push(entry)
  }
}

function entryOf(value: unknown): Entry[] {
  if (typeof value !== 'object' || value === null) return []
  const { name, class_name, inbound_nodes } = value as Readonly<Record<string, unknown>>
  if (typeof name !== 'string' || !Array.isArray(inbound_nodes)) return []
  // what is no list, TensorFlow.js refuses itself
  return [
    {
      name,
      className: class_name,
      calls: (inbound_nodes as unknown[]).filter((call) => Array.isArray(call)),
    },
  ]
}

/** Makes the calls in the order of TensorFlow.js: whatever can be made, until a round makes none. */
function checkCalls(entries: readonly Entry[], path: string): void {
  const outputs = new Map(entries.map(({ name, className }) => [name, BEGUN.has(className) ? 1 : 0]))
  let waiting = entries.flatMap(({ name, calls }) => calls.map((call) => ({ name, call })))
  while (waiting.length > 0) {
    const left = waiting.filter(({ name, call }) => {
      if (!call.every((input) => isThere(input, outputs))) return true
      outputs.set(name, (outputs.get(name) ?? 0) + 1)
      return false
    })
    if (left.length === waiting.length) {
      const names = [...new Set(left.map(({ name }) => `'${name}'`))]
      throw new ModelError(
        `${path}: corrupt: layers wait for each other, or for layers that are not there: ${names.slice(0, 4).join(', ')}`,
      )
    }
    waiting = left
  }
}

function isThere(input: unknown, outputs: ReadonlyMap<string, number>): boolean {
  if (!Array.isArray(input)) return true
  const [layer, call] = input as readonly unknown[]
  return (outputs.get(String(layer)) ?? 0) > Number(call)
}
