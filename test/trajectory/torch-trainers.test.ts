import { readFileSync } from 'node:fs'
import { expect } from 'chai'

import { CheckpointError, CheckpointFormatError } from '../../src/errors.js'
import type { WeightKind } from '../../src/trajectory/formats/format.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { readNpz } from '../support/npz.js'
import { rejection } from '../support/rejection.js'

const FOLDER = 'fixtures/formats'

/** A recorded run as a trainer leaves it (scripts/make-fixtures/formats). */
interface Recorded {
  readonly id: string
  readonly path: string
  readonly writer: string
  readonly unit: string
  readonly steps: readonly number[]
  /** The first weight's name in the checkpoints, which ends in the network's own. */
  readonly names: string
  readonly ema?: { readonly weights: string }
}

const { formats } = JSON.parse(readFileSync(`${FOLDER}/formats.json`, 'utf8')) as { formats: Recorded[] }
const TRAINERS = /^(?:torch-|composer|deepspeed|fairseq|hf-|lightning|mmengine|nanogpt|olmo|pythia|timm)/

/** The steps of the recording whose weights the four checkpoints of a run hold. */
const RECORDED = [0, 10, 20, 30]

describe("runs as PyTorch's trainers leave them", () => {
  for (const recorded of formats.filter(({ id }) => TRAINERS.test(id)))
    for (const weights of recorded.ema === undefined ? (['raw'] as const) : (['raw', 'ema'] as const))
      it(`give steps and ${weights} weights: ${recorded.id}, by ${recorded.writer}`, () =>
        check(recorded, weights))

  async function check(recorded: Recorded, weights: WeightKind): Promise<void> {
    const { path, unit, steps, names } = recorded
    const trajectory = await openTrajectory(`${FOLDER}/${path}`, { weights })
    expect(trajectory.stepUnit).to.equal(unit)
    expect(trajectory.checkpoints.map(({ step }) => step)).to.deep.equal(steps)
    const prefix = names.slice(0, -'conv1.weight'.length)
    const average = weights === 'ema' ? recorded.ema?.weights : undefined
    const truth = await readNpz(`${FOLDER}/${average ?? 'weights.npz'}`)
    for (const [i, checkpoint] of trajectory.checkpoints.entries()) {
      const step = RECORDED[RECORDED.length - steps.length + i]!
      for (const name of ['conv1.weight', 'fc2.bias']) {
        const { data } = await checkpoint.read(prefix + name)
        expect([...data], `${name} of step ${step}`).to.deep.equal([...(await truth(`${name}@${step}`))])
      }
    }
  }

  const REFUSED: readonly [
    id: string,
    error: typeof CheckpointError | typeof CheckpointFormatError,
    RegExp,
  ][] = [
    ['deepspeed-zero', CheckpointFormatError, /DeepSpeed ZeRO.*zero_to_fp32\.py.*--tag global_step10/],
    ['flax-orbax', CheckpointFormatError, /Orbax.*restore\('.*checkpoint_10'\)/],
    ['orbax', CheckpointFormatError, /Orbax.*restore\('.*10\/default'\)/],
    ['orbax-unfinished', CheckpointError, /a save that was not finished/],
    ['megatron', CheckpointFormatError, /Megatron.*convert\.py/],
    ['torch-distributed', CheckpointFormatError, /dcp_to_torch "/],
    ['torchscript', CheckpointFormatError, /torch\.jit\.load\("step-10\.pt"\)\.state_dict\(\)/],
  ]
  for (const [id, error, message] of REFUSED) {
    it(`are refused with the line that converts them: ${id}`, async () => {
      const thrown = await rejection(openTrajectory(`${FOLDER}/refused/${id}`))
      expect(thrown).to.be.instanceOf(error)
      expect(thrown.message).to.match(message)
    })
  }
})
