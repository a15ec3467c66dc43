import { expect } from 'chai'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import { intsAttribute } from '../../src/onnx/attributes.js'
import type { Node } from '../../src/onnx/graph.js'
import { elementCount } from '../../src/tensor.js'
import { checkGradient } from '../support/check-gradient.js'
import type { GradientCheck } from '../support/check-gradient.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import type { Feeds } from '../support/ort.js'
import { Random } from '../support/random.js'

interface Network {
  readonly title: string
  readonly input: readonly number[]
  readonly parameters: Readonly<Record<string, readonly number[]>>
  readonly constants?: Readonly<Record<string, readonly number[]>>
  /** From the input x to y. */
  readonly nodes: readonly Node[]
}

/** The sum of exp(y), which weights every element otherwise. */
function checkOf(
  { title, input: sizes, parameters: shapes, constants = {}, nodes }: Network,
  dtype: 'float32' | 'float64' = 'float64',
): GradientCheck {
  const random = new Random(title)
  const draw = (shape: readonly number[]) => ({
    dtype,
    shape,
    values: random.uniform(elementCount(shape), -1, 1),
  })
  const parameters: Feeds = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, draw(shape)]),
  )
  const graph = graphOf({
    opset: 20,
    inputs: [input('x', ['N', ...sizes.slice(1)], dtype)],
    initializers: {
      ...Object.fromEntries(
        Object.entries(parameters).map(([name, { shape, values }]) => [name, tensor(dtype, shape, values)]),
      ),
      ...Object.fromEntries(
        Object.entries(constants).map(([name, values]) => [name, tensor('int64', [values.length], values)]),
      ),
    },
    nodes: [...nodes, node('Exp', ['y'], 'loss')],
    outputs: ['loss'],
  })
  return { graph, parameters, data: { x: draw(sizes) }, loss: 'loss' }
}

function named({ graph }: GradientGraph, ...ops: readonly string[]): Node[] {
  return graph.nodes.filter(({ op }) => ops.includes(op))
}

/** A linear layer as exporters write it: a product with the transposed weight, then the bias. */
const layer = (from: string, weight: string, bias: string, to: string): Node[] => [
  node('Transpose', [weight], `${weight}/t`, { perm: [1, 0] }),
  node('MatMul', [from, `${weight}/t`], `${to}/product`),
  node('Add', [bias, `${to}/product`], to),
]

const LAYERS: Network = {
  title: 'two layers over positions',
  input: [3, 5, 4],
  parameters: { w1: [6, 4], b1: [6], w2: [2, 6], b2: [2] },
  nodes: [...layer('x', 'w1', 'b1', 'h'), node('Tanh', ['h'], 'a'), ...layer('a', 'w2', 'b2', 'y')],
}

/** Attention with two heads of size 4, as exporters write a fused projection. */
const ATTENTION: Network = {
  title: 'attention',
  input: [3, 6, 8],
  parameters: { w: [24, 8], b: [24], out: [8, 8] },
  constants: {
    apart: [-1, 6, 3, 2, 4],
    together: [-1, 6, 8],
    ...Object.fromEntries([0, 1, 2, 3].map((i) => [String(i), [i]])),
  },
  nodes: [
    ...layer('x', 'w', 'b', 'qkv'),
    node('Reshape', ['qkv', 'apart'], 'view'),
    node('Transpose', ['view'], 'permuted', { perm: [2, 0, 3, 1, 4] }),
    ...['q', 'k', 'v'].flatMap((name, i) => [
      node('Slice', ['permuted', String(i), String(i + 1), '0'], `${name}/slice`),
      node('Squeeze', [`${name}/slice`, '0'], name),
    ]),
    node('Transpose', ['k'], 'k/t', { perm: [0, 1, 3, 2] }),
    node('MatMul', ['q', 'k/t'], 'scores'),
    node('Softmax', ['scores'], 'weights', { axis: -1 }),
    node('MatMul', ['weights', 'v'], 'heads'),
    node('Transpose', ['heads'], 'positions', { perm: [0, 2, 1, 3] }),
    node('Reshape', ['positions', 'together'], 'joined'),
    node('MatMul', ['joined', 'out'], 'y'),
  ],
}

