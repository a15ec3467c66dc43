import type { RunAnalysis } from '../../analysis/model.js'
import { html, type Html } from '../html.js'
import { counted } from '../../counting.js'
import { plain } from '../text.js'

/** How the numbers were made, so that a reader who has only this page can judge them. */
export function methodSection({ facts }: RunAnalysis): Html {
  return html`<section id="method" class="method" aria-labelledby="method-title">
    <h2 id="method-title">How the numbers were made</h2>
    <p class="explain">
      Loss Change Allocation (<a href="https://arxiv.org/abs/1909.01440">Lan, Liu, Zhou and Yosinski, 2019</a
      >) divides the change of the loss between two checkpoints among the parameters. Parameter <i>i</i> gets
      its movement times the mean of its gradient along the straight line between both:
    </p>
    <p
      class="formula"
      role="math"
      aria-label="A of i is delta theta i times the integral from 0 to 1 of the derivative of L with respect to theta i, at theta plus alpha times delta theta, d alpha"
    >
      A<sub>i</sub> = Δθ<sub>i</sub> ∫<sub>0</sub><sup>1</sup> ∂L/∂θ<sub>i</sub> (θ + α Δθ) dα
    </p>
    <dl>
      <dt>Sign</dt>
      <dd>
        Below zero a parameter <em>helped</em>: it lowered the loss. Above zero it <em>hurt</em>, at zero it
        was <em>still</em>.
      </dd>
      <dt>Conservation</dt>
      <dd>
        LCA of all parameters adds up to the change of the loss. What is left over is the residual; an
        interval has converged where it is within ${plain(facts.tolerance)} on every data set.
        ${facts.restricted ? 'In this run LCA is allocated to some tensors only, so that it does not add up.' : ''}
      </dd>
      <dt>Integral</dt>
      <dd>Rule: ${facts.quadrature}. Sums are in double precision.</dd>
      <dt>Loss</dt>
      <dd>${facts.loss}${facts.sampled ? ', measured on a random sample of the data' : ''}.</dd>
      <dt>Made from</dt>
      <dd>
        ${facts.origin.model} and
        ${facts.origin.data
          .map(({ split, path, samples }) => `${path} (${split}, ${counted(samples, 'sample')})`)
          .join(', ')},
        by retrograd ${facts.origin.version}, ${facts.origin.finished.slice(0, 10)}.
      </dd>
      <dt>Uncertainty</dt>
      <dd>
        Confidence intervals are 95 %, by block bootstrap over the ${counted(facts.intervals, 'interval')} of
        this one run: they say what other stretches of the same training would give, not what other seeds
        would. p-values of findings are corrected for the number of tests.
      </dd>
      <dt>Figures</dt>
      <dd>
        <code>retrograd report</code> writes their specifications beside this page (Vega-Lite,
        <code>figures/*.vl.json</code>); <code>retrograd figures</code> draws them as SVG or PNG.
      </dd>
    </dl>
  </section>`
}
