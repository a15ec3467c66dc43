import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'

/** Something that is read, of which one file at a time is damaged. */
export interface Seed {
  readonly id: string
  readonly kind: 'trajectory' | 'data' | 'model'
  /** What is copied, whole. */
  readonly folder: string
  /** What is opened, within the folder; '' is the folder itself. */
  readonly opened: string
  /** The files that may be damaged, within the folder. */
  readonly files: readonly string[]
}

const FORMATS = 'fixtures/formats'
const DATA = 'fixtures/data'

/** Every archive, data file and network of the fixtures. */
export function findSeeds(): Seed[] {
  return [...trajectories(), ...dataFiles(), ...networks()]
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

function dataFiles(): Seed[] {
  return readdirSync(DATA)
    .filter((name) => !name.endsWith('.json'))
    .map((name) => {
      const isFolder = statSync(join(DATA, name)).isDirectory()
      return isFolder
        ? { id: name, kind: 'data', folder: join(DATA, name), opened: '', files: filesIn(join(DATA, name)) }
        : { id: name, kind: 'data', folder: DATA, opened: name, files: [name] }
    })
}

function networks(): Seed[] {
  return [
    { id: 'network', kind: 'model', folder: 'fixtures/onnx', opened: 'dtypes.onnx', files: ['dtypes.onnx'] },
    {
      id: 'external',
      kind: 'model',
      folder: 'fixtures/onnx',
      opened: 'external.onnx',
      files: ['external.onnx', 'external.weights'],
    },
  ]
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort()
}
