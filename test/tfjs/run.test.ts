import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { openResults } from '../../src/tables/read.js'
import { newFolder, removeFolders, retrograd } from '../cli/command.js'
import type { Outcome } from '../cli/command.js'
import { writeNpyFolder } from '../support/npy.js'
import { Random } from '../support/random.js'
import { BACKEND_VARIABLE } from '../../src/engines/tfjs/choose.js'
import { withoutOnnxRuntime } from '../support/without-onnxruntime.js'
import { describeWithNative } from './native.js'

/** A network with convolutions and BatchNorm, recorded by PyTorch, in TensorFlow.js' and in PyTorch's form. */
const RUN = 'fixtures/formats/tfjs-node'
const SAME = ['fixtures/formats/safetensors', '--model', 'fixtures/formats/model.onnx'] as const

interface Hidden {
  /** Packages that are not there. */
  readonly packages?: readonly string[]
  /** Whether the native binding is not there. */
  readonly binding?: boolean
}

/** The environment of a process in which packages, or the native binding, are not installed. */
function without({ packages = [], binding = false }: Hidden): Record<string, string> {
  const path = join(newFolder(), 'hide.cjs')
  writeFileSync(
    path,
    `const Module = require('node:module')
    const [resolve, load] = [Module._resolveFilename, Module._load]
    Module._resolveFilename = (request, ...more) => {
      if (${JSON.stringify(packages)}.some((name) => request === name || request.startsWith(name + '/')))
        throw Object.assign(new Error('Cannot find module ' + request), { code: 'MODULE_NOT_FOUND' })
      return resolve.call(Module, request, ...more)
    }
    if (${binding}) Module._load = (request, ...more) =>
      request === '@mapbox/node-pre-gyp' ? { find: () => '/nowhere/tfjs_binding.node' } : load.call(Module, request, ...more)
    `,
  )
  return { NODE_OPTIONS: `--require ${path}` }
}

const TFJS = [
  '@tensorflow/tfjs',
  '@tensorflow/tfjs-node',
  '@tensorflow/tfjs-node-gpu',
  '@tensorflow/tfjs-backend-wasm',
]

describe('retrograd run --engine tfjs', () => {
  let data = ''
  before(() => {
    const random = new Random('tfjs run')
    const y = Array.from({ length: 20 }, () => Math.floor(random.next() * 3))
    data = writeNpyFolder(join(newFolder(), 'data'), {
      x: { type: '<f4', shape: [20, 6, 6, 1], values: Float32Array.from(random.uniform(720, -1, 1)) },
      y: { type: '<i8', shape: [20], values: BigInt64Array.from(y, BigInt) },
    })
  })
  after(removeFolders)

  const run = (
    checkpoints: readonly string[],
    more: readonly string[],
    env = {},
  ): Promise<Outcome & { out: string }> => {
    const out = join(newFolder(), 'out')
    const given = ['--train', data, '--loss', 'cross-entropy', '--workers', '1', '--out', out, ...more]
    return retrograd(['run', ...checkpoints, ...given], { env }).then((result) => ({ ...result, out }))
  }
  const tfjs = (more: readonly string[] = [], env = {}) => run([RUN, '--engine', 'tfjs'], more, env)

  const lcaOf = async (out: string): Promise<number[]> => {
    const { columns } = await (await openResults(out)).readTable('tensors')
    const rows = Array.from(columns.lca, (lca, i) => ({
      lca,
      key: `${columns.step_from[i]!} ${nameOf(columns.tensor[i]!)}`,
    }))
    return rows.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ lca }) => lca)
  }
  /** PyTorch's words for the fixture's names. */
  const nameOf = (name: string): string =>
    name
      .replace('/', '.')
      .replace(/kernel|gamma/, 'weight')
      .replace('beta', 'bias')
      .replace('moving_mean', 'running_mean')
      .replace('moving_variance', 'running_var')

  describeWithNative('with the native library', () => {
    it("replays PyTorch's run as its ONNX export is replayed, and names engine and backend", async () => {
      const own = await tfjs()
      expect(own.status, own.stderr).to.equal(0)
      expect(own.stdout).to.match(
        /computed by TensorFlow\.js 4\.22\.0 \(tfjs-node, TensorFlow \d+\.\d+\.\d+, cpu\)/,
      )
      expect(own.stderr).to.match(/the network is .*step-30\/model\.json/)
      // nothing of TensorFlow's own messages
      for (const line of own.stderr.trim().split('\n')) expect(line).to.match(/^·/)
      const other = await run(SAME, [])
      expect(other.status, other.stderr).to.equal(0)
      const [got, want] = [await lcaOf(own.out), await lcaOf(other.out)]
      expect(got).to.have.length(36)
      want.forEach((lca, i) => {
        expect(got[i]).to.be.closeTo(lca, 1e-6)
      })
      const { device } = (await openResults(own.out)).manifest
      expect(device).to.include({ engine: 'tfjs', provider: 'cpu', backend: 'tfjs-node', version: '4.22.0' })
    })
  })

  it('says the remedy where the binding is missing, and computes in pure JavaScript', async () => {
    const { status, stderr, stdout } = await tfjs(['--steps', '0:10'], without({ binding: true }))
    expect(status, stderr).to.equal(0)
    expect(stderr).to.match(
      /native binding is not there.*npm rebuild @tensorflow\/tfjs-node --ignore-scripts=false; .*npm run setup:tfjs/,
    )
    expect(stderr).to.match(/WebAssembly has no Conv2DBackpropFilter.*computing in pure JavaScript/)
    expect(stdout).to.match(/computed by TensorFlow\.js 4\.22\.0 \(js, cpu\)/)
  })

  it('needs no ONNX Runtime', async () => {
    const env = { ...withoutOnnxRuntime(), [BACKEND_VARIABLE]: 'js' }
    const { status, stderr } = await tfjs(['--steps', '0:10'], env)
    expect(status, stderr).to.equal(0)
    expect(stderr).to.not.match(/worker process/)
  })

  it('ends with status 3 where TensorFlow.js is not installed', async () => {
    const { status, stderr } = await tfjs([], without({ packages: TFJS }))
    expect(stderr).to.match(/TensorFlow\.js is not installed; install it: npm install --ignore-scripts=false/)
    expect(status).to.equal(3)
  })

  it('ends with status 3 for a device that it has not', async () => {
    const { status, stderr } = await tfjs(['--device', 'webgpu'])
    expect(stderr).to.match(/--device webgpu: the engine tfjs computes on cpu/)
    expect(status).to.equal(3)
    const cuda = await tfjs(['--device', 'cuda'])
    expect(cuda.stderr).to.match(/tfjs-node-gpu is not installed/)
    expect(cuda.status).to.equal(3)
  })

  it('ends with status 2 for an option that only the other engine has', async () => {
    const { status, stderr } = await tfjs(['--precision', 'float16'])
    expect(stderr).to.match(/--precision float16 belongs to --engine onnxruntime/)
    expect(status).to.equal(2)
  })

  it('is in the help', async () => {
    const { stdout } = await retrograd(['run', '--help'])
    expect(stdout).to.match(/--engine tfjs/)
  })
})
