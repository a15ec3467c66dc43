import { UsageError } from '../errors.js'
import { listNames } from '../listing.js'
import type { RunOptions } from '../replay/options.js'
import type { Prepared } from '../replay/prepare.js'
import { recomputeIntervals } from '../replay/recompute-intervals.js'
import type { IntervalTask, RecomputedInterval } from '../replay/recompute.js'
import type { Manifest } from '../tables/manifest.js'
import { openResults } from '../tables/read.js'
import { chooseIntervals } from './choose.js'
import { compareInterval } from './compare.js'
import type { TensorNames } from './compare.js'
import { fewestParts, finerTask, finerTolerance } from './finer.js'
import { withTemporaryFolder } from './folder.js'
import { checkFiles, checkInputs } from './inputs.js'
import type { IntervalVerification, Verdict, Verification, VerifyEvents, VerifyOptions } from './model.js'
import { rebuild } from './rebuild.js'
import type { Rebuilt } from './rebuild.js'
import { StoredResults } from './stored.js'

/**
 * Computes a sample of the intervals of finished results again, on another device or with another engine where there is
 * one, in finer parts, and tells how far the results are from that. What was replayed and how is read from the manifest;
 * files that are not the very ones are refused. Nothing in the folder changes: arrays lie in a temporary folder, which is
 * removed.
 *
 * @param folder the results of `runReplay`, `mergeParts` or, with `options.run`, one run of a tree of many
 * @returns undefined when the signal ended it
 * @throws ResultsError where the results are missing or damaged
 * @throws UsageError where a file is missing or is not what the results were made from, or options don't fit them
 * @throws DeviceError where the engine or the device can't be had
 * @throws every other error that `runReplay` throws
 */
export async function verifyResults(
  folder: string,
  options: VerifyOptions = {},
  events: VerifyEvents = {},
): Promise<Verification | undefined> {
  const results = await openResults(folder, options.run === undefined ? {} : { run: options.run })
  const rebuilt = await rebuild(folder, results.manifest, options)
  checkNumbers(options)
  const stored = await StoredResults.read(results, rebuilt.options.tolerance)
  const chosen = chooseIntervals(stored.intervals(), options)
  await checkFiles(rebuilt.options, results.manifest, sameEngine(rebuilt))
  return new Verifier(folder, stored, rebuilt, options, events).verify(chosen)
}

function sameEngine({ engine, options }: Rebuilt): boolean {
  return options.engine === engine
}

function checkNumbers({ tolerance, maxSplits }: VerifyOptions): void {
  if (tolerance !== undefined && !(tolerance > 0 && Number.isFinite(tolerance)))
    throw new UsageError(`--tolerance ${tolerance}: a number above 0 is needed`)
  if (maxSplits !== undefined && !(maxSplits >= 1 && Number.isInteger(Math.log2(maxSplits))))
    throw new UsageError(`--max-splits ${maxSplits}: a power of two is needed`)
}

class Verifier {
  private readonly notes: string[] = []
  private readonly done: IntervalVerification[] = []
  private readonly shares = new Map<number, number>()
  private readonly tolerance: number
  /** LCA by interval, split and tensor, as the run's own rule gives it in its own parts. */
  private readonly own = new Map<number, readonly (readonly number[])[]>()
  /** The tensors' names where they are recomputed, in order. */
  private recomputedNames: readonly string[] = []
  private names: TensorNames = { tensors: new Map(), units: new Map() }
  private device = ''
  private sameBackend = true

  constructor(
    private readonly folder: string,
    private readonly stored: StoredResults,
    private readonly rebuilt: Rebuilt,
    private readonly options: VerifyOptions,
    private readonly events: VerifyEvents,
  ) {
    this.tolerance = options.tolerance ?? rebuilt.options.tolerance
  }

  async verify(intervals: readonly number[]): Promise<Verification | undefined> {
    const tasks = intervals.map((interval) => this.task(interval))
    const { signal } = this.events
    const finished = await withTemporaryFolder((temporary) =>
      recomputeIntervals(
        this.rebuilt.options,
        {
          tasks,
          granularity: this.rebuilt.options.granularity,
          noiseFloor: this.noiseFloor,
          check: (prepared) => this.check(prepared),
          onEvaluated: (interval, evaluations) => {
            this.evaluated(interval, evaluations)
            this.progress(tasks.length)
          },
          onNote: (note) => {
            this.note(note)
          },
          onInterval: async (recomputed) => {
            this.done.push(await this.compare(recomputed))
            this.progress(tasks.length)
          },
        },
        { ...(signal && { signal }) },
        temporary,
      ),
    )
    return finished ? this.verification() : undefined
  }

  private task(interval: number): IntervalTask {
    const { tolerance } = this.rebuilt.options
    const parts = this.stored.step(this.stored.splits[0]!, interval).parts
    const own = {
      quadrature: this.rebuilt.options.quadrature ?? 'simpson',
      parts,
      onOwn: (lca: readonly (readonly number[])[]) => {
        this.own.set(interval, lca)
      },
    }
    return finerTask(interval, own, { tolerance, maxSplits: this.options.maxSplits })
  }

