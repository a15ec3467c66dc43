import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { PYTHON, reference, THREADS } from './common.js'

/** The PyTorch program that evaluates one gradient again and again; see pytorch-gradient.py. */
export class GradientPeer {
  private readonly process: ChildProcessByStdio<Writable, Readable, null>
  private readonly answers: AsyncIterator<string>

  constructor(net: string, folder: string, batch: number, { device = 'cpu', threads = THREADS } = {}) {
    const script = resolve('scripts/bench/pytorch-gradient.py')
    const args = [script, net, reference(folder), String(batch), String(threads), device]
    this.process = spawn(PYTHON, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.answers = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]()
  }

  /** The norm of every parameter's gradient of the mean loss. */
  async norms(): Promise<Readonly<Record<string, number>>> {
    return (await this.ask('norms')) as Readonly<Record<string, number>>
  }

  /** Milliseconds of some evaluations in a row. */
  async time(count: number): Promise<number[]> {
    return (await this.ask(String(count))) as number[]
  }

  close(): void {
    this.process.stdin.end()
  }

  private async ask(question: string): Promise<unknown> {
    this.process.stdin.write(`${question}\n`)
    const answer = await this.answers.next()
    if (answer.done === true) throw new Error(`the peer ended (PYTHON=${PYTHON} must have torch and onnx)`)
    return JSON.parse(answer.value)
  }
}
