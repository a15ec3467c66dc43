/**
 * The command line in this process, with clocks on what forms and writes rows. Prints a last line of JSON: seconds of
 * writing, by the clock and of this process's processor time (what V8 compiles and clears away meanwhile included), and
 * of the whole process from its start.
 */
import { writeSync } from 'node:fs'
import { Advance } from '../../src/replay/advance.js'
import { IntervalRows } from '../../src/replay/interval-rows.js'
import { ResultsWriter } from '../../src/tables/writer.js'

let [writing, processor, depth, begun] = [0, 0, 0, 0]
let usage = process.cpuUsage()

function begin(): void {
  if (depth === 0) [begun, usage] = [performance.now(), process.cpuUsage()]
  depth += 1
}

function end(): void {
  depth -= 1
  if (depth > 0) return
  writing += performance.now() - begun
  const { user, system } = process.cpuUsage(usage)
  processor += (user + system) / 1000
}

/** Puts a clock on a method; what it calls, and has a clock too, counts once. */
function clock<N extends string>(prototype: Record<N, (...args: never[]) => unknown>, name: N): void {
  const method = prototype[name] as (this: unknown, ...args: unknown[]) => unknown
  const timed = function (this: unknown, ...args: unknown[]): unknown {
    begin()
    try {
      const result = method.apply(this, args)
      if (!(result instanceof Promise)) return result
      begin()
      return result.finally(end)
    } finally {
      end()
    }
  }
  Object.assign(prototype, { [name]: timed })
}

clock(IntervalRows.prototype, 'write')
clock(Advance.prototype, 'writeTotals')
clock(ResultsWriter.prototype, 'endBlock')
clock(ResultsWriter.prototype, 'commit')
process.on('exit', () => {
  const facts = { writing: writing / 1000, processor: processor / 1000, seconds: performance.now() / 1000 }
  writeSync(1, `\n${JSON.stringify(facts)}\n`)
})
await import('../../src/cli/main.js')
