import type { Colors } from 'picocolors/types.js'
import type { DeviceReport } from '../../engines/devices/survey.js'
import { printable } from '../../printable.js'
import { byteSize, exponent } from '../text.js'
import type { Disk, DoctorFacts, EngineReport } from './facts.js'

/** One line: whether it is there, what it is, and what is to be said of it. */
interface Line {
  readonly ok: boolean
  readonly name: string
  readonly said: string
  readonly remedy?: string | undefined
}

/** What the doctor found, for people. */
export function renderDoctor(facts: DoctorFacts, color: Colors): string {
  const { devices, engines, auto } = facts
  const chosen = `--device auto takes ${auto}; numbers are those of a small gradient`
  return [
    '',
    ...machine(facts, color),
    '',
    `  ${color.bold('devices')}  ${color.dim(chosen)}`,
    ...lines(devices.map(deviceLine), color),
    '',
    `  ${color.bold('engines')}`,
    ...lines(engines.map(engineLine), color),
    '',
  ].join('\n')
}

function machine(facts: DoctorFacts, color: Colors): string[] {
  const { retrograd, node, platform, system, onnxruntime, tfjs, cpu, cores, memory, disks } = facts
  const rows: [string, string][] = [
    ['versions', `onnxruntime ${onnxruntime}${tfjs === null ? '' : `, tfjs ${tfjs}`}, Node.js ${node}`],
    ['system', `${platform} (${system}), ${cpu}, ${cores} ${cores === 1 ? 'core' : 'cores'}`],
    ['memory', `${byteSize(memory.free)} free of ${byteSize(memory.total)}`],
    ...disks.map((one): [string, string] => [one.what, diskSaid(one)]),
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return [
    `  ${color.bold(`retrograd ${retrograd}`)}`,
    ...rows.map(([name, said]) => `  ${name.padEnd(width)}  ${printable(said)}`),
  ]
}

function diskSaid({ path, free, total }: Disk): string {
  const space =
    free === null || total === null ? 'space unknown' : `${byteSize(free)} free of ${byteSize(total)}`
  return `${space} (${path})`
}

function deviceLine(report: DeviceReport): Line {
  const { device, available, reason, remedy, adapter, software, error, ms, nodes, nodesOnDevice } = report
  if (!available) return { ok: false, name: device, said: reason ?? 'not available', remedy }
  const parts = [
    adapter,
    software === true ? 'a program on the CPU' : undefined,
    error === undefined || device === 'cpu' ? undefined : `error ${error === 0 ? '0' : exponent(error)}`,
    ms === undefined ? undefined : `${ms.toPrecision(2)} ms`,
    nodes === undefined ? undefined : `${nodesOnDevice ?? 0} of ${nodes} nodes there`,
  ]
  return { ok: true, name: device, said: parts.filter((part) => part !== undefined).join(', ') }
}

function engineLine({ name, available, version, reason, gpu, tensorflow }: EngineReport): Line {
  const library = tensorflow === undefined ? undefined : `TensorFlow ${tensorflow}`
  const parts = [version, library, gpu === true ? 'on a GPU' : undefined, reason]
  const said = parts.filter((part) => part !== undefined)
  return { ok: available, name, said: said.join(', ') }
}

function lines(list: readonly Line[], color: Colors): string[] {
  const width = Math.max(...list.map(({ name }) => name.length))
  return list.flatMap(({ ok, name, said, remedy }) => [
    `  ${ok ? color.green('✓') : color.red('✗')} ${name.padEnd(width)}  ${printable(said)}`,
    ...(remedy === undefined ? [] : [`    ${' '.repeat(width)}  ${color.dim(`→ ${printable(remedy)}`)}`]),
  ])
}
