import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

import type { ReaderKind } from './read-all.js'

/** Something that is read, of which one file at a time is damaged. */
export interface Seed {
  /** Its path, in short. */
  readonly id: string
  readonly kind: ReaderKind
  /** What is copied, whole. */
  readonly folder: string
  /** What is opened, within the folder; '' is the folder itself. */
  readonly opened: string
  /** The files that may be damaged, within the folder. */
  readonly files: readonly string[]
}

const FORMATS = 'fixtures/formats'
const DATA = 'fixtures/data'

/** Files beside the fixtures that no reader is given. */
const BESIDE = /\.json$|^expected\.npz$/

/** Folders of data that are opened as a whole, and the parts of a data set by what their names share. */
const DATA_SETS: readonly (readonly [folder: string, opened: string])[] = [
  ['cifar-10-batches-bin', ''],
  ['cifar-100-binary', ''],
  ['emnist', ''],
  ['hf', ''],
  ['hf-arrays', ''],
  ['hf-dict/train', ''],
  ['mnist', 'train-images-idx3-ubyte.gz'],
  ['mnist', 't10k-images-idx3-ubyte'],
  ['shards', 'train'],
]

/** Single files of tokens, images and tables; those of the folders above are parts of a data set. */
const DATA_FOLDERS: readonly (readonly [folder: string, kind: ReaderKind])[] = [
  ['.', 'data'],
  ['formats', 'data'],
  ['formats/idx', 'data'],
  ['formats/images', 'image'],
]

const NETWORKS = [`${FORMATS}/*`, 'fixtures/onnx/dtypes.onnx', 'fixtures/mnist-lenet/model.onnx'] as const

/** Every archive, checkpoint, data file and network of the fixtures. */
export function findSeeds(): Seed[] {
  return [
    ...trajectories(),
    ...refused(),
    ...checkpoints(),
    ...dataFiles(),
    ...dataSets(),
    ...networks(),
    externalNetwork(),
  ]
}

function trajectories(): Seed[] {
  const { formats } = JSON.parse(readFileSync(join(FORMATS, 'formats.json'), 'utf8')) as {
    formats: { id: string; path: string }[]
  }
  return formats.map(({ id, path }) => {
    const [top = '', ...rest] = path.split('/')
    const folder = join(FORMATS, top)
    return { id, kind: 'trajectory', folder, opened: rest.join('/'), files: filesIn(folder) }
  })
}

/** Layouts that are recognised and not read. */
function refused(): Seed[] {
  const all = join(FORMATS, 'refused')
  return readdirSync(all).map((name): Seed => {
    const folder = join(all, name)
    return { id: `refused/${name}`, kind: 'trajectory', folder, opened: '', files: filesIn(folder) }
  })
}

/** Single checkpoints, each with the files that it names. */
function checkpoints(): Seed[] {
  const plain = ['torch', 'keras', 'trajectory', 'trajectory/flax'].flatMap((name) =>
    filesAt(`fixtures/${name}`)
      .filter((file) => !/_\d{5}\.weights\.h5$|\.bin$/.test(file))
      .map((file) => singleFile('checkpoint', `fixtures/${name}`, file)),
  )
  const sharded = withParts('fixtures/keras', 'sharded.weights.json', /^sharded/)
  const indices = readdirSync('fixtures/trajectory/tensorflow')
    .filter((file) => file.endsWith('.index'))
    .map((file) => {
      const parts = new RegExp(`^${file.slice(0, -'.index'.length)}\\.`)
      return withParts('fixtures/trajectory/tensorflow', file, parts)
    })
  return [...plain, sharded, ...indices]
}

function withParts(folder: string, opened: string, parts: RegExp): Seed {
  const files = readdirSync(folder).filter((file) => parts.test(file))
  return { id: idOf(join(folder, opened)), kind: 'checkpoint', folder, opened, files: files.sort() }
}

function dataFiles(): Seed[] {
  return DATA_FOLDERS.flatMap(([name, kind]) => {
    const folder = join(DATA, name)
    return filesAt(folder).map((file) =>
      singleFile(/tokens\.bin$/.test(file) ? 'tokens' : kind, folder, file),
    )
  })
}

function dataSets(): Seed[] {
  return DATA_SETS.map(([name, opened]) => {
    const folder = join(DATA, 'formats', name)
    return { id: idOf(join(folder, opened)), kind: 'data', folder, opened, files: filesIn(folder) }
  })
}

function networks(): Seed[] {
  return NETWORKS.flatMap((path) => {
    const folder = dirname(path)
    const files = path.endsWith('*')
      ? readdirSync(folder).filter((name) => name.endsWith('.onnx'))
      : [relative(folder, path)]
    return files.map((file) => singleFile('model', folder, file))
  })
}

function externalNetwork(): Seed {
  const files = ['external.onnx', 'external.weights']
  return { id: 'onnx/external.onnx', kind: 'model', folder: 'fixtures/onnx', opened: files[0]!, files }
}

function singleFile(kind: ReaderKind, folder: string, file: string): Seed {
  return { id: idOf(join(folder, file)), kind, folder, opened: file, files: [file] }
}

function idOf(path: string): string {
  return relative('fixtures', path)
}

/** The files of a folder itself. */
function filesAt(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && !BESIDE.test(entry.name))
    .map(({ name }) => name)
    .sort()
}

/** The files of a folder and of all folders in it. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort()
}
