import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import { loopedGradient } from '../../src/autodiff/looped.js'
import type { Settings } from '../../src/autodiff/rule.js'
import { createEngine } from '../../src/engines/create.js'
import type { SamplesInMemory, SplitData } from '../../src/engines/engine.js'
import { lowered } from '../../src/onnx/lower.js'
import { readModel } from '../../src/onnx/read.js'
import { opsetOf } from '../../src/onnx/graph.js'
import type { Graph } from '../../src/onnx/graph.js'
import { withSubgraphs } from '../../src/onnx/subgraph.js'
import { describeWithShared } from '../shared.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { readKernels, withoutKernel } from '../support/kernels.js'

const CUDA = readKernels('cuda')
const LOSSES: Readonly<Record<string, 'mse' | 'bce-with-logits'>> = {
  autoencoder: 'mse',
  gated: 'bce-with-logits',
}
const GRADIENTS = ['autoencoder', 'fc', 'gated', 'gpt', 'gru', 'lenet', 'lstm', 'mobile', 'resnet']

type Choices = { readonly batchNorm: Settings['batchNorm']; readonly precision: 'float32' | 'float16' }

async function gradientOf(path: string, choices: Choices, forms: Settings['forms'] = 'cuda') {
  const model = await readModel(path)
  const parameters = [...model.initializers].flatMap(([name, { literal, dtype, shape }]) =>
    literal !== true && dtype === 'float32' && shape.length > 0 ? [name] : [],
  )
  const kind = Object.entries(LOSSES).find(([name]) => path.includes(`/${name}.`))?.[1] ?? 'cross-entropy'
  return differentiate(model, { parameters, loss: { kind }, forms, ...choices })
}

function missing(gradient: GradientGraph): string[] {
  return [...withoutKernel(gradient.graph, CUDA), ...withoutKernel(loopedGradient(gradient), CUDA)]
}

const CHOICES: readonly Choices[] = (['running', 'batch'] as const).flatMap((batchNorm) =>
  (['float32', 'float16'] as const).map((precision) => ({ batchNorm, precision })),
)

/** What the demo's network has in its own opset: newer versions of operators than there are kernels for. */
const AT_OPSET_20 = [
  'Pad(float32, int64)',
  'ReduceMax(float32, int64)',
  'Equal(int64, int64)',
  'Equal(float32, float32)',
]

function samples(count: number): SamplesInMemory {
  return {
    dtype: 'float32',
    sampleShape: [4],
    data: Float32Array.from({ length: count }, (_, i) => Math.sin(i * i)),
  }
}

describe('what the CUDA provider lacks', () => {
  it('is told by operator, opset and type, in bodies too, but not of shapes', () => {
    const body: Graph = graphOf({
      inputs: [input('state', [2]), input('slice', [2])],
      outputs: ['next'],
      nodes: [node('Atan', ['slice'], 'angle'), node('Add', ['state', 'angle'], 'next')],
    })
    const scan = node('Scan', ['zeros', 'x'], 'y', { num_scan_inputs: 1 })
    const graph = graphOf({
      inputs: [input('x', ['n', 2]), input('i', ['n'], 'int32')],
      outputs: ['y', 'shaped', 'least', 'ones'],
      initializers: { zeros: tensor('float32', [2], [0, 0]), axes: tensor('int64', [1], [0]) },
      nodes: [
        withSubgraphs(scan, new Map([['body', body]])),
        node('Shape', ['x'], 'sizes'),
        node('ReduceProd', ['sizes', 'axes'], 'count'),
        node('Reshape', ['x', 'count'], 'shaped'),
        node('Clip', ['i'], 'least'),
        node('Det', ['x'], 'ones'),
      ],
    })
    expect(withoutKernel(graph, CUDA)).to.have.members(['Atan(float32)', 'Clip(int32)', 'Det(float32)'])
  })

  it('is in the forms for the CPU, so that the table tells something', async () => {
    const gradient = await gradientOf('fixtures/mnist-lenet/model.onnx', CHOICES[0]!, 'cpu')
    const cuda = await gradientOf('fixtures/mnist-lenet/model.onnx', CHOICES[0]!)
    expect(new Set(missing(gradient))).to.deep.equal(new Set(['MaxUnpool(float32, int64)', ...AT_OPSET_20]))
    expect(missing(cuda)).to.deep.equal([])
  })
})

