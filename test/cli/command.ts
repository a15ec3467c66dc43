import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The command line as users have it. */
export const MAIN = fileURLToPath(new URL('../../bin/main.js', import.meta.url))

export interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface SpawnOptions {
  /** Called with the process and everything that it wrote to stderr so far. */
  readonly onStderr?: (child: ReturnType<typeof spawn>, text: string) => void
  /** Called with the process when it was started. */
  readonly onSpawn?: (child: ReturnType<typeof spawn>) => void
  /** Replaces variables of the environment; undefined takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Where it is called; here by default. */
  readonly cwd?: string
  /** What the command reads from stdin; nothing by default. */
  readonly input?: string
}

/** What decides about colors is taken away, so that tests see the same wherever they run. */
const PLAIN = { CI: undefined, FORCE_COLOR: undefined, NO_COLOR: undefined }

/** Runs the command line as a user does. */
export async function retrograd(args: readonly string[], options: SpawnOptions = {}): Promise<Outcome> {
  const env = { ...process.env, ...PLAIN, ...options.env }
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: 'pipe',
    env,
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  })
  options.onSpawn?.(child)
  child.stdin.end(options.input ?? '')
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
    options.onStderr?.(child, stderr)
  })
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { status, stdout, stderr }
}

/** The demo's recorded run as options of `retrograd run`; later options replace earlier ones of the same name. */
export function runArguments(changes: Readonly<Record<string, string | undefined>> = {}): string[] {
  const { checkpoints = 'fixtures/mnist-lenet/checkpoints', ...rest } = changes
  const options: Record<string, string | undefined> = {
    model: 'fixtures/mnist-lenet/model.onnx',
    train: 'fixtures/mnist-lenet/val.npz',
    loss: 'cross-entropy',
    steps: '0:2',
    ...rest,
  }
  const given = Object.entries(options).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, value],
  )
  return ['run', checkpoints, ...given]
}

const folders: string[] = []

/** A new empty folder; `removeFolders` in an `after` hook removes it. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'retrograd-'))
  folders.push(folder)
  return folder
}

export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
}
