/**
 * Makes ONNX Runtime's CUDA provider ready, and says in one line each what is there and what is missing:
 * `npm run setup:cuda`, or for users of the package `node node_modules/retrograd/dist/bin/setup-cuda.js`.
 * With `--check` it fetches nothing.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { printable } from '../../../printable.js'
import { libraryFolder, missingLibrary } from '../build.js'
import { ONNXRUNTIME_VERSION } from '../../version.js'
import { checkDriver, checkLibraries, checkLines, SMI_ARGUMENTS } from './check.js'
import type { Check } from './check.js'
import { fetchProvider } from './fetch.js'
import { cudaVersionOf, pythonLibraries } from './find.js'
import type { Libraries } from './find.js'
import { setupCommand } from '../why-not.js'
import { buildFor } from './requirements.js'
import type { CudaBuild } from './requirements.js'

const PROVIDER = 'libonnxruntime_providers_cuda.so'
/** A driver that hangs answers no question. */
const PATIENCE_MS = 30_000
const CUDA_FOLDERS = ['/usr/local/cuda/lib64', '/usr/local/cuda/targets/x86_64-linux/lib', '/opt/cuda/lib64']

const say = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

const USAGE = `Usage: ${setupCommand()} [--check]

Fetches ONNX Runtime's libraries for CUDA, and says what else --device cuda needs here.

  --check   fetches nothing, only checks

Exit codes: 0 all is there; 1 something is missing; 2 usage.`

function main(): number {
  const unknown = process.argv.slice(2).find((one) => !['--check', '--help', '-h'].includes(one))
  if (unknown !== undefined) {
    process.stderr.write(
      `setup-cuda: ${printable(unknown)}: there is no such option; --check fetches nothing\n`,
    )
    return 2
  }
  if (process.argv.slice(2).some((one) => one !== '--check')) {
    say(USAGE)
    return 0
  }
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    process.stderr.write(
      `setup-cuda: ONNX Runtime's package for Node.js has CUDA on Linux with x64 processors only; ` +
        `here it is ${process.platform} on ${process.arch}: use --device webgpu${process.platform === 'win32' ? ' or directml' : ''}\n`,
    )
    return 1
  }
  const fetches = missingLibrary('cuda') !== undefined && !process.argv.includes('--check')
  const failure = fetches ? fetchProvider(say) : undefined
  const library = join(libraryFolder(), PROVIDER)
  const version = existsSync(library) ? cudaVersionOf(library) : undefined
  const build = buildFor(version ?? 12)!
  const checks = [
    checkProvider(library, version, failure),
    checkDriver(output('nvidia-smi', SMI_ARGUMENTS), build),
    ...checkLibraries(build, systemLibraries()),
  ]
  for (const line of checkLines(checks)) say(line)
  return verdict(checks, build)
}

function checkProvider(library: string, version: number | undefined, failure: string | undefined): Check {
  const what = `ONNX Runtime ${ONNXRUNTIME_VERSION}`
  return existsSync(library)
    ? { what, ok: true, found: `${PROVIDER}${version === undefined ? '' : `, for CUDA ${version}`}` }
    : {
        what,
        ok: false,
        found: `${PROVIDER} is not installed`,
        remedy: failure ?? `fetch it: ${setupCommand()}`,
      }
}

function verdict(checks: readonly Check[], { cuda }: CudaBuild): number {
  const missing = checks.filter(({ ok }) => !ok).map(({ what }) => what)
  if (missing.length === 0) {
    say(`CUDA ${cuda} is ready: retrograd run ... --device cuda, and retrograd doctor tries it`)
    return 0
  }
  process.stderr.write(`setup-cuda: --device cuda does not work yet: ${missing.join(', ')}\n`)
  return 1
}

function systemLibraries(): Libraries {
  const sites = output('python3', [
    '-c',
    'import json, site, sys; print(json.dumps(sys.path + [site.getusersitepackages()]))',
  ])
  return {
    cache: output('ldconfig', ['-p']) ?? output('/sbin/ldconfig', ['-p']) ?? '',
    path: process.env.LD_LIBRARY_PATH ?? '',
    others: [...CUDA_FOLDERS, ...pythonLibraries(foldersIn(sites))],
    exists: existsSync,
  }
}

/** Folders as Python lists them; none where it prints something else beside them. */
function foldersIn(text: string | undefined): string[] {
  try {
    const folders = JSON.parse(text ?? '[]') as unknown
    return Array.isArray(folders) ? folders.filter((one) => typeof one === 'string') : []
  } catch {
    return []
  }
}

/** What a program prints; undefined where it is not there or fails. */
function output(program: string, args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync(program, args, {
    encoding: 'utf8',
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  })
  return status === 0 ? stdout : undefined
}

process.exitCode = main()
