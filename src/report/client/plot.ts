import type { Spec, View } from 'vega'
import { darkened } from '../palette.js'
import { showTooltip } from './tooltip.js'

/** The library is in a script of its own. */
declare const vega: typeof import('vega')

export interface Look {
  readonly dark: boolean
  readonly print: boolean
}

/** From here on a canvas is quicker than elements. */
const MOST_SVG_VALUES = 3000
/** Width of a figure on paper, in pixels: what fits A4 and Letter. */
const PAPER_WIDTH = 680

/** One figure. */
export class Plot {
  readonly name: string
  private readonly container: HTMLElement
  private spec: Spec | undefined
  private view: View | undefined

  constructor(private readonly element: HTMLElement) {
    this.name = element.dataset.figure!
    this.container = element.firstElementChild as HTMLElement
  }

  draw({ dark, print }: Look): void {
    this.clear()
    const spec = (this.spec ??= JSON.parse(document.getElementById(`vega-${this.name}`)!.textContent) as Spec)
    const view = new vega.View(vega.parse(dark ? darkened(spec) : spec), {
      renderer: print || !isLarge(spec) ? 'svg' : 'canvas',
      container: this.container,
      tooltip: showTooltip,
      logLevel: vega.Warn,
    })
    if (print) view.width(PAPER_WIDTH)
    for (const select of this.selects()) view.signal(select.dataset.signal!, Number(select.value))
    this.view = view
    void this.run(view)
  }

  /**
   * Runs twice: a legend's columns follow the width, which is known after the first time. All of it happens before the
   * browser does anything else, so that a page which is printed has its pictures.
   */
  private async run(view: View): Promise<void> {
    await view.runAsync()
    await view.resize().runAsync()
    if (this.view === view) this.element.dataset.drawn = ''
  }

  /** Takes the picture away, and leaves its room. */
  clear(): void {
    if (this.view === undefined) return
    this.element.style.minHeight = `${this.element.offsetHeight}px`
    this.view.finalize()
    this.view = undefined
    this.container.textContent = ''
    delete this.element.dataset.drawn
  }

  /** After the window has another size; Vega takes the new width itself, but not what follows from it. */
  fit(): void {
    this.element.style.minHeight = ''
    if (this.view !== undefined) void this.run(this.view)
  }

  choose(select: HTMLSelectElement): void {
    this.element.style.minHeight = ''
    if (this.view !== undefined) void this.run(this.view.signal(select.dataset.signal!, Number(select.value)))
  }

  private selects(): Iterable<HTMLSelectElement> {
    return document.querySelectorAll<HTMLSelectElement>(`select[data-of="${this.name}"]`)
  }
}

/** Whether a figure holds many values; lists of numbers are rows to come. */
function isLarge({ data }: Spec): boolean {
  const sets = (data ?? []) as readonly { readonly values?: unknown }[]
  const rows = sets.flatMap(({ values }) => (Array.isArray(values) ? (values as object[]) : []))
  const counts = rows.map((row) => Math.max(1, ...Object.values(row).map(lengthOf)))
  return counts.reduce((sum, count) => sum + count, 0) > MOST_SVG_VALUES
}

function lengthOf(value: unknown): number {
  return Array.isArray(value) ? value.length : 1
}
