import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InferenceSession } from './runtime.js'
import { DeviceError, reasonOf } from '../errors.js'
import type { Device } from './devices/names.js'
import { operatorList, readPlacement } from './devices/placement.js'
import type { Placement } from './devices/placement.js'
import { sessionOptions } from './session-options.js'
import type { Placing, SessionSettings } from './session-options.js'

/** One run makes ready (shaders are compiled, memory is taken); the next is measured. */
export const PROFILED_RUNS = 2

/** How ONNX Runtime says that a node is left for the CPU although that is forbidden. */
const FALLBACK_REFUSED = /assigned to the default CPU EP|fallback to CPU EP has been explicitly disabled/i

/**
 * A session that knows where its nodes run: on any device but the CPU its first runs are profiled, and then it goes on
 * without. Where `strict` forbids the CPU and nodes are left for it, the first run ends in an error that names them:
 * ONNX Runtime itself says no more than that there are such.
 */
export class MeasuredSession {
  /** Where nodes ran; undefined before it is known, and on the CPU, where it is no question. */
  placement: Placement | undefined
  private runs = 0

  private constructor(
    private readonly session: InferenceSession,
    private readonly device: Device,
    private folder: string | undefined,
    private readonly refused: boolean,
  ) {}

  /**
   * @param model an ONNX file, or its bytes
   * @throws what ONNX Runtime throws where it can't make the session
   */
  static async open(
    model: string | Uint8Array,
    placing: Placing,
    settings: SessionSettings = {},
  ): Promise<MeasuredSession> {
    const { device, strict } = placing
    if (device === 'cpu')
      return new MeasuredSession(await create(model, placing, settings), device, undefined, false)
    const folder = mkdtempSync(join(settings.scratch ?? tmpdir(), 'retrograd-profile-'))
    const profiled = { ...settings, profilePrefix: join(folder, 'profile') }
    try {
      return new MeasuredSession(await create(model, placing, profiled), device, folder, false)
    } catch (error) {
      try {
        if (!strict || !FALLBACK_REFUSED.test(reasonOf(error))) throw error
        // the session that was refused has left a profile of its own
        emptyFolder(folder)
        const session = await create(model, { device, strict: false }, profiled)
        return new MeasuredSession(session, device, folder, true)
      } catch (other) {
        rmSync(folder, { recursive: true, force: true })
        throw other
      }
    }
  }

  /** @throws DeviceError where a node would run elsewhere although that is forbidden; what ONNX Runtime throws */
  async run(
    feeds: InferenceSession.FeedsType,
    fetches: InferenceSession.NullableOnnxValueMapType,
  ): Promise<InferenceSession.OnnxValueMapType> {
    const results = await this.session.run(feeds, fetches)
    if (this.folder === undefined) return results
    this.runs += 1
    if (this.refused || this.runs === PROFILED_RUNS) this.endProfile()
    if (this.refused) throw new DeviceError(strictMessage(this.device, this.placement))
    return results
  }

  async release(): Promise<void> {
    if (this.folder !== undefined) this.endProfile()
    await this.session.release()
  }

  private endProfile(): void {
    const folder = this.folder!
    this.folder = undefined
    try {
      this.session.endProfiling()
      const [file] = readdirSync(folder)
      if (file !== undefined && this.runs > 0)
        this.placement = readPlacement(readFileSync(join(folder, file), 'utf8'), this.device)
    } catch {
      // a profile that can't be had is no reason to end a replay: where nodes ran stays unknown
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

function emptyFolder(folder: string): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name))
}

function strictMessage(device: Device, placement: Placement | undefined): string {
  const nodes = placement?.elsewhere.reduce((sum, { nodes: count }) => sum + count, 0) ?? 0
  const which = placement === undefined || nodes === 0 ? 'some nodes' : `${nodes} of ${placement.nodes} nodes`
  const operators = placement === undefined || nodes === 0 ? '' : `: ${operatorList(placement)}`
  return `--strict-device: ${device} leaves ${which} to the CPU${operators}; without --strict-device they are computed there`
}

function create(
  model: string | Uint8Array,
  placing: Placing,
  settings: SessionSettings,
): Promise<InferenceSession> {
  const options = sessionOptions(placing, settings)
  // the overloads differ in nothing but the first parameter
  return typeof model === 'string'
    ? InferenceSession.create(model, options)
    : InferenceSession.create(model, options)
}
