import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { reasonOf } from '../../../errors.js'
import { libraryFolder } from '../build.js'
import { ONNXRUNTIME_VERSION } from '../../version.js'

const LIBRARIES = [
  'libonnxruntime_providers_shared.so',
  'libonnxruntime_providers_tensorrt.so',
  'libonnxruntime_providers_cuda.so',
]

/** Some hundred megabytes over a slow line. */
const LIMIT_MS = 30 * 60_000

/** Unpacks files of a wheel, which is a zip file, into a folder. */
const UNPACK = `
import sys, zipfile
wheel, folder, *names = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for name in names:
        with archive.open('onnxruntime/capi/' + name) as source, open(folder + '/' + name, 'wb') as target:
            while block := source.read(1 << 20):
                target.write(block)
`

/**
 * Fetches the provider's libraries to where ONNX Runtime looks for them: with the install script of onnxruntime-node, which
 * downloads from NuGet (CUDA 12), and where that can't be reached from the Python package of the same version (CUDA 13),
 * whose libraries are built from the same source.
 *
 * @returns why it failed, undefined when it did not
 */
export function fetchProvider(say: (text: string) => void): string | undefined {
  const script = createRequire(import.meta.url).resolve('onnxruntime-node/script/install.js')
  say(`fetching ONNX Runtime ${ONNXRUNTIME_VERSION}'s libraries for CUDA 12 from NuGet (some 300 MB)`)
  const nuget = run(process.execPath, [script], { ONNXRUNTIME_NODE_INSTALL: 'cuda12' })
  if (nuget === undefined) return undefined
  say(`NuGet: ${nuget}`)
  say(
    `fetching the Python package onnxruntime-gpu ${ONNXRUNTIME_VERSION} (CUDA 13, some 250 MB) with pip instead`,
  )
  const pypi = fromPython()
  return pypi === undefined ? undefined : `NuGet: ${nuget}; pip: ${pypi}`
}

function fromPython(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'retrograd-cuda-'))
  try {
    // any Python's wheel will do: what is taken from it is not Python's
    const wheelOf = ['--python-version', '3.12', '--platform', 'manylinux_2_28_x86_64', '--only-binary=:all:']
    const wanted = [`onnxruntime-gpu==${ONNXRUNTIME_VERSION}`, '--no-deps', '--dest', folder]
    const failure = run('python3', ['-m', 'pip', 'download', '--quiet', ...wheelOf, ...wanted])
    if (failure !== undefined) return failure
    const wheel = readdirSync(folder).find((name) => name.endsWith('.whl'))
    if (wheel === undefined) return 'pip left no wheel'
    const unpacked = run('python3', ['-c', UNPACK, join(folder, wheel), folder, ...LIBRARIES])
    if (unpacked !== undefined) return unpacked
    // the last one is what tells that all are there
    for (const name of LIBRARIES) place(join(folder, name), join(libraryFolder(), name))
    return undefined
  } catch (error) {
    return reasonOf(error)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Copies a file so that it is there whole or not at all. */
function place(from: string, to: string): void {
  const part = join(dirname(to), '.setup-cuda-part')
  copyFileSync(from, part)
  renameSync(part, to)
}

/** Runs a program; the last line of what it says where it fails. */
function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): string | undefined {
  const { status, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    timeout: LIMIT_MS,
    stdio: ['ignore', 'inherit', 'pipe'],
    env: { ...process.env, ...env },
  })
  if (status === 0) return undefined
  if (error !== undefined) return reasonOf(error)
  const lines = stderr.split('\n').filter((line) => line.trim() !== '')
  const reason = lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1)
  return reason?.trim() ?? `${program} failed`
}
