import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { parseLoss } from '../../src/autodiff/losses.js'
import { BACKEND_VARIABLE } from '../../src/engines/tfjs/choose.js'
import { EXIT, RetrogradError } from '../../src/errors.js'
import { prepare } from '../../src/replay/prepare.js'
import type { RunOptions } from '../../src/replay/options.js'
import { newFolder, removeFolders } from '../cli/command.js'
import { writeNpyFolder } from '../support/npy.js'
import { rejection } from '../support/rejection.js'

const RUN = 'fixtures/formats/tfjs-node'

describe('what the engine tfjs refuses before any work', () => {
  let data = ''
  before(() => {
    process.env[BACKEND_VARIABLE] = 'js'
    data = writeNpyFolder(join(newFolder(), 'data'), {
      x: { type: '<f4', shape: [4, 6, 6, 1], values: new Float32Array(144) },
      y: { type: '<i8', shape: [4], values: BigInt64Array.of(0n, 1n, 2n, 0n) },
    })
  })
  after(() => {
    Reflect.deleteProperty(process.env, BACKEND_VARIABLE)
    removeFolders()
  })

  const optionsOf = (changes: Partial<RunOptions>): RunOptions => ({
    checkpoints: RUN,
    engine: 'tfjs',
    splits: new Map([['train', data]]),
    loss: parseLoss('cross-entropy'),
    scale: 'auto',
    tolerance: 1e-3,
    maxSplits: 2,
    granularity: 'unit',
    batchNorm: 'running',
    out: 'out',
    overwrite: false,
    ...changes,
  })
  const refused = async (changes: Partial<RunOptions>): Promise<RetrogradError> => {
    const error = await rejection(prepare(optionsOf(changes), {}))
    if (error instanceof RetrogradError) return error
    throw error
  }

  const expectRefusal = (error: RetrogradError, status: number, message: RegExp): void => {
    expect(error.message).to.match(message)
    expect(error.exitStatus).to.equal(status)
  }

  it('a loss in ONNX', async () => {
    const loss: RunOptions['loss'] = { kind: 'graph', path: 'loss.onnx', graph: undefined as never }
    expectRefusal(
      await refused({ loss }),
      EXIT.usage,
      /--loss loss\.onnx: a loss in an ONNX file needs --engine onnxruntime/,
    )
  })

  it('a network in ONNX', async () => {
    const error = await refused({ model: 'fixtures/formats/model.onnx' })
    expectRefusal(error, EXIT.usage, /takes a model\.json.*leave out --engine tfjs/)
  })

  it('BatchNorm by the batch without its size', async () => {
    expectRefusal(
      await refused({ batchNorm: 'batch' }),
      EXIT.usage,
      /--batch-size is missing: BatchNormalization/,
    )
  })

  it('checkpoints that are weights alone; and those of TensorFlow.js for the other engine, naming this one', async () => {
    const alone = await refused({ checkpoints: 'fixtures/formats/safetensors' })
    expectRefusal(
      alone,
      EXIT.usage,
      /no models of TensorFlow\.js: name the network's model\.json with --model/,
    )
    expectRefusal(await refused({ engine: 'onnxruntime' }), EXIT.usage, /hold weights alone.*--engine tfjs/)
  })

  it('checkpoints whose kernels lie otherwise', async () => {
    const model = join(RUN, 'step-30', 'model.json')
    const error = await refused({ checkpoints: 'fixtures/formats/safetensors', model })
    expectRefusal(
      error,
      EXIT.unsupported,
      /'conv1\.weight' of the checkpoints lies otherwise in memory than conv1\/kernel/,
    )
  })

  /** The fixture with another last model.json. */
  const changed = (change: (model: Record<string, unknown>) => void): string => {
    const folder = join(newFolder(), 'run')
    cpSync(RUN, folder, { recursive: true })
    const path = join(folder, 'step-30', 'model.json')
    const model = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
    change(model)
    writeFileSync(path, JSON.stringify(model))
    return folder
  }
  const withTopology = (change: (text: string) => string): string =>
    changed((model) => {
      const [was, is] = [JSON.stringify(model.modelTopology), change(JSON.stringify(model.modelTopology))]
      expect(is).not.to.equal(was)
      model.modelTopology = JSON.parse(is)
    })

  it('nothing for what only training needs: an initializer or a regularizer that nobody has', async () => {
    const checkpoints = withTopology((text) =>
      text
        .replaceAll('"class_name":"VarianceScaling"', '"class_name":"Own"')
        .replaceAll('"kernel_regularizer":null', '"kernel_regularizer":{"class_name":"Own","config":{}}'),
    )
    expect((await prepare(optionsOf({ checkpoints }), {})).network.tensors).to.have.length(12)
  })

  it('layers that TensorFlow.js does not know, by name', async () => {
    const checkpoints = withTopology((text) => text.replace('"GlobalAveragePooling2D"', '"Lambda"'))
    expectRefusal(
      await refused({ checkpoints }),
      EXIT.unsupported,
      /TensorFlow\.js has no layer 'Lambda'.*--engine onnxruntime/,
    )
  })

  it('a graph model, and weights without layers', async () => {
    const graph = changed((model) => {
      model.format = 'graph-model'
    })
    expectRefusal(await refused({ checkpoints: graph }), EXIT.unsupported, /a graph model has operations/)
    const bare = changed((model) => {
      delete model.modelTopology
    })
    expectRefusal(await refused({ checkpoints: bare }), EXIT.unsupported, /weights without layers/)
  })

  for (const [what, was, is, message] of [
    ['many filters', '"filters":4', '"filters":4000000000', /'conv2' has kernel of 3 x 3 x 3 x 4000000000/],
    [
      'a large kernel',
      '"kernel_size":[3,3],"strides":[1,1],"padding":"same"',
      '"kernel_size":[30000,30000],"strides":[1,1],"padding":"same"',
      /'conv2' has kernel of 30000 x 30000 x 3 x 4, and all weights together have 193 elements/,
    ],
    [
      'a large input',
      '[null,6,6,1]',
      '[null,900000,900000,1]',
      /layer of the network gives .* bytes for one sample/,
    ],
    [
      'a large batch',
      '[null,6,6,1]',
      '[900000000000,6,6,1]',
      /gives .* bytes for one micro-batch, more than/,
    ],
  ] as const)
    it(`a layer larger than all weights or the memory, before anything is allocated: ${what}`, async () => {
      const checkpoints = withTopology((text) => text.replace(was, is))
      expectRefusal(await refused({ checkpoints }), EXIT.failed, message)
    })

  /** A functional model of two Dense layers, called with the outputs of these layers. */
  const wired = (a: string, b: string, node = 0): string =>
    changed((model) => {
      const layer = (class_name: string, name: string, config: object, inbound_nodes: unknown[]): object => ({
        ...{ class_name, name, inbound_nodes },
        config: { name, ...config },
      })
      const layers = [
        layer('InputLayer', 'in', { batch_input_shape: [null, 6, 6, 1], dtype: 'float32' }, []),
        layer('Dense', 'a', { units: 2 }, [[[a, node, 0, {}]]]),
        layer('Dense', 'b', { units: 2 }, [[[b, 0, 0, {}]]]),
      ]
      const config = { name: 'model', layers, input_layers: [['in', 0, 0]], output_layers: [['b', 0, 0]] }
      model.modelTopology = { model_config: { class_name: 'Functional', config } }
    })

  it('layers that wait for each other, for one that is not there, or for a call that never comes', async () => {
    const message = /corrupt: layers wait for each other, or for layers that are not there: 'a'/
    for (const checkpoints of [wired('b', 'a'), wired('nowhere', 'a'), wired('in', 'a', 7)])
      expectRefusal(await refused({ checkpoints }), EXIT.failed, message)
  })

  for (const [what, change] of [
    ['that does not fit its weights', (text: string) => text.replace('"filters":4', '"filters":5')],
    ['without a configuration', () => '{"class_name":"Sequential","config":7}'],
    [
      'of other types',
      (text: string) => text.replace('"kernel_size":[3,3]', '"kernel_size":{"__proto__":[]}'),
    ],
    ['without names', (text: string) => text.replaceAll('"name"', '"nom"')],
  ] as const)
    it(`a topology ${what}`, async () => {
      const error = await refused({ checkpoints: withTopology(change) })
      expectRefusal(error, EXIT.failed, /step-30.model\.json: /)
    })
})
