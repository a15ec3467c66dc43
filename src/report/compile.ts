import type { Spec } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'

/** A choice that a reader of the page has: a signal of the figure that takes the place of an option. */
export interface Control {
  readonly signal: string
  readonly label: string
  /** Plain texts; names in them are not escaped. */
  readonly options: readonly string[]
}

/** Specifications are checked by a test to compile without a word; a user could do nothing about one. */
const SILENT = {
  level: () => SILENT,
  error: () => SILENT,
  warn: () => SILENT,
  info: () => SILENT,
  debug: () => SILENT,
} as unknown as NonNullable<Parameters<typeof compile>[1]>['logger'] & object

/** A Vega-Lite specification as the Vega that draws it. */
export function toVega(spec: TopLevelSpec): Spec {
  const vega: Spec = compile(spec, { logger: SILENT }).spec
  return { ...vega, config: { ...vega.config, legend: { ...vega.config?.legend, ...SIDE_BY_SIDE } } }
}

/** Room between legends that lie side by side, of which Vega knows and Vega-Lite's schema does not. */
const SIDE_BY_SIDE = { layout: { top: { anchor: 'start', direction: 'horizontal', margin: 20 } } } as const

/** The Vega of a figure on a page: as wide as its container, on the page's background and in its font. */
export function toPageVega(spec: TopLevelSpec): Spec {
  const config = { ...spec.config, font: 'system-ui, sans-serif', aria: false }
  const fitted = {
    ...spec,
    params: withoutForms(spec),
    width: 'container',
    background: 'transparent',
    padding: { left: 2, right: 4, top: 2, bottom: 6 },
    autosize: { type: 'fit-x', contains: 'padding' },
    config,
  }
  return toVega(fitted as TopLevelSpec)
}

interface Parameter {
  readonly name: string
  readonly bind?: { readonly name: string; readonly labels: readonly string[] }
}

function parametersOf(spec: TopLevelSpec): readonly Parameter[] {
  return (spec.params ?? []) as readonly Parameter[]
}

/** The page has forms of its own, outside of the picture. */
function withoutForms(spec: TopLevelSpec): readonly object[] {
  return parametersOf(spec).map((parameter) =>
    Object.fromEntries(Object.entries(parameter).filter(([key]) => key !== 'bind')),
  )
}

/** The choices of a figure, those that are none left out. */
export function controlsOf(spec: TopLevelSpec): Control[] {
  return parametersOf(spec).flatMap(({ name, bind }) =>
    bind === undefined || bind.labels.length < 2
      ? []
      : [{ signal: name, label: bind.name.trim(), options: bind.labels }],
  )
}
