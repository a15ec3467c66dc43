import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { UsageError } from '../../src/errors.js'
import { readModel } from '../../src/onnx/read.js'
import { networkTensors } from '../../src/replay/binding.js'
import { bind, type Binding, type NetworkTensor } from '../../src/trajectory/bind.js'
import { draftMap } from '../../src/trajectory/draft-map.js'
import { formatMap, parseMap, readMap, writeMap, type NameMap } from '../../src/trajectory/map-file.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { newFolder, removeFolders } from '../cli/command.js'
import { rejection } from '../support/rejection.js'
import { kerasNames, relaid } from '../support/relaid-checkpoints.js'
import { checkpointOf } from './made-checkpoints.js'

type Shapes = Readonly<Record<string, readonly number[]>>

const NETWORK: Shapes = { val_3: [784, 100], 'fc1.bias': [100], val_5: [100, 10], b: [10], scale: [] }
const CHECKPOINT: Shapes = { 'a.weight': [100, 784], 'a.bias': [100], 'c.weight': [10, 100], 'c.bias': [10] }
const MAP: NameMap = {
  val_3: { tensor: 'a.weight', transpose: [1, 0] },
  'fc1.bias': 'a.bias',
  val_5: 'c.weight',
  b: 'c.bias',
  scale: null,
}

function tensors(shapes: Shapes): NetworkTensor[] {
  return Object.entries(shapes).map(([name, shape]) => ({ name, shape, dtype: 'float32' }))
}

const bindBy = (map: NameMap, network = NETWORK, checkpoint = CHECKPOINT): Promise<Binding> => {
  const counters = [{ name: 'steps', shape: [], dtype: 'int64' as const }]
  return bind(tensors(network), [checkpointOf([...tensors(checkpoint), ...counters], 0)], {
    model: 'model.onnx',
    map,
  })
}