describe('forms that the CPU provider is quick with', () => {
  it('a product with a matrix and the bias behind it are one Gemm', async () => {
    const gradient = await checkGradient(checkOf(LAYERS))
    expect(named(gradient, 'MatMul', 'Add')).to.deep.equal([])
    // forward two; backward two for the weights and one between the layers
    expect(named(gradient, 'Gemm').length).to.equal(5)
  })

  it('a product that others read too is left as it is', async () => {
    const nodes = [
      node('MatMul', ['x', 'w'], 'product'),
      node('Add', ['product', 'b'], 'h'),
      node('Mul', ['h', 'product'], 'y'),
    ]
    const gradient = await checkGradient(
      checkOf({ title: 'read twice', input: [3, 5, 4], parameters: { w: [4, 2], b: [2] }, nodes }),
    )
    expect(named(gradient, 'MatMul').length).to.equal(1)
  })

  it('heads of attention are moved by exchanging the axes of matrices, never a few elements at a time', async () => {
    const gradient = await checkGradient(checkOf(ATTENTION))
    const kept = named(gradient, 'Transpose').filter((one) => {
      const order = intsAttribute(one, 'perm')!
      return order.at(-1) === order.length - 1
    })
    expect(kept).to.deep.equal([])
  })

  it('the cotangents of slices of one value are put side by side instead of padded and added', async () => {
    const gradient = await checkGradient(checkOf(ATTENTION))
    expect(named(gradient, 'Pad', 'Add')).to.deep.equal([])
    expect(named(gradient, 'Concat').map(({ inputs }) => inputs.length)).to.deep.equal([3])
  })

  it('slices that overlap, or leave a part out, still add up', async () => {
    const part = (name: string, from: string, to: string): Node => node('Slice', ['h', from, to, '2'], name)
    const nodes = [
      node('MatMul', ['x', 'w'], 'h'),
      part('a', '0', '3'),
      part('b', '2', '5'),
      part('c', '5', '8'),
      node('Mul', ['a', 'b'], 'ab'),
      node('Mul', ['ab', 'c'], 'y'),
    ]
    const constants = Object.fromEntries([0, 2, 3, 5, 8].map((i) => [String(i), [i]]))
    await checkGradient(
      checkOf({ title: 'overlapping', input: [2, 3, 4], parameters: { w: [4, 9] }, constants, nodes }),
    )
  })

  // ONNX Runtime has no Erf in float64
  it('a Gelu shares the normal distribution with its derivative', async () => {
    const nodes = [...layer('x', 'w1', 'b1', 'h'), node('Gelu', ['h'], 'a'), ...layer('a', 'w2', 'b2', 'y')]
    const gradient = await checkGradient(checkOf({ ...LAYERS, title: 'gelu', nodes }, 'float32'))
    expect(named(gradient, 'Gelu')).to.deep.equal([])
  })

  it('what follows from shapes is a constant, the end of any axis too large to be one is left', async () => {
    const nodes = [
      node('MatMul', ['x', 'w'], 'h'),
      node('Shape', ['h'], 'shape'),
      node('Gather', ['shape', 'last'], 'size'),
      node('Cast', ['size'], 'divisor', { to: 11 }),
      node('Div', ['h', 'divisor'], 'scaled'),
      node('Identity', ['end'], 'end/copy'),
      node('Slice', ['scaled', 'start', 'end/copy', 'start'], 'y'),
    ]
    const constants = { last: [2], start: [1], end: [2 ** 62] }
    const gradient = await checkGradient(
      checkOf({ title: 'shapes', input: [2, 3, 4], parameters: { w: [4, 5] }, constants, nodes }),
    )
    expect(named(gradient, 'Gather')).to.deep.equal([])
  })
})
