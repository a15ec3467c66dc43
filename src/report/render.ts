import type { TopLevelSpec } from 'vega-lite'
import { UsageError } from '../errors.js'
import { toVega } from './compile.js'
import { darkened } from './palette.js'

export const THEMES = ['light', 'dark'] as const
export type Theme = (typeof THEMES)[number]
export const PICTURE_FORMATS = ['svg', 'png'] as const
export type PictureFormat = (typeof PICTURE_FORMATS)[number]

export interface RenderOptions {
  readonly theme?: Theme
  /** Pixels of a PNG per unit of the figure's size. */
  readonly scale?: number
}

/** The specification in the colours of a theme; specifications are made in light ones. */
export function themed(spec: TopLevelSpec, theme: Theme): TopLevelSpec {
  return theme === 'dark' ? darkened(spec) : spec
}

/**
 * Draws a figure without a browser. Throws UsageError where a PNG is asked for and the optional package `canvas` is not
 * installed; an SVG needs nothing.
 */
export async function renderFigure(
  spec: TopLevelSpec,
  format: PictureFormat,
  { theme = 'light', scale = 1 }: RenderOptions = {},
): Promise<string | Uint8Array> {
  const { parse, View } = await import('vega')
  const view = new View(parse(toVega(themed(spec, theme))), { renderer: 'none' })
  try {
    return format === 'svg' ? await view.toSVG(scale) : await png(view, scale)
  } finally {
    view.finalize()
  }
}

/** Throws UsageError where this installation can't draw the format, before anything is computed for it. */
export async function assertDrawable(format: PictureFormat): Promise<void> {
  await renderFigure({ data: { values: [{}] }, mark: 'point', width: 1, height: 1 }, format)
}

/** What vega's own type does not say: without a canvas there is none, and that of the package gives files. */
type NodeCanvas = { readonly toBuffer: (type: string) => Uint8Array } | null

async function png(
  view: { toCanvas: (scale?: number) => Promise<unknown> },
  scale: number,
): Promise<Uint8Array> {
  const canvas = (await view.toCanvas(scale).catch(() => null)) as NodeCanvas
  if (canvas === null)
    throw new UsageError(
      'pictures as PNG need the package canvas, which is optional and not installed here: npm install canvas@npm:@napi-rs/canvas, or take --format svg',
    )
  return canvas.toBuffer('image/png')
}
