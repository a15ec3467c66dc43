import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Graph } from '../../src/onnx/graph.js'
import { readModel } from '../../src/onnx/read.js'
import { encodeModel } from '../../src/onnx/write.js'
import { vectors } from '../trajectory/write-checkpoints.js'
import { newFolder, removeFolders, retrograd, runArguments } from './command.js'

const RUN = 'fixtures/mnist-lenet'
const save = (step: number): string => `step-${String(step).padStart(6, '0')}.safetensors`

/** A folder with the first checkpoints of the recorded run, to be spoilt. */
function checkpoints(count: number): string {
  const folder = join(newFolder(), 'checkpoints')
  mkdirSync(folder)
  for (let step = 0; step < count; step += 1)
    copyFileSync(join(RUN, 'checkpoints', save(step)), join(folder, save(step)))
  return folder
}

/** Where a tensor's bytes are in a safetensors file: 8 bytes of length, a JSON header, then the data. */
function tensorOffset(file: Buffer, tensor: string): number {
  const length = Number(file.readBigUInt64LE(0))
  const header = JSON.parse(file.subarray(8, 8 + length).toString()) as Record<
    string,
    { data_offsets: [number, number] }
  >
  return 8 + length + header[tensor]!.data_offsets[0]
}

async function model(change: (graph: Graph) => Graph): Promise<string> {
  const path = join(newFolder(), 'model.onnx')
  writeFileSync(path, encodeModel(change(await readModel(join(RUN, 'model.onnx')))))
  return path
}

