import { Plot } from './plot.js'
import { isDark } from './theme.js'

/** How far below the window a figure is drawn already. */
const AHEAD = '400px'

/** All figures of the page: each is drawn when it comes into view, and all are before the page is printed. */
export class Plots {
  private readonly plots: ReadonlyMap<Element, Plot>
  private readonly observer: IntersectionObserver

  constructor(elements: readonly HTMLElement[]) {
    this.plots = new Map(elements.map((element) => [element, new Plot(element)]))
    this.observer = new IntersectionObserver(
      (entries) => {
        for (const { isIntersecting, target } of entries) if (isIntersecting) this.draw(target)
      },
      { rootMargin: `${AHEAD} 0px` },
    )
  }

  watch(): void {
    for (const element of this.plots.keys()) this.observer.observe(element)
    for (const select of document.querySelectorAll<HTMLSelectElement>('select[data-signal]'))
      select.addEventListener('change', () => {
        this.choose(select)
      })
    addEventListener('resize', () => {
      // in the next frame: Vega hears of it only after us
      requestAnimationFrame(() => {
        for (const plot of this.plots.values()) plot.fit()
      })
    })
    addEventListener('beforeprint', () => {
      for (const plot of this.plots.values()) plot.draw({ dark: false, print: true })
    })
    addEventListener('afterprint', () => {
      this.redraw()
    })
  }

  /** Draws again what is in view, and the others when they come into view, in the theme that holds now. */
  redraw(): void {
    for (const [element, plot] of this.plots) {
      plot.clear()
      this.observer.unobserve(element)
      this.observer.observe(element)
    }
  }

  private draw(element: Element): void {
    this.observer.unobserve(element)
    this.plots.get(element)!.draw({ dark: isDark(), print: false })
  }

  private choose(select: HTMLSelectElement): void {
    for (const plot of this.plots.values()) if (plot.name === select.dataset.of) plot.choose(select)
  }
}
