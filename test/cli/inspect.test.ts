import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'

import { writeArchive } from '../../scripts/bench/archive.js'
import { newFolder, removeFolders, retrograd } from './command.js'

const FORMATS = 'fixtures/formats'
const MODEL = join(FORMATS, 'tf-keras-unfused.onnx')
const MAIN = fileURLToPath(new URL('../../bin/main.js', import.meta.url))

/** Prints how many bytes the process has read, when it ends (Linux counts them: proc(5), /proc/pid/io). */
const COUNT_READS = `data:text/javascript,import { readFileSync } from 'node:fs';process.on('exit', () => process.stderr.write(readFileSync('/proc/self/io', 'utf8')))`

describe('retrograd inspect', () => {
  after(removeFolders)

  it('shows steps, tensors and where the steps come from, and exits 0 where nothing is wrong', async () => {
    const { status, stdout, stderr } = await retrograd(['inspect', 'fixtures/mnist-lenet/checkpoints'])
    expect(status, stderr).to.equal(0)
    expect(stdout).to.match(/61 checkpoints · safetensors · 2\.96 MB · 11,978 parameters in 8 tensors/)
    expect(stdout).to.match(/step 0 to 60, 1 apart/)
    expect(stdout).to.match(/conv1\.weight +8 x 1 x 5 x 5 +float32 +1\.55 → 2\.5 +[▁▂▃▄▅▆▇█]{32}/)
    expect(stdout).to.match(/nothing wrong was found/)
  })

  it('gives the same as JSON', async () => {
    const { status, stdout } = await retrograd(['inspect', join(FORMATS, 'timm'), '--json'])
    expect(status).to.equal(0)
    const facts = JSON.parse(stdout) as Record<string, unknown>
    expect(facts).to.include({ format: 'PyTorch', step_unit: 'epoch', values_read: true, binding: null })
    expect(facts.problems).to.deep.equal([])
    expect((facts.left_out as { path: string }[]).map(({ path }) => path)).to.include(
      join(FORMATS, 'timm/last.pth.tar'),
    )
    const weight = (facts.tensors as { name: string }[]).find(({ name }) => name === 'fc2.weight')
    expect(weight).to.deep.include({ shape: [3, 4], dtype: 'float32', is_weight: true })
  })

  it('exits 1 where something is wrong, and says what', async () => {
    const folder = join(newFolder(), 'run')
    cpSync('fixtures/mnist-lenet/checkpoints', folder, { recursive: true })
    rmSync(join(folder, 'step-000030.safetensors'))
    writeFileSync(
      join(folder, 'step-000040.safetensors'),
      readFileSync(join(folder, 'step-000040.safetensors')).subarray(0, 9000),
    )
    cpSync(join(folder, 'step-000049.safetensors'), join(folder, 'step-000050.safetensors'))
    const { status, stdout } = await retrograd(['inspect', folder])
    expect(status).to.equal(1)
    expect(stdout).to.match(/3 things are wrong/)
    expect(stdout).to.match(
      /✗ .*step-000040\.safetensors: truncated: its header promises 48488 bytes, but the file has 9000/,
    )
    expect(stdout).to.match(/✗ steps 30 and 40 are missing/)
    expect(stdout).to.match(/✗ step 50: the checkpoint holds the same numbers as the one before/)
  })

  it('says how tensors go into a network, and writes a map that gives the same binding again', async () => {
    const map = join(newFolder(), 'names.json')
    const args = ['inspect', join(FORMATS, 'flax-checkpoint'), '--model', MODEL]
    const first = await retrograd([...args, '--write-map', map])
    expect(first.status, first.stderr).to.equal(0)
    expect(first.stdout).to.match(
      /fits .*tf-keras-unfused\.onnx\n +12 tensors bound: 12 by value from step 30, 2 transposed/,
    )
    expect(JSON.parse(readFileSync(map, 'utf8'))).to.deep.include({
      'network/conv1/Conv2D/ReadVariableOp:0': { tensor: 'params/conv1/kernel', transpose: [3, 2, 0, 1] },
    })
    const again = await retrograd([...args, '--map', map])
    expect(again.stdout).to.match(/12 tensors bound: 12 by --map, 2 transposed/)
    const taken = await retrograd([...args, '--write-map', map])
    expect(taken.status).to.equal(2)
    expect(taken.stderr).to.match(
      /--write-map .*names\.json: there is such a file already; --overwrite replaces it/,
    )
  })

  it('drafts a map where the tensors do not fit, with what is open marked, and exits 1', async () => {
    const map = join(newFolder(), 'names.json')
    const args = [
      'inspect',
      join(FORMATS, 'safetensors'),
      '--model',
      join(FORMATS, 'mlp.onnx'),
      '--write-map',
      map,
    ]
    const { status, stdout } = await retrograd(args)
    expect(status).to.equal(1)
    expect(stdout).to.match(/✗ .*mlp\.onnx does not fit/)
    expect(stdout).to.match(/put a tensor's name or null into the entry that says "\?"/)
    expect(JSON.parse(readFileSync(map, 'utf8'))).to.deep.include({ 'fc3.bias': '?' })
    const open = await retrograd([...args.slice(0, 4), '--map', map])
    expect(open.status).to.equal(2)
    expect(open.stderr).to.match(/entry 'fc3\.bias' is still open/)
  })

  it('says what is needed for a map where the checkpoints are no networks', async () => {
    const { status, stderr } = await retrograd([
      'inspect',
      join(FORMATS, 'npz'),
      '--write-map',
      join(newFolder(), 'm.json'),
    ])
    expect(status).to.equal(2)
    expect(stderr).to.match(/the checkpoints hold weights alone: name the network as ONNX with --model/)
  })

  it('binds networks that were exported at every step to the last of them', async () => {
    const { status, stdout } = await retrograd(['inspect', join(FORMATS, 'onnx-external')])
    expect(status).to.equal(0)
    expect(stdout).to.match(/fits .*step-30\/model\.onnx\n +12 tensors bound by name/)
  })

  it('is plain in a pipe, and in the logs of CI, unless colors are asked for', async () => {
    const isColored = async (env: Readonly<Record<string, string>>): Promise<boolean> => {
      const { status, stdout } = await retrograd(['inspect', join(FORMATS, 'timm')], { env })
      expect(status).to.equal(0)
      return stdout.includes('\x1b[')
    }
    expect(await isColored({})).to.equal(false)
    expect(await isColored({ CI: 'true' })).to.equal(false)
    expect(await isColored({ CI: 'true', FORCE_COLOR: '1' })).to.equal(true)
    expect(await isColored({ NO_COLOR: '1', FORCE_COLOR: '1' })).to.equal(false)
  })

  it('refuses what cannot be read with the remedy of run', async () => {
    const { status, stderr } = await retrograd(['inspect', join(FORMATS, 'refused/torch-distributed')])
    expect(status).to.equal(3)
    expect(stderr).to.match(/python -m torch\.distributed\.checkpoint\.format_utils dcp_to_torch/)
  })

  const counted = existsSync('/proc/self/io')
  const title = 'reads headers only of an archive that is large, or where it is told to'
  ;(counted ? it : it.skip)(counted ? title : `${title} [skipped: this system counts no bytes read]`, () => {
    const folder = newFolder()
    writeArchive(folder, 60)
    const bytesRead = (options: readonly string[]): { read: number; stdout: string } => {
      const args = ['--import', COUNT_READS, MAIN, 'inspect', folder, ...options]
      const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
      return { read: Number(/rchar: (\d+)/.exec(stderr)![1]), stdout }
    }
    const few = bytesRead(['--steps', '0:1', '--no-values'])
    const all = bytesRead([])
    expect(all.stdout).to.match(/60 checkpoints · safetensors · 3\.02 GB/)
    expect(all.stdout).to.match(/headers only: --values reads the numbers too/)
    // a header of some kilobytes and the two ends of each file for its fingerprint, of 50 MB
    expect((all.read - few.read) / 58).to.be.lessThan(200_000)
  })
})
