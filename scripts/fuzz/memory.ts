import { readFileSync, writeFileSync } from 'node:fs'

/** What the process holds beyond this after a read is first given back, so that it does not hide what the next one takes. */
const WORTH_COLLECTING = 32 * 2 ** 20

/**
 * Starts to measure memory; the result says how far the peak rose above what was held at the start, in bytes. Linux forgets
 * the peak so far when it is told to (proc(5), clear_refs); elsewhere a rise below an earlier peak is not seen.
 */
export function measureMemory(): () => number {
  const forgotten = forgetPeak()
  const held = process.memoryUsage.rss()
  const before = peakOf(forgotten)
  return () => {
    const peak = peakOf(forgotten)
    const rise = forgotten || peak > before ? Math.max(0, peak - held) : 0
    if (rise > WORTH_COLLECTING) globalThis.gc?.()
    return rise
  }
}

function forgetPeak(): boolean {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
    return true
  } catch {
    return false
  }
}

function peakOf(forgotten: boolean): number {
  const kilobytes = forgotten
    ? Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
    : process.resourceUsage().maxRSS
  return kilobytes * 1024
}
