import { DARK_OF, LIGHT } from './palette.js'

const dark = (color: string): string => DARK_OF.get(color)!

const LIGHT_COLORS = `
  color-scheme: light;
  --background: ${LIGHT.background};
  --raised: #f6f7f9;
  --ink: ${LIGHT.ink};
  --muted: ${LIGHT.muted};
  --rule: #e3e6eb;
  --strong-rule: ${LIGHT.rule};
  --helps: ${LIGHT.helps};
  --hurts: #b23c22;
  --link: #1b5e9e;
  --warning: #fdf6e7;
  --warning-rule: #dcb257;`

const DARK_COLORS = `
  color-scheme: dark;
  --background: ${dark(LIGHT.background)};
  --raised: #1c2027;
  --ink: ${dark(LIGHT.ink)};
  --muted: ${dark(LIGHT.muted)};
  --rule: #2b313a;
  --strong-rule: ${dark(LIGHT.rule)};
  --helps: ${dark(LIGHT.helps)};
  --hurts: ${dark(LIGHT.hurts)};
  --link: #83bdf5;
  --warning: #28220f;
  --warning-rule: #8a6d26;`

/** The page's style: system fonts, one column of text and pictures, contents beside it where there is room. */
export const STYLE = `
:root {${LIGHT_COLORS}}
@media screen and (prefers-color-scheme: dark) { :root:not([data-theme='light']) {${DARK_COLORS}} }
@media screen { :root[data-theme='dark'] {${DARK_COLORS}} }

*, *::before, *::after { box-sizing: border-box; }
html { scroll-padding-top: 1.5rem; -webkit-text-size-adjust: 100%; }
body {
  margin: 0;
  background: var(--background);
  color: var(--ink);
  font: 1rem/1.6 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif;
  font-variant-numeric: tabular-nums;
  overflow-wrap: break-word;
}
h1, h2, h3 { line-height: 1.25; text-wrap: balance; letter-spacing: -0.01em; }
h1 { font-size: clamp(1.7rem, 1.2rem + 2vw, 2.4rem); font-weight: 650; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.45rem; font-weight: 650; margin: 0 0 1rem; }
h3 { font-size: 1.08rem; font-weight: 620; margin: 0 0 0.35rem; }
h4 { font-size: 0.95rem; font-weight: 620; margin: 0 0 0.4rem; }
p { margin: 0 0 0.75rem; }
a { color: var(--link); text-underline-offset: 0.18em; text-decoration-thickness: 1px; }
code { font: 0.92em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 2px; }
.visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip { position: absolute; left: -100vw; }
.skip:focus { left: 1rem; top: 0.5rem; background: var(--background); padding: 0.4rem 0.8rem; z-index: 2; }

.frame { max-width: 60rem; margin: 0 auto; padding: 0 1.25rem; }
.top { display: flex; justify-content: space-between; align-items: center; padding-block: 1.1rem; font-size: 0.92rem; color: var(--muted); }
.brand { font-weight: 650; letter-spacing: -0.01em; color: var(--ink); }
button, select, input {
  font: inherit; color: inherit; background: var(--background);
  border: 1px solid var(--strong-rule); border-radius: 6px; padding: 0.3rem 0.7rem; max-width: 100%;
}
button { cursor: pointer; }
button:hover, select:hover { border-color: var(--muted); }

.head { padding-block: 2.2rem 0.5rem; }
.lead { color: var(--muted); margin: 0.5rem 0 0; max-width: 46rem; }
.facts { display: flex; flex-wrap: wrap; gap: 1rem 2rem; justify-content: space-between; margin: 1.8rem 0 0; padding: 1.1rem 0 1.2rem; border-block: 1px solid var(--rule); }
.facts div { min-width: 0; }
.facts dt { font-size: 0.82rem; color: var(--muted); }
.facts dd { margin: 0.1rem 0 0; font-size: 1.12rem; font-weight: 560; line-height: 1.3; white-space: nowrap; }
.facts small { font-size: 0.82rem; font-weight: 400; color: var(--muted); }

.warnings { margin-top: 1.5rem; padding: 0.9rem 1.2rem; background: var(--warning); border-left: 3px solid var(--warning-rule); border-radius: 0 6px 6px 0; }
.warnings h2 { font-size: 1rem; margin: 0 0 0.3rem; }
.warnings ul { margin: 0; padding-left: 1.1rem; }

.contents { font-size: 0.92rem; margin-top: 1.4rem; }
.contents ul { display: flex; flex-wrap: wrap; gap: 0.2rem 1.3rem; list-style: none; margin: 0; padding: 0; }
.contents a { color: var(--muted); text-decoration: none; }
.contents a:hover { color: var(--link); text-decoration: underline; }

main > section { padding-top: 3.4rem; }
.findings { list-style: none; margin: 0; padding: 0; counter-reset: finding; }
.findings li { counter-increment: finding; position: relative; padding: 1.1rem 0 1.1rem 2.6rem; border-top: 1px solid var(--rule); }
.findings li:last-child { border-bottom: 1px solid var(--rule); }
.findings li::before { content: counter(finding); position: absolute; left: 0; top: 1.15rem; color: var(--muted); font-size: 1.05rem; }
.findings p { margin: 0; max-width: 46rem; overflow-wrap: anywhere; }
.claim { font-size: 1.08rem; line-height: 1.5; }
.advice { margin-top: 0.35rem !important; color: var(--ink); }
.advice b { font-weight: 620; }
.meta { margin-top: 0.35rem !important; font-size: 0.88rem; color: var(--muted); }
.meta span + span::before, .meta span + a::before { content: '·'; display: inline-block; width: 1.1em; text-align: center; color: var(--muted); }

figure { margin: 0 0 3rem; }
section > :last-child { margin-bottom: 0; }
.reading, .explain { color: var(--muted); max-width: 46rem; font-size: 0.95rem; }
.controls { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem 1.4rem; margin: 0 0 0.8rem; font-size: 0.9rem; }
.controls label { display: flex; align-items: center; gap: 0.5rem; color: var(--muted); min-width: 0; }
.controls select, .controls input { color: var(--ink); min-width: 0; }
.plot { width: 100%; overflow: hidden; }
.plot > div { width: 100%; }
.plot svg, .plot canvas { display: block; max-width: 100%; }
figcaption { font-size: 0.86rem; color: var(--muted); margin-top: 0.6rem; max-width: 46rem; }
figcaption p { margin: 0 0 0.2rem; }
.absent { padding: 1.2rem; background: var(--raised); border-radius: 6px; color: var(--muted); }
.tooltip {
  position: fixed; z-index: 3; pointer-events: none; display: none; max-width: min(22rem, 90vw);
  background: var(--background); color: var(--ink); border: 1px solid var(--strong-rule); border-radius: 6px;
  box-shadow: 0 4px 18px rgb(0 0 0 / 0.16); padding: 0.45rem 0.7rem; font-size: 0.84rem; line-height: 1.45;
}
.tooltip dl { display: grid; grid-template-columns: auto auto; gap: 0 0.8rem; margin: 0; }
.tooltip dt { color: var(--muted); }
.tooltip dd { margin: 0; overflow-wrap: anywhere; }

.scroller { overflow: auto; max-height: 36rem; border-block: 1px solid var(--rule); }
table { border-collapse: collapse; font-size: 0.86rem; min-width: 100%; }
th, td { padding: 0.38rem 0.8rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule); }
tbody tr:last-child > * { border-bottom: 0; }
th { font-weight: 560; color: var(--muted); }
thead th { position: sticky; top: 0; background: var(--background); z-index: 1; vertical-align: bottom; }
.text { text-align: left; }
tbody th { font-weight: 400; color: var(--ink); text-align: left; max-width: 22rem; overflow: hidden; text-overflow: ellipsis; }
tbody tr:hover > * { background: var(--raised); }
th button { border: 0; padding: 0.1rem 0.2rem; margin: -0.1rem -0.2rem; background: none; color: inherit; font-weight: inherit; text-align: inherit; white-space: nowrap; }
th button::after { content: ''; display: inline-block; width: 0.9em; text-align: right; }
th[aria-sort] button { color: var(--ink); }
th[aria-sort='ascending'] button::after { content: '↑'; }
th[aria-sort='descending'] button::after { content: '↓'; }
.helps { color: var(--helps); }
.hurts { color: var(--hurts); }
details { margin: 1rem 0 1.4rem; }
summary { cursor: pointer; color: var(--link); margin-bottom: 0.6rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 1.5rem; }
.pair > * { min-width: 0; }
.method dt { font-weight: 620; margin-top: 0.8rem; }
.method dd { margin: 0.1rem 0 0; max-width: 46rem; }
.formula { margin: 1rem 0; padding: 0.8rem 1.2rem; background: var(--raised); border-radius: 6px; overflow-x: auto; white-space: nowrap; font-family: 'STIX Two Math', Cambria, Georgia, serif; font-size: 1.1rem; }
footer.frame { margin-top: 4rem; padding-block: 1.5rem 3rem; border-top: 1px solid var(--rule); font-size: 0.88rem; color: var(--muted); }

@media (min-width: 84rem) {
  .contents { position: fixed; top: 6.2rem; left: calc(50% - 30rem - 10.5rem); width: 10rem; margin: 0; }
  .contents ul { flex-direction: column; gap: 0.45rem; }
  .frame { position: relative; left: 2rem; }
}
@media (max-width: 40rem) {
  .facts { gap: 0.9rem 1.6rem; justify-content: flex-start; }
  .head { padding-top: 1rem; }
  main > section { padding-top: 2.6rem; }
  .findings li { padding-left: 1.7rem; }
  tbody th { max-width: 12rem; }
}
@media print {
  body { font-size: 10pt; }
  .top button, .contents, .controls, .skip, .tooltip { display: none !important; }
  .frame { max-width: none; left: 0; padding: 0; }
  main > section { padding-top: 1.6rem; }
  figure, .findings li, tr { break-inside: avoid; }
  h2, h3, .reading { break-after: avoid; }
  .scroller { overflow: visible; max-height: none; }
  thead th { position: static; }
  table { font-size: 6pt; }
  th, td { padding: 0.12rem 0.22rem; }
  th, tbody th { white-space: normal; max-width: 9rem; }
  th button { max-width: none; margin: 0; padding: 0; white-space: normal; }
  th button::after { display: none; }
  a { color: inherit; text-decoration: none; }
}
`