describe('forms for CUDA', () => {
  for (const opset of [19, 20, 21, 22, 23])
    it(`are in an opset that its provider has kernels for, of a network in opset ${opset}`, async () => {
      const model = await readModel('fixtures/mnist-lenet/model.onnx')
      const newer = { ...model, opsets: new Map([...model.opsets, ['', opset]]) }
      const parameters = [...model.initializers].flatMap(([name, { literal, dtype }]) =>
        literal !== true && dtype === 'float32' ? [name] : [],
      )
      const options = { parameters, loss: { kind: 'cross-entropy' } } as const
      const cuda = differentiate(newer, { ...options, forms: 'cuda' })
      expect(missing(cuda)).to.deep.equal([])
      expect(opsetOf(cuda.graph)).to.equal(18)
      await (await createEngine(cuda, { threads: 1 })).close()
    })

  it('compute Gelu in older operators, both ways', async () => {
    for (const approximate of ['none', 'tanh']) {
      const graph = graphOf({
        inputs: [input('x', ['batch', 4])],
        outputs: ['y'],
        initializers: { w: tensor('float32', [4], [1, -2, 0.5, 3]) },
        nodes: [node('Mul', ['x', 'w'], 'z'), node('Gelu', ['z'], 'y', { approximate })],
      })
      const model = { ...graph, opsets: new Map([['', 20]]) }
      const split: SplitData = {
        samples: 5,
        inputs: new Map([['x', samples(20)]]),
        target: samples(20),
      }
      const found = await Promise.all(
        (['cpu', 'cuda'] as const).map(async (forms) => {
          const gradient = differentiate(model, { parameters: ['w'], loss: { kind: 'mse' }, forms })
          expect(opsetOf(gradient.graph)).to.equal(forms === 'cuda' ? 18 : 20)
          const engine = await createEngine(gradient, { threads: 1 })
          const batch = { start: 0, count: 5, size: 5 }
          const result = await engine.run(new Map([['w', Float32Array.of(1, -2, 0.5, 3)]]), split, batch)
          const values = [result.numerator, ...result.gradient('w')!]
          await engine.close()
          return values
        }),
      )
      found[0]!.forEach((value, i) => {
        expect(found[1]![i]).to.be.closeTo(value, 1e-5 * Math.abs(value))
      })
    }
  })

  it('are in an older opset for operators alone that are in it', () => {
    const { operators } = JSON.parse(readFileSync('fixtures/onnx/operators.json', 'utf8')) as {
      operators: Record<string, { versions: number[] }>
    }
    const lowers = (op: string): boolean => {
      const graph = graphOf({ opset: 22, inputs: [], outputs: ['y'], nodes: [node(op, ['x'], 'y')] })
      return opsetOf(lowered(graph)) === 18
    }
    const found = Object.keys(operators).filter(lowers)
    expect(found).to.include.members(['Conv', 'Equal', 'Pad', 'Scan'])
    for (const op of found) expect(Math.min(...operators[op]!.versions), op).to.be.at.most(18)
  })

  it('keep a newer opset where something means another thing there', () => {
    const made = (op: string, settings = {}): number => {
      const graph = {
        ...graphOf({
          inputs: [input('x', [1, 1, 4, 4])],
          outputs: ['y'],
          nodes: [node(op, ['x'], 'y', settings)],
        }),
      }
      return opsetOf(lowered({ ...graph, opsets: new Map([['', 22]]) }))
    }
    expect(made('Gelu')).to.equal(22)
    expect(made('Pad', { mode: 'wrap' })).to.equal(22)
    expect(made('AveragePool', { kernel_shape: [2, 2], dilations: [2, 2] })).to.equal(22)
    expect(made('Cast', { to: 1, saturate: 0 })).to.equal(22)
    expect(made('Cast', { to: 1 })).to.equal(18)
    expect(made('AveragePool', { kernel_shape: [2, 2] })).to.equal(18)
  })

  it('compute an identity matrix in float32 where the network is in float16', async () => {
    const model = graphOf({
      inputs: [input('x', ['batch', 3])],
      outputs: ['y'],
      initializers: { w: tensor('float32', [3, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9]) },
      nodes: [
        node('EyeLike', ['w'], 'ones'),
        node('Add', ['w', 'ones'], 'sum'),
        node('MatMul', ['x', 'sum'], 'y'),
      ],
    })
    const options = { parameters: ['w'], loss: { kind: 'mse' }, forms: 'cuda', precision: 'float16' } as const
    const gradient = differentiate(model, options)
    expect(missing(gradient)).to.deep.equal([])
    // types that don't fit are refused here
    await (await createEngine(gradient, { threads: 1 })).close()
  })

  it('give the gradient of max-pooling that those for the CPU give', async () => {
    const model = graphOf({
      inputs: [input('x', ['batch', 2, 4, 4])],
      outputs: ['y'],
      initializers: { w: tensor('float32', [3, 2, 1, 1], [1, -2, 0.5, 3, 0.25, -1]) },
      nodes: [
        node('Conv', ['x', 'w'], 'maps'),
        node('MaxPool', ['maps'], 'pooled', { kernel_shape: [2, 2], strides: [2, 2] }),
        node('Flatten', ['pooled'], 'y'),
      ],
    })
    const split: SplitData = {
      samples: 3,
      inputs: new Map([
        [
          'x',
          {
            dtype: 'float32',
            sampleShape: [2, 4, 4],
            data: Float32Array.from({ length: 96 }, (_, i) => Math.sin(i * i)),
          },
        ],
      ]),
      target: {
        dtype: 'float32',
        sampleShape: [12],
        data: Float32Array.from({ length: 36 }, (_, i) => Math.cos(i)),
      },
    }
    const found = await Promise.all(
      (['cpu', 'cuda'] as const).map(async (forms) => {
        const gradient = differentiate(model, { parameters: ['w'], loss: { kind: 'mse' }, forms })
        const engine = await createEngine(gradient, { threads: 1 })
        const result = await engine.run(new Map([['w', Float32Array.of(1, -2, 0.5, 3, 0.25, -1)]]), split, {
          start: 0,
          count: 3,
          size: 3,
        })
        const values = [...result.gradient('w')!]
        await engine.close()
        return values
      }),
    )
    expect(found[0]!.some((value) => value !== 0)).to.equal(true)
    found[1]!.forEach((value, i) => {
      expect(value).to.be.closeTo(found[0]![i]!, 1e-5 * Math.abs(found[0]![i]!) + 1e-6)
    })
  })
})

describeWithShared('gradient graphs for CUDA', (shared) => {
  for (const name of ['mnist-fc', 'lenet', 'resnet-bn', 'gpt'])
    it(`have only operators that its provider computes: ${name}`, async () => {
      for (const choices of CHOICES)
        expect(missing(await gradientOf(`${shared}/reference/${name}/model.onnx`, choices))).to.deep.equal([])
    })

  for (const name of GRADIENTS)
    it(`have only operators that its provider computes: gradients/${name}`, async () => {
      for (const choices of CHOICES)
        expect(
          missing(await gradientOf(`${shared}/reference/gradients/${name}.plain.onnx`, choices)),
        ).to.deep.equal([])
    })
})
