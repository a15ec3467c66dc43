import { join } from 'node:path'
import { expect } from 'chai'

import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import type { StepUnit } from '../../src/trajectory/checkpoint.js'
import { describeWithShared } from '../shared.js'

interface Case {
  readonly path: string
  readonly unit: StepUnit
  readonly steps: number
  /** The step that the sums below are of. */
  readonly step: number
  /** float64 sum, first and last element, as numpy reads them. */
  readonly tensors: Readonly<Record<string, readonly [number, number, number]>>
}

const CASES: readonly Case[] = [
  {
    path: 'mnist-fc/checkpoints',
    unit: 'step',
    steps: 13,
    step: 7,
    tensors: {
      'fc1.bias': [0.21554499440389918, -0.006385669577866793, -0.03458943963050842],
      'fc1.weight': [23.525898486524966, 0.0024944671895354986, 0.009287106804549694],
      'fc3.weight': [-0.7240125148709922, -0.08381116390228271, -0.03326111286878586],
    },
  },
  {
    path: 'lenet/checkpoints',
    unit: 'iteration',
    steps: 6,
    step: 3,
    tensors: {
      'c1.weight': [-0.8084207554347813, 0.013779864646494389, 0.009114956483244896],
      'f1.weight': [-1.521350575192173, -0.009912054985761642, 0.02760874293744564],
      'f2.bias': [-0.281294796615839, 0.07448417693376541, -0.04311888664960861],
    },
  },
  {
    path: 'resnet-bn/checkpoints',
    unit: 'step',
    steps: 5,
    step: 3,
    tensors: {
      'model.stem.weight': [0.6056198866572231, 0.02325788326561451, -0.13492931425571442],
      'model.layers.2.bn2.running_var': [24.264178037643433, 0.7529481649398804, 0.7643930315971375],
    },
  },
  {
    path: 'gpt/checkpoints',
    unit: 'step',
    steps: 7,
    step: 4,
    tensors: {
      'wte.weight': [-11.586508595850319, -0.8087049126625061, 0.501709520816803],
      'h.0.down.weight': [0.20834768943313975, 0.01848088577389717, -0.0021358889061957598],
      'h.1.ln_1.weight': [32.095190942287445, 0.9907535314559937, 1.0084372758865356],
      'head.weight': [-1.3778072056593373, 0.09548830986022949, -0.1646241843700409],
    },
  },
  {
    path: 'lca-paper-fc/weights.h5',
    unit: 'save',
    steps: 12,
    step: 5,
    tensors: {
      'sequential_network/fc_1/kernel:0': [-10.489820724675155, -0.018050340935587883, 0.04208028316497803],
      'sequential_network/fc_3/kernel:0': [11.176840883796103, -0.05293567106127739, -0.1765967607498169],
      'sequential_network/fc_3/bias:0': [-2.0954757928848267e-9, -0.022080978378653526, 0.032107625156641006],
    },
  },
]

describeWithShared('the reference trajectories', (shared) => {
  for (const { path, unit, steps, step, tensors } of CASES) {
    it(`${path} holds what numpy reads`, async () => {
      const trajectory = await openTrajectory(join(shared, 'reference', path))
      expect(trajectory.stepUnit).to.equal(unit)
      expect(trajectory.checkpoints.map((checkpoint) => checkpoint.step)).to.deep.equal([
        ...Array(steps).keys(),
      ])
      for (const [name, [sum, first, last]] of Object.entries(tensors)) {
        const { data } = await trajectory.checkpoints[step]!.read(name)
        let total = 0
        for (const value of data) total += value
        expect(total, name).to.be.closeTo(sum, 1e-10)
        expect([data[0], data.at(-1)], name).to.deep.equal([first, last])
      }
    })
  }
})
