import { leafOf } from './translate.js'

/** A part of both names, and one that differs in the number that tools put behind a name (`conv2d_1`). */
const SAME_PART = 2
const SAME_STEM = 1
/** Both names say bias, or both say weight. */
const SAME_KIND = 0.5

/** Words that say what an array is rather than which layer's. */
const KINDS: Readonly<Record<string, 'weight' | 'bias'>> = {
  weight: 'weight',
  kernel: 'weight',
  matmul: 'weight',
  convolution: 'weight',
  conv2d: 'weight',
  embedding: 'weight',
  embeddings: 'weight',
  gamma: 'weight',
  scale: 'weight',
  bias: 'bias',
  biasadd: 'bias',
  beta: 'bias',
}

const SAYS_NOTHING = /^(?:\d+|readvariableop|cast|onnx|val_\d+|vars|layers|params|model|module|squeeze|)$/

/** How much two names have in common: 0 for nothing. Compares only scores of one network and one checkpoint. */
export function affinity(a: string, b: string): number {
  const [own, other] = [partsOf(a), new Set(partsOf(b))]
  const stems = new Set([...other].map(stemOf))
  const shared = own.reduce(
    (sum, part) => sum + (other.has(part) ? SAME_PART : stems.has(stemOf(part)) ? SAME_STEM : 0),
    0,
  )
  const [kind, otherKind] = [kindOf(a), kindOf(b)]
  return shared + (kind !== undefined && kind === otherKind ? SAME_KIND : 0)
}

/**
 * As `affinity`, for a network whose exporter put a number behind every name (Keras 3: `dense_1` for the layer `dense`):
 * only parts that are equal without it count.
 */
export function affinityOfStems(parameter: string, tensor: string): number {
  const other = new Set(partsOf(tensor))
  return partsOf(parameter).reduce((sum, part) => sum + (other.has(stemOf(part)) ? SAME_PART : 0), 0)
}

function partsOf(name: string): string[] {
  const parts = name.toLowerCase().split(/[./:]+/)
  return [...new Set(parts)].filter((part) => !SAYS_NOTHING.test(part) && !Object.hasOwn(KINDS, part))
}

function stemOf(part: string): string {
  return part.replace(/_\d+$/, '')
}

function kindOf(name: string): 'weight' | 'bias' | undefined {
  const leaf = leafOf(name).toLowerCase()
  if (Object.hasOwn(KINDS, leaf)) return KINDS[leaf]
  const word = name
    .toLowerCase()
    .split(/[./:_]+/)
    .findLast((part) => Object.hasOwn(KINDS, part))
  return word === undefined ? undefined : KINDS[word]
}
