/**
 * How a framework lays kernels out, as the last part of a tensor's name tells: `weight` (PyTorch) has output channels
 * first; `kernel` (Keras, Flax) has windows first, then input channels, then output channels.
 */
export type Convention = 'outputs first' | 'outputs last'

/** What frameworks call a layer's arrays (Keras, Flax, TensorFlow), and PyTorch's word for it. */
const WORDS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  kernel: [['weight']],
  depthwise_kernel: [['weight'], ['depthwise', 'weight']],
  pointwise_kernel: [['pointwise', 'weight']],
  gamma: [['weight']],
  scale: [['weight']],
  embeddings: [['weight']],
  embedding: [['weight']],
  alpha: [['weight']],
  beta: [['bias']],
  moving_mean: [['running_mean']],
  mean: [['running_mean']],
  moving_variance: [['running_var']],
  var: [['running_var']],
}

const OUTPUTS_LAST = /^(?:kernel|depthwise_kernel|pointwise_kernel)$/

/** Where Keras 3 keeps a layer's arrays by number. */
const NUMBERED = /(?:^|\/)vars\/\d+$/

/** Flax's collections, which stand before every name. */
const COLLECTIONS = new Set(['params', 'batch_stats'])

/** What TensorFlow's object-based checkpoints put behind every name. */
const VARIABLE_VALUE = /\/\.ATTRIBUTES\/VARIABLE_VALUE$/

/** The name of a tensor's place within its layer: `kernel` of `conv1/kernel:0`. */
export function leafOf(name: string): string {
  return plainName(name).split(/[./]/).at(-1)!
}

/** The layout that a tensor's name stands for; undefined where the name says nothing. */
export function conventionOf(name: string): Convention | undefined {
  const leaf = leafOf(name)
  if (OUTPUTS_LAST.test(leaf) || NUMBERED.test(plainName(name))) return 'outputs last'
  return leaf === 'weight' ? 'outputs first' : undefined
}

/** Whether a name says that the tensor is a lookup table, whose layout all frameworks share: one row each. */
export function isTable(name: string): boolean {
  return /^embeddings?$/.test(leafOf(name))
}

/** Whether a name is one of Flax's, whose transposed convolutions mirror the kernel of everyone else's. */
export function isFlax(name: string): boolean {
  return COLLECTIONS.has(name.split('/')[0]!)
}

/**
 * The name in PyTorch's words, parts joined by '.', the likeliest first: `conv1.weight` for `params/conv1/kernel`,
 * `conv1/kernel:0` or `conv1.weight`. With `repeats` a layer's name that Keras repeats counts once:
 * `conv1/network/conv1/kernel` too.
 */
export function translations(name: string, { repeats }: { readonly repeats: boolean }): string[] {
  const parts = plainName(name).split(/[./]/)
  const inside = COLLECTIONS.has(parts[0]!) && parts.length > 1 ? parts.slice(1) : parts
  const layer = inside.slice(0, -1)
  const leaf = inside.at(-1)!
  const owner = repeats ? withoutRepeats(layer) : layer
  const words = Object.hasOwn(WORDS, leaf) ? WORDS[leaf]! : [[leaf]]
  return words.map((word) => [...owner, ...word].join('.'))
}

/** Without what lies between the two places at which a part stands, and without the first of them. */
function withoutRepeats(parts: readonly string[]): readonly string[] {
  const first = parts.findIndex((part, i) => parts.lastIndexOf(part) > i)
  return first < 0 ? parts : [...parts.slice(0, first), ...parts.slice(parts.lastIndexOf(parts[first]!))]
}

/** A name without TensorFlow's `:0` and what its object-based checkpoints put behind names. */
export function plainName(name: string): string {
  return name.replace(/:\d+$/, '').replace(VARIABLE_VALUE, '')
}

/** The layer that a tensor belongs to: its name without the last part. */
export function ownerOf(name: string): string {
  const whole = plainName(name)
  return whole.slice(0, Math.max(0, whole.length - leafOf(name).length - 1))
}
