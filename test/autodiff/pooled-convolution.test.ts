import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import type { Node } from '../../src/onnx/graph.js'
import { elementCount } from '../../src/tensor.js'
import { gradientsOf } from '../support/check-gradient.js'
import type { GradientCheck } from '../support/check-gradient.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import type { Feed } from '../support/ort.js'
import { Random } from '../support/random.js'

/** A convolution of stride 1 and the windows behind it, both with two spatial axes. */
interface Form {
  readonly title: string
  /** [samples, channels, height, width] */
  readonly image: readonly [number, number, number, number]
  /** [filters, channels, height, width] */
  readonly kernel: readonly [number, number, number, number]
  readonly pad?: readonly [number, number]
  readonly window: readonly [number, number]
  readonly bias?: boolean
  readonly rectified?: boolean
  /** 1: the graph leaves out the second spatial axis, of size 1. */
  readonly axes?: 1 | 2
  /** Nodes beside those of the form; `h` is the convolution's result. */
  readonly others?: readonly Node[]
}

const PLAIN: Form = {
  title: 'with padding, bias and ReLU',
  image: [2, 2, 6, 8],
  kernel: [3, 2, 3, 3],
  pad: [1, 1],
  window: [2, 2],
  bias: true,
  rectified: true,
}

const FORMS: readonly Form[] = [
  PLAIN,
  {
    title: 'without a bias',
    ...{ image: [2, 1, 8, 6], kernel: [4, 1, 3, 3], window: [2, 2], rectified: true },
  },
  { title: 'without a ReLU', image: [2, 3, 5, 5], kernel: [4, 3, 2, 2], window: [2, 2], bias: true },
  {
    title: 'with windows and kernels of other sizes by axis',
    image: [3, 2, 7, 9],
    kernel: [2, 2, 2, 4],
    window: [3, 2],
    bias: true,
    rectified: true,
  },
  {
    title: 'in one dimension',
    image: [2, 2, 12, 1],
    kernel: [3, 2, 3, 1],
    pad: [1, 0],
    window: [4, 1],
    bias: true,
    rectified: true,
    axes: 1,
  },
]

function feed(shape: readonly number[], values: readonly number[]): Feed {
  return { dtype: 'float32', shape, values }
}

/** Weights of the sum that the loss is, image, kernel and bias of a form, drawn at random. */
function drawn(form: Form): Readonly<Record<'x' | 'w' | 'b' | 'r', Feed>> {
  const random = new Random(form.title)
  const draw = (shape: readonly number[]): Feed =>
    feed(shape, Array.from(Float32Array.from(random.uniform(elementCount(shape), -1, 1))))
  const [filters] = form.kernel
  const sizes = pooledSize(form)
  return { x: draw(form.image), w: draw(form.kernel), b: draw([filters]), r: draw([1, filters, ...sizes]) }
}

function convolvedSize({ image, kernel, pad = [0, 0] }: Form): [number, number] {
  return [0, 1].map((axis) => image[axis + 2]! + 2 * pad[axis]! - kernel[axis + 2]! + 1) as [number, number]
}

function pooledSize(form: Form): number[] {
  return convolvedSize(form).map((size, axis) => size / form.window[axis]!)
}

