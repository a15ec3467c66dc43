import { onnxCode } from '../../src/onnx/dtypes.js'
import { constantOf } from '../../src/onnx/from-proto.js'
import type { Graph, Initializer, Node } from '../../src/onnx/graph.js'
import { plainNode } from '../../src/onnx/plain-node.js'

const PARTS = ['query', 'key', 'value'] as const

/** How large a network is; its parameters are some `12 layers width² + vocabulary width`. */
export interface GptSize {
  readonly vocabulary: number
  readonly width: number
  readonly layers: number
  readonly heads: number
  /** Tokens of a sequence. */
  readonly context: number
}

/** The parameters of a network by name, in its order, with their shapes (PyTorch: linear weights [out, in]). */
export function gptParameters({ vocabulary, width, layers, context }: GptSize): Map<string, number[]> {
  const norm = (name: string): [string, number[]][] => [
    [`${name}.weight`, [width]],
    [`${name}.bias`, [width]],
  ]
  const linear = (name: string, to: number, from: number): [string, number[]][] => [
    [`${name}.weight`, [to, from]],
    [`${name}.bias`, [to]],
  ]
  const block = (layer: number): [string, number[]][] => [
    ...norm(`h.${layer}.ln_1`),
    ...linear(`h.${layer}.qkv`, 3 * width, width),
    ...linear(`h.${layer}.proj`, width, width),
    ...norm(`h.${layer}.ln_2`),
    ...linear(`h.${layer}.up`, 4 * width, width),
    ...linear(`h.${layer}.down`, width, 4 * width),
  ]
  return new Map([
    ['wte.weight', [vocabulary, width]],
    ['wpe.weight', [context, width]],
    ...Array.from({ length: layers }, (_, layer) => block(layer)).flat(),
    ...norm('ln_f'),
  ])
}

/**
 * A GPT as PyTorch's exporter writes one in opset 18: embeddings, pre-norm blocks with causal attention and an MLP of exact
 * GELU, a head that is tied to the embedding. Input `tokens` int64 [batch, context], output `logits` [batch, context,
 * vocabulary].
 */
export function gptGraph(size: GptSize, weights: ReadonlyMap<string, Initializer>): Graph {
  const { vocabulary, layers, context } = size
  return {
    name: 'gpt',
    irVersion: 8,
    opsets: new Map([['', 18]]),
    inputs: [{ name: 'tokens', dtype: 'int64', shape: ['batch', context] }],
    outputs: [{ name: 'logits', dtype: 'float32', shape: ['batch', context, vocabulary] }],
    initializers: new Map([...weights, ['mask', causalMask(context)]]),
    nodes: [
      ...embedding(size),
      ...constants(size),
      ...Array.from({ length: layers }, (_, layer) => block(layer)).flat(),
      layerNorm('ln_f', `x.${layers}`, 'normed'),
      plainNode('Transpose', ['wte.weight'], 'head.weight', { perm: [1, 0] }),
      plainNode('MatMul', ['normed', 'head.weight'], 'logits'),
    ],
    functions: [],
  }
}

function embedding({ context }: GptSize): Node[] {
  return [
    plainNode('Constant', [], 'positions', { value_ints: Array.from({ length: context }, (_, i) => i) }),
    plainNode('Gather', ['wte.weight', 'tokens'], 'embedded', { axis: 0 }),
    plainNode('Gather', ['wpe.weight', 'positions'], 'placed', { axis: 0 }),
    plainNode('Add', ['embedded', 'placed'], 'x.0'),
  ]
}

function constants({ context, width, heads }: GptSize): Node[] {
  return [
    plainNode('Constant', [], 'one', { value_float: { float: 1 } }),
    plainNode('Constant', [], 'half', { value_float: { float: 0.5 } }),
    plainNode('Constant', [], 'root_of_two', { value_float: { float: Math.SQRT2 } }),
    plainNode('Constant', [], 'scale', { value_float: { float: Math.sqrt(heads / width) } }),
    plainNode('Constant', [], 'thirds', { value_ints: [width, width, width] }),
    plainNode('Constant', [], 'apart', { value_ints: [0, context, heads, width / heads] }),
    plainNode('Constant', [], 'together', { value_ints: [0, context, width] }),
  ]
}

