import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { encodeModel } from '../../src/onnx/write.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { vectors } from '../trajectory/write-checkpoints.js'
import { newFolder, removeFolders, retrograd } from './command.js'

/** Clears a terminal's screen. */
const CLEAR = '\u001b[2J'
const NAME = `evil${CLEAR}.weight`
const UNUSED = `un${CLEAR}used`

/** A run whose tensor's name is written to take the terminal over. */
function recorded(): { readonly checkpoints: string; readonly model: string; readonly data: string } {
  const folder = newFolder()
  const checkpoints = join(folder, 'checkpoints')
  mkdirSync(checkpoints)
  for (let step = 0; step < 3; step += 1)
    writeFileSync(
      join(checkpoints, `step-${step}.safetensors`),
      vectors({ [NAME]: [0.1 * step - 0.3], [UNUSED]: [step] }),
    )
  const model = join(folder, 'model.onnx')
  const graph = graphOf({
    inputs: [input('x', ['batch'])],
    initializers: { [NAME]: tensor('float32', [1], [0.5]), [UNUSED]: tensor('float32', [1], [0.25]) },
    nodes: [node('Mul', ['x', NAME], 'y'), node('Mul', ['x', UNUSED], 'z')],
    outputs: ['y', 'z'],
  })
  writeFileSync(model, encodeModel(graph))
  const data = join(folder, 'data.safetensors')
  writeFileSync(data, vectors({ x: [1, 2, -0.5] }))
  return { checkpoints, model, data }
}

describe('names that are written to take a terminal over', () => {
  after(removeFolders)

  it('are spelled out in the notes and the summary of a run', async () => {
    const { checkpoints, model, data } = recorded()
    const given = ['--model', model, '--train', data, '--loss', 'output:y', '--workers', '1']
    const out = join(newFolder(), 'out')
    const { status, stdout, stderr } = await retrograd(['run', checkpoints, ...given, '--out', out])
    expect(status, stderr).to.be.oneOf([0, 4])
    expect(stdout).to.contain('evil\\u001b[2J')
    expect(stderr).to.contain('un\\u001b[2Jused')
    expect(stdout + stderr).to.not.contain('\u001b')
  })

  it('are spelled out in errors', async () => {
    const { status, stderr } = await retrograd([
      'run',
      'no',
      '--model',
      `no${CLEAR}.onnx`,
      '--train',
      'no',
      '--loss',
      'mse',
      '--out',
      'elsewhere',
    ])
    expect(status).to.equal(2)
    expect(stderr).to.contain('no\\u001b[2J.onnx')
    expect(stderr).to.not.contain('\u001b')
  })
})
