import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { createOnnxRuntimeEngine } from '../../src/engines/onnxruntime.js'
import { readModel } from '../../src/onnx/read.js'
import { describeWithShared } from '../shared.js'
import { readNpz } from '../support/npz.js'

/** Parameters by network, as PyTorch names them; every exporter of these networks keeps the names. */
const NETWORKS = {
  fc: ['fc1.weight', 'fc1.bias', 'fc2.weight', 'fc2.bias', 'fc3.weight', 'fc3.bias'],
  lenet: ['c1.weight', 'c1.bias', 'c2.weight', 'c2.bias', 'f1.weight', 'f1.bias', 'f2.weight', 'f2.bias'],
} as const

const EXPORTERS = ['dynamo', 'plain', 'script'] as const

type Arrays = Awaited<ReturnType<typeof readNpz>>

async function evaluate(
  path: string,
  names: readonly string[],
  arrays: Arrays,
): Promise<{ loss: number; gradients: ReadonlyMap<string, Float64Array> }> {
  const gradient = differentiate(await readModel(path), {
    parameters: names,
    loss: { kind: 'cross-entropy' },
  })
  const [x, y] = [await arrays('x'), await arrays('y')]
  const parameters = new Map(
    await Promise.all(names.map(async (n) => [n, await arrays(`param/${n}`)] as const)),
  )
  const gradients = new Map([...parameters].map(([name, values]) => [name, new Float64Array(values.length)]))
  const image = { dtype: 'float32', sampleShape: [1, 28, 28], data: Float32Array.from(x) } as const
  const split = {
    samples: y.length,
    inputs: new Map([['input', image]]),
    target: {
      dtype: 'int64',
      sampleShape: [],
      data: BigInt64Array.from(y, (label) => BigInt(label)),
    } as const,
  }
  const engine = await createOnnxRuntimeEngine(gradient, { threads: 1 })
  const { loss } = await engine.evaluate(parameters, split, { size: 4 }, gradients)
  await engine.close()
  return { loss, gradients }
}

function largest(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
}

describeWithShared('losses and gradients of exported networks are PyTorch’s in float64', (shared) => {
  for (const [network, names] of Object.entries(NETWORKS))
    for (const exporter of EXPORTERS)
      it(`${network}, exporter ${exporter}`, async () => {
        const arrays = await readNpz(`${shared}/reference/gradients/${network}.npz`)
        const path = `${shared}/reference/gradients/${network}.${exporter}.onnx`
        const { loss, gradients } = await evaluate(path, names, arrays)
        expect(loss).to.be.closeTo((await arrays('loss'))[0]!, 1e-5)
        for (const [name, gradient] of gradients) {
          const expected = await arrays(`grad/${name}`)
          const worst = largest(expected.map((value, i) => value - gradient[i]!))
          expect(worst / largest(expected), name).to.be.at.most(1e-4)
        }
      })
})
