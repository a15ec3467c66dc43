import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { lastLines, megabytes, run, SetupError, step } from './commands.js'

/** A TensorFlow whose C API has all that the binding of @tensorflow/tfjs-node 4.22 calls. */
export const TENSORFLOW = '2.21.0'

/** The wheel is the same library for every version of Python: one is named, so that any Python can fetch it. */
const WHEEL = [
  '--only-binary=:all:',
  '--platform=manylinux_2_27_x86_64',
  '--implementation=cp',
  '--python-version=3.11',
  '--abi=cp311',
]

/** Members of the wheel that are taken: two libraries, and the headers that the binding includes. */
const EXTRACT = `
import sys, zipfile
wheel, folder = sys.argv[1:]
libraries = ('tensorflow/libtensorflow_cc.so.2', 'tensorflow/libtensorflow_framework.so.2')
headers = tuple('tensorflow/include/' + name for name in ('tensorflow/c/', 'xla/tsl/', 'tsl/', 'tensorflow/core/platform/'))
with zipfile.ZipFile(wheel) as archive:
    names = [name for name in archive.namelist() if name in libraries or name.startswith(headers)]
    missing = set(libraries) - set(names)
    if missing:
        sys.exit('the wheel has no ' + ', '.join(sorted(missing)))
    archive.extractall(folder, names)
`

const LIBRARIES = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'] as const

/** TensorFlow's library and its headers on this disk. */
export interface TensorFlowLibrary {
  /** Holds libtensorflow.so, libtensorflow_framework.so and what they point to. */
  readonly libraries: string
  readonly include: string
}

/**
 * The library that the Python package tensorflow-cpu carries, fetched by pip where the cache does not hold it yet.
 * @param cache the folder that it is kept in, from one installation of the packages to the next
 * @throws SetupError where Python or pip is missing, or the package can't be had
 */
export function tensorflowLibrary(cache: string): TensorFlowLibrary {
  const folder = join(cache, `tensorflow-cpu-${TENSORFLOW}`)
  const found = { libraries: join(folder, 'tensorflow'), include: join(folder, 'tensorflow', 'include') }
  if (existsSync(folder)) {
    step(`TensorFlow ${TENSORFLOW} lies in ${folder}`)
    return found
  }
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, 'fetching-'))
  try {
    extract(fetchWheel(work), join(work, 'package'))
    // in one step, so that the cache holds all of it or nothing
    renameSync(join(work, 'package'), folder)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return found
}

/** The interpreter that the variable PYTHON names, or python3. */
function python(): string {
  return process.env.PYTHON ?? 'python3'
}

function fetchWheel(folder: string): string {
  const args = ['-m', 'pip', 'download', `tensorflow-cpu==${TENSORFLOW}`, '--no-deps', ...WHEEL]
  step(`fetching tensorflow-cpu ${TENSORFLOW} with pip (274 MB)`)
  const { ok, missing, output } = run(python(), [...args, '--disable-pip-version-check', '--dest', folder])
  if (missing)
    throw new SetupError(
      `${python()} is not there: install Python 3 with pip, or name it: PYTHON=/path/to/python3`,
    )
  if (!ok && /No module named pip/.test(output))
    throw new SetupError(
      `${python()} has no pip: install it (apt-get install python3-pip), or name another Python by PYTHON`,
    )
  if (!ok) throw new SetupError(`pip could not fetch tensorflow-cpu ${TENSORFLOW}:\n${lastLines(output)}`)
  const [wheel] = readdirSync(folder).filter((name) => name.endsWith('.whl'))
  if (wheel === undefined) throw new SetupError(`pip fetched no wheel:\n${lastLines(output)}`)
  return join(folder, wheel)
}

function extract(wheel: string, folder: string): void {
  step(`taking the library and its headers out of the wheel (${megabytes(statSync(wheel).size)})`)
  const { ok, output } = run(python(), ['-c', EXTRACT, wheel, folder])
  if (!ok) throw new SetupError(`the wheel could not be read:\n${lastLines(output)}`)
  const libraries = join(folder, 'tensorflow')
  for (const name of LIBRARIES) step(`  ${name}: ${megabytes(statSync(join(libraries, name)).size)}`)
  symlinkSync('libtensorflow_cc.so.2', join(libraries, 'libtensorflow.so'))
  symlinkSync('libtensorflow_framework.so.2', join(libraries, 'libtensorflow_framework.so'))
}
