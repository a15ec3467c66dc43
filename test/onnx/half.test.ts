import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { openData } from '../../src/data/open-data.js'
import { createEngine } from '../../src/engines/create.js'
import { checkNumbers, checkPrecision, lacksFloat16 } from '../../src/engines/devices/precision.js'
import { DEVICES } from '../../src/engines/devices/names.js'
import { DeviceError, UnsupportedModelError } from '../../src/errors.js'
import { halved } from '../../src/onnx/half.js'
import { Inference } from '../../src/onnx/infer.js'
import { liftOpset } from '../../src/onnx/lift.js'
import { readModel } from '../../src/onnx/read.js'
import type { Graph } from '../../src/onnx/graph.js'
import { describeWithShared } from '../shared.js'
import { withSubgraphs } from '../../src/onnx/subgraph.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { roundedHalf } from '../support/rounded-half.js'

/** Numbers of float16 have 11 bits: one rounding is off by half of this, relative to the number. */
const EPSILON = 2 ** -10

type BatchNorm = 'running' | 'batch'

function weightsOf(model: Graph): string[] {
  return [...model.initializers].flatMap(([name, { literal, dtype }]) =>
    literal !== true && dtype === 'float32' ? [name] : [],
  )
}

/** Loss and gradients of 32 samples at the weights of the network's file. */
async function computed(model: Graph, data: string, batchNorm: BatchNorm, precision: 'float32' | 'float16') {
  const parameters = weightsOf(model)
  const gradient = differentiate(model, { parameters, loss: { kind: 'cross-entropy' }, batchNorm, precision })
  const inputs = gradient.inputs.map(({ name, dtype, shape }) => ({ name, dtype: dtype!, dims: shape! }))
  const positions = gradient.target!.input.shape!.slice(1)
  const split = await openData(data, { inputs, target: { kind: 'labels', positions } }, { scale: 'auto' })
  const values = parameters.map((name): [string, Float32Array] => [
    name,
    new Float32Array(Uint8Array.from(model.initializers.get(name)!.read()).buffer),
  ])
  const graph = precision === 'float16' ? roundedHalf(gradient.graph) : gradient.graph
  const engine = await createEngine({ ...gradient, graph }, { threads: 1 })
  const { numerator, gradient: of } = await engine.run(new Map(values), split, {
    start: 0,
    count: 32,
    size: 32,
  })
  const gradients = parameters.flatMap((name): [string, Float64Array][] => {
    const found = of(name)
    return found === undefined ? [] : [[name, Float64Array.from(found)]]
  })
  await engine.close()
  return { gradient, loss: numerator, gradients: new Map(gradients) }
}

function distance(a: Float64Array, b: Float64Array): number {
  let [difference, norm] = [0, 0]
  for (let i = 0; i < b.length; i += 1) {
    difference += (a[i]! - b[i]!) ** 2
    norm += b[i]! ** 2
  }
  return norm === 0 ? Math.sqrt(difference) : Math.sqrt(difference / norm)
}

/** What a few roundings in a row put gradients off. */
const SMOOTH = 4 * EPSILON
/** Rounding takes a share p of ReLUs and maxima to their other side, which moves a gradient by about the root of p. */
const WITH_KINKS = 0.1

/** Float16's gradients are as far from float32's as rounding puts them, and not nearer. */
async function expectHalf(path: string, data: string, batchNorm: BatchNorm, most: number): Promise<void> {
  const model = await readModel(path)
  const exact = await computed(model, data, batchNorm, 'float32')
  const half = await computed(model, data, batchNorm, 'float16')
  expect(half.loss).to.be.closeTo(exact.loss, EPSILON * Math.abs(exact.loss))
  expect([...half.gradients.keys()]).to.deep.equal([...exact.gradients.keys()])
  const distances = [...exact.gradients].map(([name, values]) => distance(half.gradients.get(name)!, values))
  expect(Math.max(...distances)).to.be.within(2 ** -13, most)
  const names = (graph: Graph): string[] => graph.inputs.map(({ name, dtype }) => `${name}: ${dtype ?? ''}`)
  expect(names(half.gradient.graph)).to.have.members(names(exact.gradient.graph))
}