/** A folder of .npy files: a header of the format's version 1.0 and little-endian data. */
function npyFolder(
  arrays: Readonly<Record<string, [descr: string, shape: number[], data: Uint8Array]>>,
): string {
  const folder = newFolder()
  for (const [name, [descr, shape, data]] of Object.entries(arrays)) {
    const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(', ')},), }`
    const header = Buffer.from(text.padEnd(117) + '\n')
    const length = Buffer.alloc(2)
    length.writeUInt16LE(header.length)
    writeFileSync(
      join(folder, `${name}.npy`),
      Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), length, header, data]),
    )
  }
  return folder
}

/** An operator of a set that no rule can know. */
const FOREIGN = { domain: 'com.example', op: 'Squash' }
const FOREIGN_OPSETS = new Map([
  ['', 20],
  ['com.example', 3],
])

interface BadInput {
  readonly what: string
  /** Options that differ from a sound run's. */
  readonly change: () => Record<string, string | undefined> | Promise<Record<string, string | undefined>>
  readonly status: number
  readonly message: RegExp
}

const CASES: readonly BadInput[] = [
  {
    what: 'a folder without checkpoints',
    change: () => ({ checkpoints: newFolder(), steps: undefined }),
    status: 1,
    message: /no checkpoints/,
  },
  {
    what: 'one checkpoint',
    change: () => ({ checkpoints: checkpoints(1), steps: undefined }),
    status: 1,
    message: /two checkpoints.*step-000000\.safetensors/,
  },
  {
    what: 'a checkpoint that tells no step among others that do',
    change: () => {
      const folder = checkpoints(3)
      copyFileSync(join(RUN, 'checkpoints', save(9)), join(folder, 'initial.safetensors'))
      return { checkpoints: folder, steps: undefined }
    },
    status: 1,
    message: /initial\.safetensors tells no step, while 3 other checkpoints do/,
  },
  {
    what: 'a folder for each checkpoint, with weights that are not read',
    change: () => {
      const folder = newFolder()
      for (const step of [100, 200]) {
        mkdirSync(join(folder, `checkpoint-${step}`))
        writeFileSync(join(folder, `checkpoint-${step}`, 'weights.txt'), 'x')
      }
      return { checkpoints: folder, steps: undefined }
    },
    status: 3,
    message: /checkpoint-100.*is read where it holds model\.safetensors.*docs\/recording\.md/,
  },
  {
    what: 'a folder for each checkpoint, whose weights are cut short',
    change: () => {
      const folder = newFolder()
      for (const step of [100, 200]) {
        mkdirSync(join(folder, `checkpoint-${step}`))
        writeFileSync(join(folder, `checkpoint-${step}`, 'pytorch_model.bin'), 'x')
      }
      return { checkpoints: folder, steps: undefined }
    },
    status: 1,
    message: /checkpoint-100.*pytorch_model\.bin: corrupt or truncated zip archive/,
  },
  {
    what: 'a path that is not there',
    change: () => ({ checkpoints: join(newFolder(), 'nowhere') }),
    status: 2,
    message: /nowhere/,
  },
  {
    what: 'a truncated checkpoint',
    change: () => {
      const folder = checkpoints(3)
      const file = join(folder, save(2))
      writeFileSync(file, readFileSync(file).subarray(0, 20_000))
      return { checkpoints: folder }
    },
    status: 1,
    message: /step-000002\.safetensors.*truncated/,
  },
  {
    what: 'a shape that changed between checkpoints',
    change: () => {
      const folder = newFolder()
      writeFileSync(join(folder, save(0)), vectors({ w: [1, 2, 3] }))
      writeFileSync(join(folder, save(1)), vectors({ w: [1, 2] }))
      return { checkpoints: folder, steps: undefined }
    },
    status: 1,
    message: /step-000001\.safetensors.*w.*2.*3/,
  },
  {
    what: 'NaN in a checkpoint',
    change: () => {
      const folder = checkpoints(3)
      const file = readFileSync(join(folder, save(2)))
      file.writeFloatLE(NaN, tensorOffset(file, 'fc1.weight') + 4 * 300)
      writeFileSync(join(folder, save(2)), file)
      return { checkpoints: folder }
    },
    status: 1,
    message: /step 2.*fc1\.weight.*NaN.*\[1, 44\].*--steps/,
  },
  {
    what: 'labels out of range',
    change: () => ({
      train: npyFolder({
        x: ['<f4', [2, 1, 28, 28], new Uint8Array(2 * 784 * 4)],
        y: ['|u1', [2], Uint8Array.of(3, 10)],
      }),
    }),
    status: 1,
    message: /y.*10.*10 classes/,
  },
  {
    what: "data that does not fit the network's input",
    change: () => ({
      train: npyFolder({
        x: ['<f4', [2, 32, 32], new Uint8Array(2 * 1024 * 4)],
        y: ['|u1', [2], Uint8Array.of(3, 1)],
      }),
    }),
    status: 1,
    message: /x.*32 x 32.*1 x 28 x 28/,
  },
  {
    what: 'a missing array name',
    change: () => ({ target: 'digits' }),
    status: 2,
    message: /digits.*images.*labels/,
  },
  {
    what: 'data that is not there',
    change: () => ({ train: 'nowhere.npz' }),
    status: 2,
    message: /nowhere\.npz/,
  },
  {
    what: 'an operator without a rule',
    change: async () => ({
      model: await model((graph) => ({
        ...graph,
        opsets: FOREIGN_OPSETS,
        nodes: graph.nodes.flatMap((node) =>
          node.op === 'Relu' && node.outputs[0] === 'relu'
            ? [
                { ...node, outputs: ['before'] },
                { ...node, ...FOREIGN, name: 'norm', inputs: ['before'] },
              ]
            : [node],
        ),
      })),
    }),
    status: 3,
    message: /com\.example\.Squash 'norm'.*no derivative rule for Squash \(com\.example opset 3\)/,
  },
  {
    what: 'a file that is no model',
    change: () => ({ model: 'package.json' }),
    status: 1,
    message: /package\.json.*not an ONNX model/,
  },
  {
    what: 'a network without the checkpoint’s tensors, neither by name nor by number',
    change: async () => ({
      model: await model((graph) => ({
        ...graph,
        initializers: new Map(
          [...graph.initializers].map(([name, value]) =>
            name.startsWith('fc2')
              ? [name.replace('fc2', 'head'), { ...value, read: () => new Uint8Array(value.read().length) }]
              : [name, value],
          ),
        ),
        nodes: graph.nodes.map((node) => ({
          ...node,
          inputs: node.inputs.map((name) => name.replace('fc2', 'head')),
        })),
      })),
    }),
    status: 3,
    message: /head\.weight[\s\S]*fc2\.weight/,
  },
  {
    what: 'a map that names no tensor of the checkpoints',
    change: () => {
      const map = join(newFolder(), 'map.json')
      writeFileSync(map, '{"fc2.weight": "head.weight"}')
      return { map }
    },
    status: 2,
    message:
      /--map: entry 'fc2\.weight': the checkpoints have no tensor 'head\.weight'; there are .*fc2\.weight/,
  },
  {
    what: 'a map that is not there',
    change: () => ({ map: 'nowhere.json' }),
    status: 2,
    message: /--map nowhere\.json: there is no such file/,
  },
  {
    what: 'a weight of which the exporter folded one use into a constant',
    change: async () => ({
      model: await model((graph) => {
        const { dtype, code, read } = graph.initializers.get('fc2.weight')!
        const copy = { shape: [32, 10], dtype, code, read }
        const reader = {
          name: '',
          domain: '',
          op: 'Identity',
          inputs: ['val_9'],
          outputs: ['again'],
          attributes: new Map(),
        }
        return {
          ...graph,
          initializers: new Map([...graph.initializers, ['val_9', copy]]),
          nodes: [...graph.nodes, reader],
        }
      }),
    }),
    status: 3,
    message: /'val_9' is a constant with the numbers of 'fc2\.weight'.*optimize=False/,
  },
  {
    what: 'an operator without a rule whose shape is unknown too, at the end',
    change: async () => ({
      model: await model((graph) => ({
        ...graph,
        opsets: FOREIGN_OPSETS,
        nodes: [
          ...graph.nodes.map((node) =>
            node.outputs[0] === 'logits' ? { ...node, outputs: ['before'] } : node,
          ),
          {
            ...FOREIGN,
            name: 'act',
            inputs: ['before'],
            outputs: ['logits'],
            attributes: new Map(),
          },
        ],
      })),
    }),
    status: 3,
    message: /com\.example\.Squash 'act'.*no derivative rule for Squash \(com\.example opset 3\)/,
  },
  {
    what: 'an opset that is newer than what runs',
    change: async () => ({ model: await model((graph) => ({ ...graph, opsets: new Map([['', 99]]) })) }),
    status: 3,
    message: /opset 99 is newer than \d+/,
  },
  {
    what: 'data that are no arrays',
    change: () => ({ train: 'fixtures/trajectory/dtypes.pt' }),
    status: 1,
    message: /dtypes\.pt.*without \.npy arrays/,
  },
  {
    what: 'an option without its value',
    change: () => ({ val: '' }),
    status: 2,
    message: /--val is given without a value/,
  },
  {
    what: 'a number that is none',
    change: () => ({ tolerance: 'small' }),
    status: 2,
    message: /--tolerance: a number is needed/,
  },
  {
    what: 'a loss that is none',
    change: () => ({ loss: 'hinge' }),
    status: 2,
    message: /hinge.*cross-entropy/,
  },
  {
    what: 'an output that the graph lacks',
    change: () => ({ loss: 'output:loss' }),
    status: 2,
    message: /no 'loss'.*logits/,
  },
  {
    what: 'splits that are no power of two',
    change: () => ({ 'max-splits': '6' }),
    status: 2,
    message: /--max-splits 6/,
  },
  {
    what: 'an option that is none',
    change: () => ({ tolerence: '1' }),
    status: 2,
    message: /--tolerence is no option; did you mean --tolerance\?/,
  },
  {
    what: 'a misspelt option that is needed',
    change: () => ({ model: undefined, modle: 'model.onnx' }),
    status: 2,
    message: /--modle is no option; did you mean --model\?/,
  },
  {
    what: 'an option that is missing',
    change: () => ({ loss: undefined }),
    status: 2,
    message: /Missing required argument: loss/,
  },
]

describe('bad input', () => {
  after(removeFolders)

  for (const { what, change, status, message } of CASES)
    it(`${what}: exit ${status}, a clear message, nothing written`, async () => {
      const out = join(newFolder(), 'out')
      const result = await retrograd(runArguments({ ...(await change()), out }))
      expect(result.status, result.stderr).to.equal(status)
      expect(result.stderr).to.match(message)
      expect(result.stderr).to.not.match(/\n\s+at /)
      expect(result.stdout).to.equal('')
      expect(existsSync(out)).to.equal(false)
    })

  it('the checkpoints as output folder: exit 2', async () => {
    const folder = checkpoints(3)
    const result = await retrograd(runArguments({ checkpoints: folder, out: `${folder}/` }))
    expect(result.status).to.equal(2)
    expect(result.stderr).to.match(/folder of the checkpoints/)
    expect(readdirSync(folder)).to.have.length(3)
  })

  it('an output folder that holds another run: exit 2, the old results stay', async () => {
    const out = join(newFolder(), 'out')
    const first = await retrograd(runArguments({ out, steps: '0:1' }))
    expect(first.status, first.stderr).to.equal(0)
    const before = readFileSync(join(out, 'manifest.json'), 'utf8')
    const second = await retrograd(runArguments({ out }))
    expect(second.status).to.equal(2)
    expect(second.stderr).to.match(/holds results already.*--overwrite/)
    expect(readFileSync(join(out, 'manifest.json'), 'utf8')).to.equal(before)
  })

  it('a run that fails with --overwrite leaves the old results', async () => {
    const out = join(newFolder(), 'out')
    await retrograd(runArguments({ out, steps: '0:1' }))
    const before = readdirSync(out).sort()
    const folder = checkpoints(3)
    const file = readFileSync(join(folder, save(2)))
    file.writeFloatLE(Infinity, tensorOffset(file, 'fc1.bias'))
    writeFileSync(join(folder, save(2)), file)
    const failed = await retrograd([...runArguments({ out, checkpoints: folder }), '--overwrite'])
    expect(failed.status).to.equal(1)
    expect(readdirSync(out).sort()).to.deep.equal(before)
  })
})
