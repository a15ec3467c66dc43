import { dirname } from 'node:path'
import { printable } from '../../../printable.js'
import { findLibrary } from './find.js'
import type { Libraries } from './find.js'
import type { CudaBuild } from './requirements.js'

/** One line of the check: what was looked for, and what helps where it is missing. */
export interface Check {
  readonly what: string
  readonly ok: boolean
  readonly found: string
  readonly remedy?: string
}

/** What `nvidia-smi` says of one GPU. */
export interface Gpu {
  readonly name: string
  readonly driver: string
  /** In bytes; 0 where it is not told. */
  readonly memory: number
}

/** The question that `parseGpus` reads the answer to. */
export const SMI_ARGUMENTS = ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader,nounits']

/** Reads what nvidia-smi prints, memory in MiB: `NVIDIA H200, 570.86.15, 143771`. */
export function parseGpus(text: string): Gpu[] {
  return text.split('\n').flatMap((line) => {
    const [, name, driver, memory] = /^(.+), (\d+\.[\d.]+), (\S+)$/.exec(line.trim()) ?? []
    if (name === undefined || driver === undefined) return []
    return [{ name, driver, memory: (Number(memory) || 0) * 2 ** 20 }]
  })
}

/**
 * The driver, in one line.
 * @param answer what nvidia-smi printed, undefined where there is no such program or it failed
 */
export function checkDriver(answer: string | undefined, build: CudaBuild): Check {
  const what = 'driver'
  const [gpu, ...more] = parseGpus(answer ?? '')
  if (gpu === undefined)
    return {
      what,
      ok: false,
      found: answer === undefined ? 'nvidia-smi is missing or finds no driver' : 'nvidia-smi lists no GPU',
      remedy: `install NVIDIA's driver ${build.driver} or later for the GPU (https://www.nvidia.com/drivers); in a container, start it with --gpus all`,
    }
  const others = more.length === 0 ? '' : ` and ${more.length} more`
  const memory = gpu.memory > 0 ? `, ${(gpu.memory / 2 ** 30).toFixed(0)} GiB` : ''
  const found = `${gpu.driver}, ${gpu.name}${memory}${others}`
  if (Number.parseInt(gpu.driver, 10) >= build.driver) return { what, ok: true, found }
  return {
    what,
    ok: false,
    found,
    remedy: `CUDA ${build.cuda} needs driver ${build.driver} or later: https://www.nvidia.com/drivers`,
  }
}

/** CUDA's and cuDNN's libraries, one line for each product. */
export function checkLibraries({ requirements }: CudaBuild, libraries: Libraries): Check[] {
  return requirements.map(({ product, libraries: names, packages }) => {
    const found = names.map((name) => ({ name, at: findLibrary(name, libraries) }))
    const missing = found.filter(({ at }) => at === undefined).map(({ name }) => name)
    if (missing.length > 0)
      return {
        what: product,
        ok: false,
        found: `${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} missing`,
        remedy: `pip install ${packages.join(' ')}, or NVIDIA's packages for this system (docs/gpu.md)`,
      }
    const folders = [...new Set(found.map(({ at }) => dirname(at!.path)))]
    if (found.every(({ at }) => at!.loads)) return { what: product, ok: true, found: folders.join(', ') }
    return {
      what: product,
      ok: false,
      found: `in ${folders.join(', ')}, where programs do not look`,
      remedy: `export LD_LIBRARY_PATH=${folders.join(':')}:$LD_LIBRARY_PATH`,
    }
  })
}

/** `ok       cuDNN             /usr/lib/x86_64-linux-gnu`, a remedy on a line of its own. */
export function checkLines(checks: readonly Check[]): string[] {
  const width = Math.max(...checks.map(({ what }) => what.length))
  return checks.flatMap(({ what, ok, found, remedy }) => [
    `${ok ? 'ok     ' : 'missing'}  ${what.padEnd(width)}  ${printable(found)}`,
    ...(remedy === undefined ? [] : [`${' '.repeat(9 + width)}  -> ${printable(remedy)}`]),
  ])
}
