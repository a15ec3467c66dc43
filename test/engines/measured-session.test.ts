import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { expect } from 'chai'
import { Tensor } from '../../src/engines/runtime.js'
import type { Device } from '../../src/engines/devices/names.js'
import { MeasuredSession } from '../../src/engines/measured-session.js'
import { DeviceError } from '../../src/errors.js'
import { encodeModel } from '../../src/onnx/write.js'
import { graphOf, input, node } from '../support/graphs.js'
import { rejection } from '../support/rejection.js'
import { describeWithWebgpu, withVulkanDriver } from './devices/swiftshader.js'

/** A network of which ONNX Runtime's WebGPU provider has one operator, and leaves the other to the CPU. */
const MODEL = encodeModel(
  graphOf({
    inputs: [input('x', [2, 2])],
    nodes: [node('Neg', ['x'], 'y'), node('Det', ['y'], 'd')],
    outputs: ['d'],
  }),
)

const profiles = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('retrograd-profile-'))

async function withSession(
  placing: { readonly device: Device; readonly strict: boolean },
  work: (session: MeasuredSession, run: () => Promise<number>) => Promise<void>,
): Promise<void> {
  const session = await MeasuredSession.open(MODEL, placing)
  const x = new Tensor('float32', Float32Array.of(1, 2, 3, 4), [2, 2])
  try {
    await work(session, async () => Number((await session.run({ x }, { d: null })).d!.data[0]))
  } finally {
    await session.release()
  }
}

describeWithWebgpu('a session on WebGPU', () => {
  it('tells where its nodes ran after two runs, goes on, and leaves no files', async () => {
    const before = profiles()
    await withVulkanDriver(() =>
      withSession({ device: 'webgpu', strict: false }, async (session, run) => {
        await run()
        expect(session.placement).to.equal(undefined)
        await run()
        expect(session.placement).to.deep.include({
          nodes: 2,
          onDevice: 1,
          elsewhere: [{ op: 'Det', nodes: 1 }],
        })
        expect(profiles().filter((name) => !before.includes(name))).to.deep.equal([])
        expect(await run()).to.be.closeTo(-2, 1e-5)
      }),
    )
  })

  it('refuses the first run where a node would run on the CPU and may not, and names it', async () => {
    await withVulkanDriver(() =>
      withSession({ device: 'webgpu', strict: true }, async (_, run) => {
        const error = await rejection(run())
        expect(error).to.be.instanceOf(DeviceError)
        expect(error.message).to.match(
          /^--strict-device: webgpu leaves 1 of 2 nodes to the CPU: Det; without/,
        )
      }),
    )
  })
})

describe('a session on the CPU', () => {
  it('measures nothing', async () => {
    await withSession({ device: 'cpu', strict: true }, async (session, run) => {
      await run()
      expect(await run()).to.be.closeTo(-2, 1e-5)
      expect(session.placement).to.equal(undefined)
    })
  })
})
