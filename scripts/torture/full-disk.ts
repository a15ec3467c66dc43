import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Random } from '../../test/support/random.js'
import { assertSame, bitsOf } from './bits.js'
import type { Victim } from './kills.js'
import { RunningReplay } from './processes.js'

/** The file system has so many pages at first, at most. */
const FIRST_PAGES = 20
const PAGE = 4096
/** Where a run does not fit into this it never will. */
const MOST_BYTES = 2 ** 30
const MESSAGE = /cannot write (\S+): the disk is full: free some space/

/** A tmpfs of a size that can be changed. Its methods throw Error where mounting is not permitted. */
class SmallDisk {
  constructor(
    readonly folder: string,
    private bytes: number,
  ) {
    mkdirSync(folder, { recursive: true })
    mount(['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder])
  }

  enlarge(bytes: number): void {
    this.bytes += bytes
    if (this.bytes > MOST_BYTES) throw new Error(`the run does not fit into ${MOST_BYTES} bytes`)
    mount(['-o', `remount,size=${this.bytes}`, this.folder])
  }

  remove(): void {
    execFileSync('umount', [this.folder], { stdio: 'pipe' })
  }
}

function mount(args: readonly string[]): void {
  execFileSync('mount', args, { stdio: 'pipe' })
}

/** Why no small file system can be made here; undefined where one can. */
export function whyNoDisk(folder: string): string | undefined {
  try {
    new SmallDisk(join(folder, 'probe'), 16 * PAGE).remove()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message.trim() : String(error)
  }
}

/**
 * Runs on file systems that are too small until disks were full so many times; after each time the same command goes on
 * with a little more space. Returns how often which kind of file did not fit, and the number of runs.
 */
export async function fillDisks(
  victim: Victim,
  fills: number,
  random: Random,
): Promise<{ files: Map<string, number>; runs: number }> {
  const files = new Map<string, number>()
  let [count, runs] = [0, 0]
  for (; count < fills; runs += 1) {
    const disk = new SmallDisk(
      join(victim.folder, `disk-${runs}`),
      PAGE * Math.ceil(FIRST_PAGES * random.next()),
    )
    try {
      for (;;) {
        const file = await runUntilFull(
          victim,
          join(disk.folder, 'out'),
          count < fills ? 1 + Math.floor(2 * random.next()) : 1,
        )
        if (file === undefined) break
        count += 1
        files.set(kindOf(file), (files.get(kindOf(file)) ?? 0) + 1)
        disk.enlarge(PAGE * Math.ceil(victim.run.morePages * random.next()))
      }
      assertSame(await bitsOf(join(disk.folder, 'out')), victim.expected)
    } finally {
      disk.remove()
    }
  }
  return { files, runs }
}

/** Returns the file that did not fit; undefined when the run is done. */
async function runUntilFull({ run }: Victim, out: string, workers: number): Promise<string | undefined> {
  const replay = new RunningReplay(run, out, workers)
  const status = await replay.exit
  await replay.allGone()
  if (status === 0) return undefined
  const file = MESSAGE.exec(replay.stderr)?.[1]
  if (status === 1 && file !== undefined) return file
  throw new Error(`exit ${status} on a full disk:\n${replay.stderr}`)
}

/** `gradient-12-0.417-55` and `gradient-3-1` are of one kind. */
function kindOf(file: string): string {
  const name = basename(file).replace(/[-.]\d.*$/, '')
  return file.endsWith('.parquet.tmp') ? 'part of a table' : name
}