describe('a network in float16', () => {
  it('has gradients near those in float32', async () => {
    await expectHalf('fixtures/mnist-lenet/model.onnx', 'fixtures/mnist-lenet/val.npz', 'running', WITH_KINKS)
  })

  it('computes every product in float16, between parameters, inputs and outputs in float32', async () => {
    const model = await readModel('fixtures/mnist-lenet/model.onnx')
    const graph = halved(model, weightsOf(model))
    const known = new Inference(graph)
    const before = liftOpset(model)
    expect(graph.inputs).to.deep.equal(before.inputs)
    for (const { name } of before.outputs) expect(known.info(name).dtype, name).to.equal('float32')
    for (const name of weightsOf(model)) expect(known.info(name).dtype, name).to.equal('float32')
    const products = graph.nodes.filter(({ op }) => /Conv|Gemm|MatMul/.test(op))
    expect(products.length).to.be.greaterThan(2)
    for (const { inputs, outputs } of products)
      for (const name of [...inputs, ...outputs]) expect(known.info(name).dtype, name).to.equal('float16')
    const computedBefore = before.nodes.flatMap(({ outputs }) => outputs)
    expect(computedBefore.every((name) => known.has(name))).to.equal(true)
  })

  it('keeps masks finite, sizes and ranges in their types, and what bodies read', () => {
    const body = graphOf({
      inputs: [input('sum', [4]), input('slice', [4])],
      outputs: ['next'],
      initializers: { inner: tensor('float32', [], [0.5]) },
      nodes: [
        node('Mul', ['slice', 'w'], 'scaled'),
        node('Mul', ['scaled', 'inner'], 'smaller'),
        node('Add', ['sum', 'smaller'], 'next'),
      ],
    })
    const scan = node('Scan', ['zeros', 'x'], 'total', { num_scan_inputs: 1 })
    const model = graphOf({
      inputs: [input('x', [3, 4])],
      outputs: ['masked', 'numbers'],
      initializers: {
        w: tensor('float32', [4], [1, 2, 3, 4]),
        zeros: tensor('float32', [4], [0, 0, 0, 0]),
        mask: tensor('float32', [], [-3.4e38]),
        start: tensor('float32', [], [0]),
        end: tensor('float32', [], [4000]),
        step: tensor('float32', [], [1]),
      },
      nodes: [
        withSubgraphs(scan, new Map([['body', body]])),
        node('Mul', ['total', 'mask'], 'masked'),
        node('Range', ['start', 'end', 'step'], 'numbers'),
      ],
    })
    const graph = halved(model, ['w'])
    const known = new Inference(graph)
    const mask = [...graph.initializers].find(
      ([name, { dtype }]) => name.endsWith('/mask') && dtype === 'float16',
    )!
    expect(new Uint16Array(Uint8Array.from(mask[1].read()).buffer)[0]).to.equal(0xfbff) // -65504
    expect(graph.nodes.find(({ op }) => op === 'Range')!.inputs).to.deep.equal(['start', 'end', 'step'])
    const inside = known.body(
      graph.nodes.find(({ op }) => op === 'Scan')!,
      'body',
    )
    const innerKnown = new Inference(inside, known)
    for (const { inputs, outputs } of inside.nodes)
      for (const name of [...inputs, ...outputs])
        expect(innerKnown.info(name).dtype, name).to.equal('float16')
  })

  it('is refused for a network in float64', () => {
    const model = graphOf({
      inputs: [input('x', [3], 'float64')],
      outputs: ['y'],
      nodes: [node('Abs', ['x'], 'y')],
    })
    expect(() => halved(model, [])).to.throw(
      UnsupportedModelError,
      /computes in float64; export it in float32/,
    )
  })
})

describeWithShared('reference networks in float16', (shared) => {
  for (const [name, batchNorm, most] of [
    ['mnist-fc', 'running', SMOOTH],
    ['gpt', 'running', SMOOTH],
    ['resnet-bn', 'running', WITH_KINKS],
    ['resnet-bn', 'batch', WITH_KINKS],
  ] as const)
    it(`have gradients near those in float32: ${name}, BatchNorm ${batchNorm}`, () =>
      expectHalf(
        `${shared}/reference/${name}/model.onnx`,
        `${shared}/reference/${name}/train.npz`,
        batchNorm,
        most,
      ))
})

describe('the precision of a device', () => {
  it('is refused where the device does not have it, with reason and remedy', () => {
    expect(() => {
      checkPrecision('float16', 'cpu')
    }).to.throw(
      DeviceError,
      /^--precision float16: ONNX Runtime's CPU provider has no float16.*name a device/,
    )
    for (const device of DEVICES.filter((name) => name !== 'cpu')) checkPrecision('float16', device)
    checkPrecision('float32', 'cpu')
    checkPrecision(undefined, 'cpu')
  })

  it('is refused where a network computes in float64 and the device does not', () => {
    for (const device of ['webgpu', 'directml', 'coreml'] as const) {
      expect(() => {
        checkNumbers('float64', device)
      }).to.throw(
        DeviceError,
        new RegExp(`^--device ${device}: the network computes in float64, .*use --device cpu`),
      )
      checkNumbers('float32', device)
    }
    for (const device of ['cpu', 'cuda', 'tensorrt'] as const) checkNumbers('float64', device)
  })

  it('is refused by the adapter, when it computes', () => {
    const message =
      'Non-zero status code returned while running Cast node. Status Message: shader_helper.cc:416 ' +
      'Program Cast requires f16 but the device does not support it.'
    expect(lacksFloat16(message)).to.be.instanceOf(DeviceError).and.include({ exitStatus: 3 })
    expect(lacksFloat16('MatMul dimension mismatch')).to.equal(undefined)
  })
})