/** The form as a graph whose image is what is fed and, as a parameter, what is added to it (0). */
function checkOf(form: Form, values = drawn(form)): GradientCheck {
  const { pad = [0, 0], window, bias = false, rectified = false, others = [], axes = 2 } = form
  const inAxes = ({ shape, values: numbers }: Feed): Feed => feed(shape.slice(0, 2 + axes), numbers)
  const [x, w, r] = [values.x, values.w, values.r].map(inAxes) as [Feed, Feed, Feed]
  const shift = feed([1, ...x.shape.slice(1)], zeros(x.shape.slice(1)))
  const parameters = { x: shift, w, ...(bias && { b: values.b }) }
  const [pads, size] = [pad.slice(0, axes), window.slice(0, axes)]
  const loss = others.length > 0 ? 'all' : 'y'
  const graph = graphOf({
    inputs: [input('data', ['N', ...x.shape.slice(1)])],
    initializers: Object.fromEntries(
      Object.entries({ ...parameters, r }).map(([name, { dtype, shape, values: numbers }]) => [
        name,
        tensor(dtype, shape, numbers),
      ]),
    ),
    nodes: [
      node('Add', ['data', 'x'], 'image'),
      node('Conv', bias ? ['image', 'w', 'b'] : ['image', 'w'], 'h', { pads: [...pads, ...pads] }),
      ...(rectified ? [node('Relu', ['h'], 'a')] : []),
      node('MaxPool', [rectified ? 'a' : 'h'], 'p', { kernel_shape: size, strides: size }),
      node('Mul', ['p', 'r'], 'y'),
      ...others,
    ],
    outputs: [loss],
  })
  return { graph, parameters, data: { data: x }, loss }
}

function differentiated(check: GradientCheck): GradientGraph {
  return differentiate(check.graph, {
    parameters: Object.keys(check.parameters),
    loss: { kind: 'output', name: check.loss },
  })
}

function operators({ graph }: GradientGraph): string[] {
  return graph.nodes.map(({ op }) => op)
}

/** The gradient by its definition, loop by loop: the first of the largest elements of a window takes what it weighs. */
function byDefinition(form: Form): Record<'x' | 'w' | 'b', number[]> {
  const { image, kernel, pad = [0, 0], window, bias = false, rectified = false } = form
  const values = drawn(form)
  const [samples, channels, height, width] = image
  const [filters, , ...size] = kernel
  const found = { x: zeros(image.slice(1)), w: zeros(kernel), b: zeros([filters]) }
  /** Goes through the products that an element of the convolution is the sum of. */
  const products = (
    n: number,
    m: number,
    i: number,
    j: number,
    visit: (x: number, w: number) => void,
  ): void => {
    for (let c = 0; c < channels; c += 1)
      for (let k = 0; k < size[0]; k += 1)
        for (let l = 0; l < size[1]; l += 1) {
          const [row, column] = [i + k - pad[0], j + l - pad[1]]
          if (row < 0 || row >= height || column < 0 || column >= width) continue
          visit(
            ((n * channels + c) * height + row) * width + column,
            ((m * channels + c) * size[0] + k) * size[1] + l,
          )
        }
  }
  const [rows, columns] = pooledSize(form) as [number, number]
  for (let n = 0; n < samples; n += 1)
    for (let m = 0; m < filters; m += 1)
      for (let row = 0; row < rows; row += 1)
        for (let column = 0; column < columns; column += 1) {
          let best = { value: -Infinity, i: 0, j: 0 }
          for (let i = row * window[0]; i < (row + 1) * window[0]; i += 1)
            for (let j = column * window[1]; j < (column + 1) * window[1]; j += 1) {
              let value = bias ? values.b.values[m]! : 0
              products(n, m, i, j, (x, w) => (value += values.x.values[x]! * values.w.values[w]!))
              if (value > best.value) best = { value, i, j }
            }
          if (rectified && best.value <= 0) continue
          const g = values.r.values[(m * rows + row) * columns + column]!
          found.b[m]! += g
          products(n, m, best.i, best.j, (x, w) => {
            found.x[x % found.x.length]! += g * values.w.values[w]!
            found.w[w]! += g * values.x.values[x]!
          })
        }
  return found
}

function zeros(shape: readonly number[]): number[] {
  return new Array<number>(elementCount(shape)).fill(0)
}

