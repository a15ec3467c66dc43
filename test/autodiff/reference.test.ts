import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import { parseLoss } from '../../src/autodiff/losses.js'
import { createEngine, evaluate as evaluateSplit } from '../../src/engines/create.js'
import { readModel } from '../../src/onnx/read.js'
import { describeWithShared } from '../shared.js'
import {
  Arrays,
  expectGradients,
  EXPORTERS,
  kept,
  NETWORKS,
  samplesOf,
} from '../support/exported-networks.js'

async function evaluate(gradient: GradientGraph, names: readonly string[], arrays: Arrays, cut: number) {
  const split = await samplesOf(arrays, gradient.inputs[0]!.name)
  const parameters = new Map<string, Float64Array>()
  for (const name of names) parameters.set(name, await arrays.values(`param/${name}`))
  const gradients = new Map([...parameters].map(([name, values]) => [name, new Float64Array(values.length)]))
  const engine = await createEngine(gradient, { threads: 1 })
  try {
    const { loss } = await evaluateSplit(engine, parameters, split, { size: cut }, gradients)
    return { loss, gradients }
  } finally {
    await engine.close()
  }
}

async function compare(gradients: ReadonlyMap<string, Float64Array>, arrays: Arrays, kind: string) {
  const expected = new Map<string, Float64Array>()
  for (const name of gradients.keys()) expected.set(name, await arrays.values(`${kind}/${name}`))
  expectGradients(gradients, expected)
}

describeWithShared('losses and gradients of exported networks are PyTorch’s in float64', (shared) => {
  for (const [network, { loss: lossName, ...counts }] of Object.entries(NETWORKS))
    for (const exporter of EXPORTERS)
      it(`${network}, exporter ${exporter}`, async () => {
        const training = exporter === 'script'
        const arrays = await Arrays.open(`${shared}/reference/gradients/${network}.npz`)
        const model = await readModel(`${shared}/reference/gradients/${network}.${exporter}.onnx`)
        const names = await kept(model, arrays)
        expect(names).to.have.length(exporter === 'dynamo' ? counts.dynamo : counts.all)
        const gradient = differentiate(model, {
          parameters: names,
          loss: parseLoss(lossName),
          batchNorm: training ? 'batch' : 'running',
        })
        // statistics of the batch are those of all samples; else two micro-batches must give the same
        const cut = training ? arrays.shape('x')[0]! : 2
        const { loss, gradients } = await evaluate(gradient, names, arrays, cut)
        const [wanted, kind] = training ? ['loss_batch', 'grad_batch'] : ['loss', 'grad']
        expect(loss).to.be.closeTo((await arrays.values(wanted))[0]!, 1e-5)
        await compare(gradients, arrays, kind)
      })
})