/** 0 where a token may look, minus infinity where it may not: [context, context], folded to a constant by the exporter. */
function causalMask(context: number): Initializer {
  const values = Float32Array.from({ length: context * context }, (_, i) =>
    i % context > Math.floor(i / context) ? -Infinity : 0,
  )
  return constantOf([context, context], onnxCode('float32'), new Uint8Array(values.buffer))
}

function block(layer: number): Node[] {
  const at = `h.${layer}`
  return [
    layerNorm(`${at}.ln_1`, `x.${layer}`, `${at}/normed`),
    ...linear(`${at}.qkv`, `${at}/normed`, `${at}/qkv`),
    ...attention(at),
    ...linear(`${at}.proj`, `${at}/attended`, `${at}/projected`),
    plainNode('Add', [`x.${layer}`, `${at}/projected`], `${at}/middle`),
    layerNorm(`${at}.ln_2`, `${at}/middle`, `${at}/normed_2`),
    ...linear(`${at}.up`, `${at}/normed_2`, `${at}/up`),
    ...gelu(`${at}/up`, `${at}/active`),
    ...linear(`${at}.down`, `${at}/active`, `${at}/down`),
    plainNode('Add', [`${at}/middle`, `${at}/down`], `x.${layer + 1}`),
  ]
}

function layerNorm(name: string, from: string, to: string): Node {
  const inputs = [from, `${name}.weight`, `${name}.bias`]
  return plainNode('LayerNormalization', inputs, to, { axis: -1, epsilon: { float: 1e-5 } })
}

function linear(name: string, from: string, to: string): Node[] {
  return [
    plainNode('Transpose', [`${name}.weight`], `${name}/turned`, { perm: [1, 0] }),
    plainNode('MatMul', [from, `${name}/turned`], `${name}/product`),
    plainNode('Add', [`${name}/product`, `${name}.bias`], to),
  ]
}

function attention(at: string): Node[] {
  return [
    {
      ...plainNode('Split', [`${at}/qkv`, 'thirds'], '', { axis: -1 }),
      outputs: PARTS.map((part) => `${at}/${part}`),
    },
    ...PARTS.map((part) => plainNode('Reshape', [`${at}/${part}`, 'apart'], `${at}/${part}/split`)),
    plainNode('Transpose', [`${at}/query/split`], `${at}/queries`, { perm: [0, 2, 1, 3] }),
    plainNode('Transpose', [`${at}/key/split`], `${at}/keys`, { perm: [0, 2, 3, 1] }),
    plainNode('Transpose', [`${at}/value/split`], `${at}/values`, { perm: [0, 2, 1, 3] }),
    plainNode('MatMul', [`${at}/queries`, `${at}/keys`], `${at}/products`),
    plainNode('Mul', [`${at}/products`, 'scale'], `${at}/scaled`),
    plainNode('Add', [`${at}/scaled`, 'mask'], `${at}/masked`),
    plainNode('Softmax', [`${at}/masked`], `${at}/attention`, { axis: -1 }),
    plainNode('MatMul', [`${at}/attention`, `${at}/values`], `${at}/heads`),
    plainNode('Transpose', [`${at}/heads`], `${at}/turned`, { perm: [0, 2, 1, 3] }),
    plainNode('Reshape', [`${at}/turned`, 'together'], `${at}/attended`),
  ]
}

/** x (1 + erf(x / sqrt 2)) / 2 */
function gelu(from: string, to: string): Node[] {
  return [
    plainNode('Div', [from, 'root_of_two'], `${to}/divided`),
    plainNode('Erf', [`${to}/divided`], `${to}/erf`),
    plainNode('Add', [`${to}/erf`, 'one'], `${to}/shifted`),
    plainNode('Mul', [from, `${to}/shifted`], `${to}/product`),
    plainNode('Mul', [`${to}/product`, 'half'], to),
  ]
}