describe('max-pooling of a convolution', () => {
  for (const form of FORMS)
    it(`finds maxima among channels, and has the gradient of its definition: ${form.title}`, async () => {
      const check = checkOf(form)
      const gradient = differentiated(check)
      expect(operators(gradient)).to.include('ReduceMax').and.not.include('MaxPool')
      const [found, expected] = [await gradientsOf(gradient, gradient.graph, check), byDefinition(form)]
      for (const name of Object.keys(check.parameters) as ('x' | 'w' | 'b')[])
        found[name]!.forEach((value, i) => {
          expect(value).to.be.closeTo(expected[name][i]!, 1e-5, `${name}[${i}]`)
        })
    })

  const ties: readonly [image: number[], gradient: number[]][] = [
    [
      [1, 3, 3, 3],
      [0, 1, 0, 0],
    ],
    [
      [2, 1, 2, 2],
      [1, 0, 0, 0],
    ],
    [
      [1, 2, 4, 4],
      [0, 0, 1, 0],
    ],
    [
      [1, 2, 4, 5],
      [0, 0, 0, 1],
    ],
    [
      [5, 5, 5, 5],
      [1, 0, 0, 0],
    ],
    [
      [0, 0, 0, 0],
      [0, 0, 0, 0],
    ],
    [
      [-1, -2, -1, -3],
      [0, 0, 0, 0],
    ],
  ]
  for (const [image, expected] of ties)
    it(`gives the first of the largest, if above 0, the cotangent, as PyTorch: ${image.join(', ')}`, async () => {
      const form: Form = { ...PLAIN, image: [1, 1, 2, 2], kernel: [1, 1, 1, 1], pad: [0, 0], bias: false }
      const one = feed([1, 1, 1, 1], [1])
      const check = checkOf(form, { x: feed([1, 1, 2, 2], image), w: one, b: one, r: one })
      const gradient = differentiated(check)
      expect(operators(gradient)).to.include('ReduceMax')
      const found = await gradientsOf(gradient, gradient.graph, check)
      expect(found['x']!.map(Math.abs)).to.deep.equal(expected)
    })

  it('stays where the convolution is read by others', () => {
    const others = [node('GlobalAveragePool', ['h'], 'mean'), node('Add', ['y', 'mean'], 'all')]
    expect(operators(differentiated(checkOf({ ...PLAIN, others })))).to.include('MaxPool')
  })

  it('stays where zeros around the kernels would take more products than they save', () => {
    const form: Form = { ...PLAIN, image: [1, 24, 8, 8], kernel: [2, 24, 5, 5], pad: [0, 0] }
    expect(operators(differentiated(checkOf(form)))).to.include('MaxPool')
  })

  it('stays where windows leave a part of the image out', () => {
    const check = checkOf({ ...PLAIN, image: [1, 2, 8, 8], pad: [0, 0], window: [2, 2] })
    const overlapping = check.graph.nodes.map((each) =>
      each.op === 'MaxPool' ? node('MaxPool', each.inputs, each.outputs, { kernel_shape: [2, 2] }) : each,
    )
    const graph = { ...check.graph, nodes: overlapping.filter(({ op }) => op !== 'Mul'), outputs: [] }
    const pooled = { ...graph, outputs: [{ name: 'p', dtype: undefined, shape: undefined }] }
    expect(operators(differentiated({ ...check, graph: pooled, loss: 'p' }))).to.include('MaxPool')
  })
})

describe('max-pooling over the whole of an axis', () => {
  it('stays where its indices are read', () => {
    const values = feed([1, 1, 4, 3], zeros([12]))
    const graph = graphOf({
      inputs: [input('data', ['N', 1, 4, 3])],
      initializers: { x: tensor('float32', values.shape, values.values) },
      nodes: [
        node('Add', ['data', 'x'], 'image'),
        node('MaxPool', ['image'], ['p', 'places'], { kernel_shape: [4, 1], strides: [4, 1] }),
        node('Cast', ['places'], 'numbers', { to: 1 }),
        node('Mul', ['p', 'numbers'], 'y'),
      ],
      outputs: ['y'],
    })
    const check = { graph, parameters: { x: values }, data: { data: values }, loss: 'y' }
    expect(operators(differentiated(check))).to.include('MaxPool')
  })
})
