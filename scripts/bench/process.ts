import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The bundled command line, which is what users run. */
const MAIN = fileURLToPath(new URL('../../bin/main.js', import.meta.url))

/** Memory is looked at this often. */
const SAMPLE_MS = 20
/** /proc counts resident memory in pages, processor time in ticks. */
const PAGE_BYTES = 4096
const TICKS_PER_SECOND = 100

/** A process that has ended, and what it and all processes below it took. */
export interface Measured {
  readonly stdout: string
  readonly seconds: number
  /** Of all processes together, user and system. */
  readonly processorSeconds: number
  /** The largest sum of the resident memory of all processes; what they share counts in each. 2^20 bytes. */
  readonly megabytes: number
}

/** Runs retrograd's command line to its end. */
export function retrograd(args: readonly string[]): Promise<Measured> {
  return measure(process.execPath, [MAIN, ...args])
}

/** Runs a program to its end. Linux only: memory and processor time are read from /proc. */
export async function measure(program: string, args: readonly string[]): Promise<Measured> {
  const before = processorSecondsOfChildren()
  const started = process.hrtime.bigint()
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const tree = new ProcessTree(child.pid!)
  const timer = setInterval(() => {
    tree.sample()
  }, SAMPLE_MS)
  const text = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (text.stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (text.stderr += chunk.toString()))
  const status = await new Promise<number | null>((resolve) => {
    child.on('exit', resolve)
  })
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  clearInterval(timer)
  await new Promise((resolve) => setImmediate(resolve))
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed: ${text.stderr}`)
  return {
    stdout: text.stdout,
    seconds,
    processorSeconds: processorSecondsOfChildren() - before,
    megabytes: tree.peakBytes / 2 ** 20,
  }
}

/** A process and all that it started, and theirs. */
class ProcessTree {
  peakBytes = 0
  private readonly members = new Set<number>()
  private readonly others = new Set<number>()

  constructor(root: number) {
    this.members.add(root)
  }

  sample(): void {
    this.findNew()
    let bytes = 0
    for (const id of this.members) bytes += residentBytes(id)
    this.peakBytes = Math.max(this.peakBytes, bytes)
  }

  private findNew(): void {
    const running = readdirSync('/proc').map(Number).filter(Number.isInteger)
    for (const id of running) {
      if (this.members.has(id) || this.others.has(id)) continue
      if (this.members.has(parentOf(id))) this.members.add(id)
      else this.others.add(id)
    }
  }
}

function parentOf(id: number): number {
  return Number(statOf(`/proc/${id}/stat`)[1] ?? -1)
}

function residentBytes(id: number): number {
  try {
    return Number(readFileSync(`/proc/${id}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES
  } catch {
    return 0
  }
}

/** Processor time of all children that have ended, and of theirs. */
function processorSecondsOfChildren(): number {
  const fields = statOf('/proc/self/stat')
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND
}

/** The fields of proc_pid_stat(5) from the third on, the state: the second, a name, may hold anything. */
function statOf(path: string): string[] {
  try {
    const text = readFileSync(path, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}
