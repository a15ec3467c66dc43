import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { earlyWorkersIn } from '../../src/cli/early-workers.js'
import type { WorkerSetup } from '../../src/replay/workers/messages.js'
import { startWorkers } from '../../src/replay/workers/start.js'
import { TF32_VARIABLE, WorkerProcess } from '../../src/replay/workers/worker-process.js'

const MAIN = fileURLToPath(new URL('./environment-worker.js', import.meta.url))

/** What a worker sees of the variable that forbids TF32. */
async function seen(tf32?: boolean): Promise<string> {
  const worker = new WorkerProcess({ main: MAIN, ...(tf32 !== undefined && { tf32 }) })
  try {
    return await new Promise<string>((resolve, reject) => {
      worker.begin({} as WorkerSetup, {
        onMessage: (message) => {
          if (message.kind === 'failed') resolve(message.failure.message)
        },
        onDeath: ({ how }) => {
          reject(new Error(how))
        },
      })
    })
  } finally {
    await worker.kill()
  }
}

describe('the environment of workers', () => {
  afterEach(() => {
    Reflect.deleteProperty(process.env, TF32_VARIABLE)
  })

  it('forbids TF32, whatever the environment around says', async () => {
    expect(await seen()).to.equal('0')
    process.env[TF32_VARIABLE] = '1'
    expect(await seen(false)).to.equal('0')
  })

  it('leaves TF32 to ONNX Runtime where it is asked for', async () => {
    expect(await seen(true)).to.equal('nothing')
    process.env[TF32_VARIABLE] = '0'
    expect(await seen(true)).to.equal('nothing')
  })

  it('is told from the command line before it is parsed', () => {
    expect(earlyWorkersIn(['run', 'x'])).to.deep.equal({ tf32: false })
    expect(earlyWorkersIn(['run', 'x', '--tf32', '--workers=3', '--device', 'cuda'])).to.deep.equal({
      tf32: true,
      workers: 3,
      device: 'cuda',
    })
    expect(earlyWorkersIn(['run', '--device=webgpu', '--workers', '0', '--no-tf32'])).to.deep.equal({
      tf32: false,
      device: 'webgpu',
    })
  })
})

describe('workers that are begun early', () => {
  it('are one where the line names a device, and as many as are asked for', () => {
    for (const [asked, count] of [
      [{ device: 'webgpu' }, 1],
      [{ device: 'cuda', workers: 3 }, 3],
      [{ device: 'cpu', workers: 2 }, 2],
    ] as const)
      expect(startCount(asked)).to.equal(count)
  })
})

function startCount(asked: Parameters<typeof startWorkers>[0]): number {
  const workers = startWorkers(asked)
  try {
    return (workers as unknown as { processes: unknown[] }).processes.length
  } finally {
    workers.stop()
  }
}

/** Files of ours that a program reads before it runs. */
function loadedFirst(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found
  found.add(file)
  for (const [, path] of readFileSync(file, 'utf8').matchAll(/^(?:import|export) [^;]*?from '(\.[^']+)'/gm))
    loadedFirst(join(dirname(file), path!), found)
  return found
}

describe("a worker's program", () => {
  it('begins without what reads and rewrites graphs, which most workers never need', () => {
    const main = fileURLToPath(new URL('../../src/replay/workers/worker-main.js', import.meta.url))
    const source = join(dirname(main), '../..')
    // ONNX Runtime is loaded ahead, by itself
    const engine = join(source, 'engines/open-onnxruntime.js')
    const loaded = [...loadedFirst(engine, loadedFirst(main))].map((file) =>
      relative(source, file).replaceAll('\\', '/'),
    )
    expect(loaded).to.include('engines/onnxruntime.js')
    expect(loaded.filter((file) => /^(autodiff|onnx|trajectory|data|cli)\//.test(file))).to.deep.equal([])
  })
})
