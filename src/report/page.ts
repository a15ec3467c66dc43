import { createHash } from 'node:crypto'
import type { RunAnalysis } from '../analysis/model.js'
import { VERSION } from '../version.js'
import { isDrawn, type Figure } from './figure.js'
import { figuresOf } from './figures.js'
import { html, Html, jsonForScript } from './html.js'
import { factsLine, leadSentence, warningsBox } from './page/facts.js'
import { findingsSection } from './page/findings.js'
import { figureSections, SECTIONS } from './page/figures.js'
import { methodSection } from './page/method.js'
import { tensorSection } from './page/tensors.js'
import { toPageVega } from './compile.js'
import type { PageScripts } from './scripts.js'
import { STYLE } from './style.js'

/**
 * The report of a run as one HTML file that needs nothing else: style, program and data are in it, and its policy forbids
 * it to load anything. Names from files are escaped.
 */
export function renderPage(run: RunAnalysis, scripts: PageScripts, figures = figuresOf(run)): string {
  const { name } = run.facts
  const programs = [scripts.vega, scripts.client]
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="${policy(programs)}" />
        <meta name="generator" content="retrograd ${VERSION}" />
        <title>${name} – retrograd</title>
        <link rel="icon" href="${ICON}" />
        <style>
          ${new Html(STYLE)}
        </style>
      </head>
      <body>
        <a class="skip" href="#findings">Skip to the findings</a>
        <header class="frame top">
          <span class="brand">retrograd</span>
          <button type="button" id="theme" aria-pressed="false">Dark</button>
        </header>
        <main class="frame">
          <div class="head">
            <h1>${name}</h1>
            ${leadSentence(run)} ${factsLine(run)} ${contents()} ${warningsBox(run)}
          </div>
          ${findingsSection(run.findings, figures)} ${figureSections(run, figures)} ${tensorSection(run)}
          ${methodSection(run)}
        </main>
        <footer class="frame">Made by retrograd ${VERSION}.</footer>
        <div class="tooltip" aria-hidden="true"></div>
        ${figures.filter(isDrawn).map(specification)} ${programs.map(program)}
      </body>
    </html>`.text
}

function contents(): Html {
  const entries = [
    { id: 'findings', short: 'Findings' },
    ...SECTIONS,
    { id: 'tensors', short: 'Tensors' },
    { id: 'method', short: 'Method' },
  ]
  return html`<nav class="contents" aria-label="Contents">
    <ul>
      ${entries.map(({ id, short }) => html`<li><a href="#${id}">${short}</a></li> `)}
    </ul>
  </nav>`
}

/** A figure's Vega, for the program to draw when it comes into view. */
function specification({ name, spec }: Figure): Html {
  return html`<script type="application/json" id="vega-${name}">
    ${jsonForScript(toPageVega(spec))}
  </script>`
}

/** Our own programs; they were checked to hold nothing that ends a script element. */
function program(source: string): Html {
  return new Html(`<script>${source}</script>\n`)
}

/** Only these programs run, and nothing is loaded. Vega compiles its expressions, hence unsafe-eval. */
function policy(programs: readonly string[]): string {
  const hashes = programs.map((source) => `'sha256-${createHash('sha256').update(source).digest('base64')}'`)
  return [
    "default-src 'none'",
    `script-src ${hashes.join(' ')} 'unsafe-eval'`,
    "style-src 'unsafe-inline'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
}

/** A falling line. */
const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M2 3c3 0 3 9 12 10' fill='none' stroke='%232268ad' stroke-width='2.5' stroke-linecap='round'/%3E%3C/svg%3E"