  private compare(recomputed: RecomputedInterval): Promise<IntervalVerification> {
    const { interval } = recomputed.record
    const own = this.own.get(interval)
    const named = own?.map(
      (lca) => new Map(lca.map((value, tensor): [string, number] => [this.recomputedNames[tensor]!, value])),
    )
    return compareInterval(this.stored, recomputed, {
      names: this.names,
      tolerance: this.tolerance,
      runTolerance: this.rebuilt.options.tolerance,
      own: named && new Map(this.stored.splits.map((split, i) => [split, named[i]!])),
    })
  }

  private get noiseFloor(): number {
    const { noise_floor: floor } = this.stored.results.manifest.result
    return typeof floor === 'number' ? floor : 0
  }

  /** Checks what was opened against the manifest, and says where it will be computed. */
  private async check(prepared: Prepared): Promise<void> {
    const { manifest } = this.stored.results
    const { options, engine, device } = this.rebuilt
    await checkInputs(prepared, manifest, { options, sameEngine: sameEngine(this.rebuilt) })
    this.device = prepared.device.device
    this.sameBackend = backendOf(manifest.device) === prepared.network.engineFacts?.backend
    this.names = this.tensorNames(prepared, manifest, options)
    this.recomputedNames = prepared.network.tensors.map(({ name }) => name)
    if (this.sameAsResults)
      this.note(
        `computed on ${device} by ${engine}, as the results were: finer parts try the integral, but not the engine; ` +
          '--device or --engine name another, where there is one',
      )
    if (!sameEngine(this.rebuilt))
      this.note(
        `${prepared.network.path} is another file than the results were made from, and only the numbers can say that it is the same network`,
      )
  }

  private get sameAsResults(): boolean {
    return sameEngine(this.rebuilt) && this.sameBackend && this.device === this.rebuilt.device
  }

  /** Tensors are the same where their names in the checkpoints are: another engine's network may call them otherwise. */
  private tensorNames({ network }: Prepared, manifest: Manifest, { model }: RunOptions): TensorNames {
    const now = new Map(network.tensors.map((tensor) => [tensor.checkpointName, tensor]))
    const tensors = new Map<string, string>()
    const units = new Map<string, string>()
    for (const { tensor, checkpoint_name, unit_axis, shape } of manifest.tensors) {
      const found = now.get(checkpoint_name)
      if (found === undefined)
        throw new UsageError(
          `${model ?? network.path} has no place for ${checkpoint_name}, whose LCA the results hold; name the right network with --model`,
        )
      tensors.set(tensor, found.name)
      if (shape.length === 0 || unit_axis === found.units.axis) units.set(tensor, found.name)
    }
    const otherwise = [...tensors.keys()].filter((tensor) => !units.has(tensor))
    if (otherwise.length > 0)
      this.note(`units are cut along another axis, and not compared, of ${listNames(otherwise)}`)
    return { tensors, units }
  }

  /** Points between the parts count; those at the ends are shared with neighbours. */
  private evaluated(interval: number, evaluations: number): void {
    const { splits } = this.stored
    const points = fewestParts(this.stored.step(splits[0]!, interval).parts) - 1
    const share = evaluations / (points * splits.length)
    this.shares.set(interval, (this.shares.get(interval) ?? 0) + share)
  }

  private progress(intervals: number): void {
    for (const { interval } of this.done) this.shares.delete(interval)
    const onTheWay = [...this.shares.values()].reduce((sum, share) => sum + Math.min(0.99, share), 0)
    this.events.onProgress?.({ done: Math.min(intervals, this.done.length + onTheWay), intervals })
  }

  private note(text: string): void {
    this.notes.push(text)
    this.events.onNote?.(text)
  }

  private verification(): Verification {
    const { rebuilt, stored, options } = this
    const intervals = this.done.sort((a, b) => a.interval - b.interval)
    const contradictions = [
      ...stored.contradictions,
      ...intervals.flatMap(({ contradictions: some }) => some),
    ]
    return {
      results: this.folder,
      ...(options.run !== undefined && { run: options.run }),
      verdict: overall(intervals, contradictions.length > 0),
      tolerance: this.tolerance,
      refinedTo: finerTolerance(rebuilt.options.tolerance),
      stepUnit: this.stepUnit,
      computed: {
        engine: rebuilt.options.engine ?? rebuilt.engine,
        device: this.device,
        sameAsResults: this.sameAsResults,
      },
      of: stored.intervals().length,
      intervals,
      contradictions,
      notes: this.notes,
    }
  }

  private get stepUnit(): string {
    const trajectory = this.stored.results.manifest.trajectory as { step_unit?: unknown } | undefined
    return typeof trajectory?.step_unit === 'string' ? trajectory.step_unit : 'step'
  }
}

/** The program behind an engine that has several, as the manifest has it. */
function backendOf(device: unknown): unknown {
  return (device as { backend?: unknown } | undefined)?.backend
}

/** The worst of all intervals; tables that contradict themselves are no one's. */
function overall(intervals: readonly IntervalVerification[], contradicted: boolean): Verdict {
  const verdicts = intervals.map(({ verdict }) => verdict)
  if (contradicted || verdicts.includes('differs')) return 'differs'
  return verdicts.includes('imprecise') ? 'imprecise' : 'agrees'
}
