import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { BACKEND_VARIABLE, chooseTfjs } from '../../src/engines/tfjs/choose.js'
import type { Packages } from '../../src/engines/tfjs/choose.js'
import type { LoadedTfjs } from '../../src/engines/tfjs/load.js'
import { TFJS_PACKAGES } from '../../src/engines/tfjs/packages.js'
import type { TfjsBackendName } from '../../src/engines/tfjs/packages.js'
import { tfjsBackends, tryBackend } from '../../src/engines/tfjs/probe.js'
import { DeviceError, UsageError } from '../../src/errors.js'
import { newFolder, removeFolders } from '../cli/command.js'
import { rejection } from '../support/rejection.js'
import { describeWithNative } from './native.js'

/** Packages that are installed and load, or don't, as said. */
function packages(
  state: Readonly<Partial<Record<TfjsBackendName, 'loads' | 'on a GPU' | 'breaks'>>>,
): Packages {
  const of = (wanted: string): TfjsBackendName | undefined =>
    (Object.keys(state) as TfjsBackendName[]).find((name) => TFJS_PACKAGES[name].package === wanted)
  return {
    version: (wanted) => (of(wanted) === undefined ? undefined : '4.22.0'),
    load: (name) =>
      state[name] === 'breaks'
        ? Promise.reject(new DeviceError(`${name} breaks: npm rebuild ${name}`))
        : Promise.resolve({ name, version: '4.22.0', gpu: state[name] === 'on a GPU' } as LoadedTfjs),
  }
}

describe('choosing how TensorFlow.js computes', () => {
  it('takes the GPU, then the native library, then WebAssembly, then JavaScript', async () => {
    const all = { 'tfjs-node-gpu': 'on a GPU', 'tfjs-node': 'loads', wasm: 'loads', js: 'loads' } as const
    expect((await chooseTfjs('auto', packages(all))).name).to.equal('tfjs-node-gpu')
    expect((await chooseTfjs('cpu', packages(all))).name).to.equal('tfjs-node')
    const { name, notes } = await chooseTfjs('auto', packages({ wasm: 'loads', js: 'loads' }))
    expect(name).to.equal('wasm')
    expect(notes).to.have.length(1)
    expect(notes[0]).to.match(
      /WebAssembly.*npm install --ignore-scripts=false @tensorflow\/tfjs-node@4\.22\.0/,
    )
    expect((await chooseTfjs('auto', packages({ js: 'loads' }))).notes[0]).to.match(/pure JavaScript/)
  })

  it('says the remedy of a binding that does not load, and goes on without it', async () => {
    const { name, notes } = await chooseTfjs('auto', packages({ 'tfjs-node': 'breaks', js: 'loads' }))
    expect(name).to.equal('js')
    expect(notes[0]).to.match(/hundred times slower.*npm rebuild tfjs-node/)
  })

  it('fails with the reasons where nothing loads, and with the line where nothing is installed', async () => {
    const broken = await rejection(chooseTfjs('auto', packages({ 'tfjs-node': 'breaks' })))
    expect(broken).to.be.instanceOf(DeviceError)
    expect(broken.message).to.match(/tfjs-node breaks: npm rebuild/)
    const absent = await rejection(chooseTfjs('auto', packages({})))
    expect(absent).to.be.instanceOf(DeviceError)
    expect(absent.message).to.match(/TensorFlow\.js is not installed.*npm install/)
  })

  it('takes cuda for the package of the GPU alone, and only where it finds one', async () => {
    const absent = await rejection(chooseTfjs('cuda', packages({ 'tfjs-node': 'loads', js: 'loads' })))
    expect(absent.message).to.match(/tfjs-node-gpu is not installed/)
    const idle = await rejection(chooseTfjs('cuda', packages({ 'tfjs-node-gpu': 'loads' })))
    expect(idle).to.be.instanceOf(DeviceError)
    expect(idle.message).to.match(/finds no GPU/)
    expect((await chooseTfjs('cuda', packages({ 'tfjs-node-gpu': 'on a GPU' }))).gpu).to.equal(true)
  })

  it('refuses other devices', async () => {
    const error = await rejection(chooseTfjs('webgpu', packages({ js: 'loads' })))
    expect(error).to.be.instanceOf(DeviceError)
    expect(error.message).to.match(/--device webgpu: the engine tfjs computes on cpu, or on cuda/)
  })

  it('takes the way that the environment names', async () => {
    const all = packages({ 'tfjs-node': 'loads', js: 'loads' })
    try {
      process.env[BACKEND_VARIABLE] = 'js'
      const { name, notes } = await chooseTfjs('auto', all)
      expect(name).to.equal('js')
      expect(notes).to.deep.equal([
        'TensorFlow.js computes in pure JavaScript, some hundred times slower than its native library; RETROGRAD_TFJS_BACKEND names it',
      ])
      expect((await rejection(chooseTfjs('cuda', all))).message).to.match(
        /^--device cuda: RETROGRAD_TFJS_BACKEND=js does not compute there/,
      )
      process.env[BACKEND_VARIABLE] = 'wasm'
      expect((await rejection(chooseTfjs('auto', all))).message).to.match(
        /@tensorflow\/tfjs-backend-wasm is not installed; install it: .*@tensorflow\/tfjs-backend-wasm@4/,
      )
      process.env[BACKEND_VARIABLE] = 'abacus'
      expect(await rejection(chooseTfjs('auto', all))).to.be.instanceOf(UsageError)
    } finally {
      Reflect.deleteProperty(process.env, BACKEND_VARIABLE)
    }
  })

  it('reports every way: installed, loads, version, reason', () => {
    const reports = tfjsBackends()
    expect(reports.map(({ name }) => name)).to.deep.equal(['tfjs-node-gpu', 'tfjs-node', 'wasm', 'js'])
    const [gpu, , wasm, js] = reports
    expect(gpu).to.deep.include({ installed: false, loads: false })
    expect(gpu!.reason).to.match(/not installed: npm install .*@tensorflow\/tfjs-node-gpu@4\.22\.0/)
    for (const one of [wasm, js])
      expect(one).to.deep.include({ installed: true, loads: true, version: '4.22.0' })
  })
})