describe('a map of names', () => {
  after(removeFolders)

  it('ties what it names, and the tables take the names of the checkpoints', async () => {
    const { pairs, how, constants } = await bindBy(MAP)
    expect(how).to.equal('4 by --map, 2 transposed')
    expect(pairs.map(({ name, tensor }) => [name, tensor])).to.deep.equal([
      ['a.weight', 'a.weight'],
      ['a.bias', 'a.bias'],
      ['c.weight', 'c.weight'],
      ['c.bias', 'c.bias'],
    ])
    expect(pairs[2]).to.deep.include({ permutation: [1, 0], shape: [10, 100] })
    expect(constants).to.deep.equal(['scale'])
  })

  it('keeps the name of the network where a value of the graph has that of the checkpoints', async () => {
    const shapes: Shapes = { 'a.weight': [2, 3] }
    const { pairs } = await bind(tensors({ V: [2, 3] }), [checkpointOf(tensors(shapes), 0)], {
      model: 'model.onnx',
      map: { V: 'a.weight' },
      taken: new Set(['x', 'a.weight']),
    })
    expect(pairs[0]).to.include({ name: 'V', tensor: 'a.weight' })
  })

  it('may exchange two names', async () => {
    const shapes: Shapes = { a: [2], b: [2] }
    const { pairs } = await bindBy({ a: 'b', b: 'a' }, shapes, shapes)
    expect(pairs.map(({ parameter, tensor, name }) => [parameter, tensor, name])).to.deep.equal([
      ['a', 'b', 'a'],
      ['b', 'a', 'b'],
    ])
  })

  it('leaves what it does not name to names', async () => {
    const { how, pairs } = await bindBy(
      { V: 'x.weight' },
      { V: [3, 2], 'y.weight': [2, 2] },
      { 'x.weight': [2, 3], 'y.weight': [2, 2] },
    )
    expect(how).to.equal('1 by --map, 1 by name, 1 transposed')
    expect(pairs.map(({ name }) => name)).to.deep.equal(['x.weight', 'y.weight'])
  })

  it('may reshape, and keeps a constant that names would bind', async () => {
    const { pairs, constants } = await bindBy(
      { w: { tensor: 'qkv', transpose: [1, 2, 0], reshape: [12, 4] }, gain: null },
      { w: [12, 4], gain: [5] },
      { qkv: [4, 3, 4] },
    )
    expect(pairs[0]).to.deep.include({ permutation: [1, 2, 0], reshaped: [12, 4], shape: [4, 3, 4] })
    expect(constants).to.deep.equal(['gain'])
  })

  const WRONG: readonly [title: string, map: NameMap, message: RegExp][] = [
    [
      'a name that the network lacks',
      { 'fc1.bias ': 'a.bias' },
      /entry 'fc1\.bias ': the network has no such/,
    ],
    [
      'a tensor that the checkpoints lack',
      { b: 'c.biass' },
      /entry 'b': the checkpoints have no tensor 'c\.biass'.*c\.bias/,
    ],
    [
      'a tensor given twice',
      { ...MAP, b: 'a.bias', 'fc1.bias': 'a.bias' },
      /'a\.bias' is given to 'fc1\.bias' already/,
    ],
    ['a counter', { b: 'steps' }, /tensor 'steps' is of type int64/],
    ['a shape that does not fit', { b: 'a.bias' }, /entry 'b': tensor 'a\.bias' is 100 and the network's 10/],
    [
      'an order that is none',
      { val_3: { tensor: 'a.weight', transpose: [0, 2] } },
      /"transpose": \[0, 2\] is no order of the 2 axes/,
    ],
    [
      'an order that does not fit',
      { val_3: { tensor: 'a.weight', transpose: [0, 1] } },
      /'a\.weight' \(100 x 784\) is 100 x 784 when transposed by \[0, 1\], and the network's is 784 x 100/,
    ],
    [
      'a reshape that does not fit',
      { b: { tensor: 'c.bias', reshape: [2, 5] } },
      /"reshape" gives 2 x 5.*the network's is 10/,
    ],
  ]
  for (const [title, map, message] of WRONG)
    it(`is refused for ${title}`, async () => {
      const error = await rejection(bindBy(map))
      expect(error).to.be.instanceOf(UsageError)
      expect(error.message).to.match(message)
    })

  const MALFORMED: readonly [title: string, text: string, message: RegExp][] = [
    ['no JSON', '{"a": ', /map\.json is not JSON/],
    ['a list', '["a"]', /a map is an object such as/],
    ['a number for a name', '{"a": 3}', /entry 'a' is 3: a tensor's name/],
    ['a word that is no option', '{"a": {"tensor": "b", "order": [1, 0]}}', /entry 'a' is .*"transpose"/],
    ['axes that are no numbers', '{"a": {"tensor": "b", "transpose": ["x"]}}', /entry 'a'/],
    ['an entry left open', '{"a": "?"}', /entry 'a' is still open/],
  ]
  for (const [title, text, message] of MALFORMED)
    it(`is refused as a file of ${title}`, async () => {
      const path = join(newFolder(), 'map.json')
      writeFileSync(path, text)
      const error = await rejection(readMap(path))
      expect(error).to.be.instanceOf(UsageError)
      expect(error.message).to.match(message)
    })

  it('that is not there is refused', async () => {
    expect((await rejection(readMap('nowhere.json'))).message).to.equal(
      '--map nowhere.json: there is no such file',
    )
  })
})

describe('a binding written as a map', () => {
  after(removeFolders)
  const FORMATS = 'fixtures/formats'

  async function bindings(checkpoints: string, model: string): Promise<[Binding, Binding]> {
    const trajectory = await openTrajectory(checkpoints)
    const network = networkTensors(await readModel(join(FORMATS, model)))
    const first = await bind(network, trajectory.checkpoints, { model })
    const map = parseMap(formatMap(writeMap(first)), 'map')
    return [first, await bind(network, trajectory.checkpoints, { model, map })]
  }

  const keras = (): Promise<string> =>
    relaid(
      join(FORMATS, 'safetensors'),
      join(newFolder(), 'c'),
      kerasNames((layer, leaf) => `${layer}/${leaf}:0`),
    )

  const CASES: readonly [title: string, checkpoints: () => Promise<string>, model: string][] = [
    ['by name', () => Promise.resolve(join(FORMATS, 'torch-compiled-ddp')), 'model.onnx'],
    ['by translated name', keras, 'model.onnx'],
    ['by value', keras, 'tf-keras-unfused.onnx'],
    ['by name and by value', () => Promise.resolve(join(FORMATS, 'mlp')), 'mlp-optimized.onnx'],
  ]
  for (const [title, checkpoints, model] of CASES)
    it(`gives the same binding again: ${title}`, async () => {
      const [first, again] = await bindings(await checkpoints(), model)
      const bare = ({ pairs }: Binding) => pairs.map((pair) => ({ ...pair, by: undefined }))
      expect(bare(again)).to.deep.equal(bare(first))
      expect(again.constants).to.deep.equal(first.constants)
      expect(again.how).to.match(/^by --map|^12 by --map|^10 by --map/)
    })
})

describe('a draft of a map', () => {
  it('holds what is known, what is likely, null for constants, and ? for the rest', async () => {
    const network = tensors({
      'a.weight': [4, 3],
      'net/fc/MatMul': [5, 4],
      'net/fc/BiasAdd': [5],
      'net/out/W': [2, 5],
      X: [6],
      Y: [6],
      eps: [],
    })
    const checkpoint = tensors({
      'a.weight': [4, 3],
      'fc/kernel': [4, 5],
      'fc/bias': [5],
      'out/kernel': [5, 2],
      'p/gain': [6],
      'q/gain': [6],
    })
    const draft = await draftMap(network, [checkpointOf(checkpoint, 0)])
    expect(draft).to.deep.equal({
      'a.weight': 'a.weight',
      'net/fc/MatMul': { tensor: 'fc/kernel', transpose: [1, 0] },
      'net/out/W': 'out/kernel',
      'net/fc/BiasAdd': 'fc/bias',
      X: '?',
      Y: '?',
      eps: null,
    })
    expect(() => parseMap(formatMap(draft), 'draft.json')).to.throw(UsageError, "entry 'X' is still open")
  })
})