describe('the trial of a way to run TensorFlow.js', () => {
  after(removeFolders)

  for (const [what, text, reason] of [
    ['hangs', 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)', /did not answer within 0\.3 s/],
    ['is ended', 'process.kill(process.pid, "SIGSEGV")', /ended by SIGSEGV/],
    ['says nonsense', 'console.log("{nonsense")', /exit code 0 without an answer/],
    ['says something else', 'console.log("null")', /exit code 0 without an answer/],
    ['throws', 'throw new Error("no library")', /fails: /],
  ] as const)
    it(`is told of where its process ${what}`, () => {
      const program = join(newFolder(), 'trial.mjs')
      writeFileSync(program, text)
      const wasm = tryBackend('wasm', { program, timeout: 300 })
      expect(wasm).to.deep.include({ installed: true, loads: false })
      expect(wasm.reason).to.match(reason)
    })
})

describeWithNative('the native binding', () => {
  it("computes where util's old functions are gone, as in Node.js 23", () => {
    const load = new URL('../../src/engines/tfjs/load.js', import.meta.url).href
    const program = `
      import { createRequire } from 'node:module'
      const util = createRequire(import.meta.url)('node:util')
      for (const name of ['isNullOrUndefined', 'isArray', 'isString']) delete util[name]
      const { loadTfjs } = await import('${load}')
      const { tf, tensorflow } = await loadTfjs('tfjs-node', 1)
      const slope = tf.grad((x) => x.square().sum())(tf.tensor1d([1.5])).dataSync()[0]
      console.log(slope, tensorflow)
    `
    const said = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
    expect(said).to.match(/^3 \d+\.\d+\.\d+/)
  })
})
